"""Account numbers in foreign text: recognised, so that none is kept or shown."""

from __future__ import annotations

import re
from typing import Final

_GAP: Final = r"[ \u00a0\u202f.-]?"
_IBAN = re.compile(rf"(?<![A-Za-z0-9])[A-Za-z]{{2}}{_GAP}\d{{2}}(?:{_GAP}[A-Za-z0-9]){{11,30}}")
_NATIONAL = re.compile(rf"(?<![A-Za-z0-9])\d(?:{_GAP}[A-Za-z0-9]){{21,22}}(?![A-Za-z0-9])")
"""French account numbers before IBAN: bank, branch, account, key."""

MASK: Final = "••••"
MAX_DIGITS: Final = 10
"""Digits of a reference that may begin as an IBAN does; an IBAN of the SEPA countries has more."""


def without_accounts(text: str) -> str:
    """Put a mask in place of whatever may be an account's number.

    A long reference that begins as an IBAN does is masked too: rather that than one IBAN shown.
    """
    return _NATIONAL.sub(_masked, _IBAN.sub(_masked, text))


def may_be_account(text: str) -> bool:
    """True if a text holds what may be an account's number."""
    return without_accounts(text) != text


def _masked(found: re.Match[str]) -> str:
    digits = sum(character.isdigit() for character in found[0])
    return MASK if digits > MAX_DIGITS else found[0]
