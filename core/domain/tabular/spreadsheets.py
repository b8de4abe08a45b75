"""Texts of a CSV file that spreadsheets would take for something else."""

from __future__ import annotations

import re

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_MANGLED = re.compile(
    r"""
    0\d+                                         # 0001234 would become 1234
    | \d{12,}                                    # 2,02501E+11, and zeros after 15 digits
    | \d+ ([.,]\d+)? [eE] [+-]? \d+              # 12E4 would become 120000
    | \d{1,4} [-/.] \d{1,2} ([-/.] \d{1,4})?     # 3-1 would become a day of this year
    """,
    re.VERBOSE | re.ASCII,
)


def csv_text(text: str) -> str:
    """A text as a cell of a CSV file, which a spreadsheet shows as it is.

    What it would take for a formula (CWE-1236) begins with an apostrophe. References and numbers
    that it would read as figures or days begin with a tab, which makes them text there; a program
    that trims its cells reads them exactly.
    """
    if text.startswith(_FORMULA):
        return f"'{text}"
    return f"\t{text}" if _MANGLED.fullmatch(text) else text
