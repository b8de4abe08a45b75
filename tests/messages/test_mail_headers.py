"""Subjects and senders arrive exactly as they were written."""

from __future__ import annotations

from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.utils import getaddresses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.messages.email.channel import _mailbox, _subject

SUBJECTS = [
    "Valmont – Votre lien pour entrer dans l’espace régie",
    "Ville de Saint-Étienne-du-Rouvray – Votre lien pour entrer dans l’espace régie",
    "a" * 300,
    "mot " * 40 + "fin",
    "deux  espaces  et  des  accents  é  è  à  dans  un  sujet  assez  long  pour  deux  lignes",
    "=?utf-8?q?d=C3=A9j=C3=A0?= codé",
    " devant et derrière ",
    "🍎" * 40,
]
NAMES = [
    "Valmont",
    "Communauté de communes du Pays de Saint-Éloy, service de l’enfance",
    "Syndicat intercommunal des ecoles de la vallee, service enfance et jeunesse, regie",
    "Ville (centre) <nord>; sud: est",
    'Ville "des Lilas" \\ nord',
    "Évry",
]


def sent(header, value):
    mail = EmailMessage()
    mail[header] = value
    raw = mail.as_bytes(policy=policy.default.clone(linesep="\r\n"))
    raw.decode("ascii")
    head = raw.split(b"\r\n\r\n")[0]
    assert max(map(len, head.split(b"\r\n"))) < 998
    return raw


def read(raw):
    return message_from_bytes(raw, policy=policy.default)


@pytest.mark.parametrize("words", SUBJECTS)
def test_a_subject_is_exact(words):
    raw = sent("Subject", _subject(words))
    assert str(read(raw)["Subject"]) == words
    # Other programs read it so, too.
    head = message_from_bytes(raw)["Subject"]
    assert str(make_header(decode_header(head.replace("\r\n", "")))) == words


@given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=200))
def test_any_subject_is_exact(words):
    assert str(read(sent("Subject", _subject(words)))["Subject"]) == words


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("address", ["regie@ville.fr", "ne-pas-repondre@" + "longue-ville." * 5 + "fr"])
def test_a_sender_is_one_and_exact(name, address):
    raw = sent("From", _mailbox("From", name, address))
    (found,) = read(raw)["From"].addresses
    assert found.addr_spec == address
    if name.isascii():
        assert found.display_name == name
    # Of a name in several encoded words, the new parser of Python 3.11 makes several words.
    ((shown, also),) = getaddresses([message_from_bytes(raw)["From"].replace("\r\n", "")])
    assert (str(make_header(decode_header(shown))), also) == (name, address)


def test_line_ends_start_no_header():
    raw = sent("Subject", _subject("un\r\nBcc: x@exemple.fr"))
    assert read(raw).keys() == ["Subject"]
    raw = sent("From", _mailbox("From", "un\nBcc: x@exemple.fr", "a@exemple.fr"))
    assert read(raw).keys() == ["From"]
