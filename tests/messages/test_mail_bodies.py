"""What a mail says arrives as it was written, whatever it says."""

from __future__ import annotations

from email import message_from_bytes, policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.api.context import ContactInfo, MailInfo
from core.messages.email.channel import compose
from core.plugin import Address, Message, TownInfo

NUMBER = "0123456789abcdef01234567"
TOWN = TownInfo("valmont", "Valmont", "https://x", ("fr",), (), ContactInfo(), MailInfo())
WORDS = st.lists(
    st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=100)
    | st.sampled_from([f"--=_{NUMBER}", f"--=_{NUMBER}--", ".", "From x", "=", " "])
).map(lambda lines: "".join(f"{line}\n" for line in lines))


def composed(text, html, address="parent@exemple.fr", **more):
    message = Message(kind="invoices_published", language="fr", subject="x", text=text, html=html, **more)
    return compose(message, Address(address, 1), NUMBER, TOWN, "regie@exemple.fr")


@given(WORDS, WORDS.map(lambda words: f"<p>{words}</p>\n"))
def test_both_parts_arrive_as_they_were_written(text, html):
    raw = composed(text, html).as_bytes(policy=policy.SMTP)
    read = message_from_bytes(raw, policy=policy.default)
    assert read.get_content_type() == "multipart/alternative"
    plain, rich = read.iter_parts()
    assert [part.get_content().replace("\r\n", "\n") for part in (plain, rich)] == [text, html]
    assert read["To"].addresses[0].addr_spec == "parent@exemple.fr"
    assert read["Message-ID"] == f"<{NUMBER}@exemple.fr>"
    assert not read.defects


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_an_address_with_a_line_s_end_starts_no_header(end):
    with pytest.raises(ValueError, match="line"):
        composed("x", "<p>x</p>", address=f"parent@exemple.fr{end}Bcc: autre@exemple.fr")
