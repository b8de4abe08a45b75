"""Every mail says which language it is in, and which of its words are in another."""

from __future__ import annotations

from datetime import date
from types import SimpleNamespace

import pytest
from lxml import html

from core.api.context import ContactInfo, MailInfo
from core.letters.service import Written
from core.messages.compose import Letter, compose
from core.messages.email import channel
from core.plugin import Address, TownInfo

TOWN = TownInfo("valmont", "Valmont", "https://x", ("fr", "en"), (), ContactInfo(), MailInfo())
INVOICE = SimpleNamespace(
    label="CANTINE & GARDERIE octobre", number="1", balance=5687, amount=5687, under_way=None,
    debited_on=None, debit_rejected_on=None, due_on=date(2025, 12, 15),
)  # fmt: skip
LETTERS = {
    "invoices_published": {"invoices": [INVOICE], "notes": [], "attempts": {}},
    "payment_reversed": {
        "amount": 5687, "reason": "chèque sans provision", "is_debit": False, "invoices": [INVOICE], "attempts": {},
    },
    "debit_request_answered": {"regie": "Régie cantine", "is_accepted": False, "note": "IBAN illisible"},
    "lost_codes": {},
}  # fmt: skip


def letter(kind, language, data, template=""):
    return compose(Letter(kind, language, "Valmont", "#123456", "#fff", data=data, template=template))


def parts(message):
    """The language of the whole, and the words marked as being in another."""
    root = html.fromstring(message.html)
    marked = [(part.get("lang"), part.text_content()) for part in root.xpath("//body//*[@lang]")]
    return root.xpath("/html")[0].get("lang"), marked


@pytest.mark.parametrize("language", ["fr", "en"])
@pytest.mark.parametrize("kind", LETTERS)
def test_a_mail_says_its_language(kind, language):
    message = letter(kind, language, LETTERS[kind])
    mail = channel.compose(message, Address("parent@exemple.fr", 1), "0" * 24, TOWN, "regie@exemple.fr")
    assert mail["Content-Language"] == language
    whole, marked = parts(message)
    assert whole == language
    assert "lang=" not in message.text
    assert "span" not in message.text
    if language == "fr":
        assert marked == []


def test_what_the_regie_wrote_is_french_in_an_english_mail():
    _whole, marked = parts(letter("invoices_published", "en", LETTERS["invoices_published"]))
    assert marked == [("fr", "CANTINE & GARDERIE octobre")]
    _whole, marked = parts(letter("payment_reversed", "en", LETTERS["payment_reversed"]))
    assert marked == [("fr", "chèque sans provision"), ("fr", "CANTINE & GARDERIE octobre")]
    _whole, marked = parts(letter("debit_request_answered", "en", LETTERS["debit_request_answered"]))
    assert marked == [("fr", "Régie cantine"), ("fr", "IBAN illisible")]


@pytest.mark.parametrize(
    ("written", "marked"),
    [
        (Written("Grève lundi", "Pas de cantine.\n\nMerci <3", "fr"), ["Grève lundi", "Pas de cantine.", "Merci <3"]),
        (Written("Strike on Monday", "No canteen.", "en"), []),
    ],
)
def test_a_message_that_nobody_translated_is_marked_paragraph_by_paragraph(written, marked):
    message = letter("notice", "en", {"written": written, "is_optional": False}, "town_message")
    assert parts(message) == ("en", [("fr", words) for words in marked])
    assert written.body.split("\n\n")[-1] in message.text
