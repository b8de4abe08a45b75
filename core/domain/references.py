"""References that people copy: normalising them, and a check character that catches slips."""

from __future__ import annotations

import re

_NOT_ALNUM = re.compile(r"[^A-Z0-9]+")
_CHECK = "0123456789ABCDEFGHJKMNPQRSTVWXYZ*~$=U"
"""Crockford's 37 check symbols: a prime count, so one wrong or two swapped characters show."""


def bare(reference: str) -> str:
    """Keep letters and digits only, capital: ``2012-TS-00-3000314`` becomes ``2012TS003000314``."""
    return _NOT_ALNUM.sub("", reference.upper())


def check_character(reference: str) -> str:
    """The check character of a reference (its bare form read in base 36, modulo 37)."""
    return _CHECK[int(bare(reference) or "0", 36) % 37]
