"""The SEPA creditor identifier (ICS), with which a town debits: its form, and its check digits."""

from __future__ import annotations

import re

_FORM = re.compile(r"[A-Z]{2}\d{2}[A-Z0-9]{3}[A-Z0-9]{1,28}")
_FRENCH = re.compile(r"FR\d{2}[A-Z0-9]{3}[A-Z0-9]{6}")


def is_creditor_identifier(text: str) -> bool:
    """True for an identifier whose check digits fit; the three signs of a branch do not count."""
    if not _FORM.fullmatch(text) or (text.startswith("FR") and not _FRENCH.fullmatch(text)):
        return False
    checked = text[7:] + text[:4]
    return int("".join(str(int(sign, 36)) for sign in checked)) % 97 == 1
