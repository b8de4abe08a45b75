"""The spellings of PES's data types: every one that XML Schema allows, and no other."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import date

from core.plugin import gettext as _
from plugins.pes_recette.reader import PesError

FIRST_YEAR, LAST_YEAR = 2000, 2100
"""No debt that is still to be paid is of another year: a date outside is a damaged one."""

_DECIMAL = re.compile(
    r"(?P<sign>[+-]?)(?:(?P<whole>\d+)(?:\.(?P<part>\d*))?|\.(?P<only>\d+))", re.ASCII
)
_MAX_WHOLE_DIGITS = 12
_DATE = re.compile(
    r"(\d{4}-\d{2}-\d{2})(?:Z|[+-](?:(?:0\d|1[0-3]):[0-5]\d|14:00))?", re.ASCII
)  # fmt: skip
_WHOLE = re.compile(r"\+?0*(\d{1,9})", re.ASCII)


def cents(value: str | None, column: str, row: int) -> int:
    """An ``xs:decimal`` of euros in cents: ``41.60``, ``.50``, ``12.``, ``2.500``, ``+1.5``."""
    match = _DECIMAL.fullmatch(value or "")
    if match:
        whole = (match["whole"] or "").lstrip("0") or "0"
        part = (match["part"] or match["only"] or "").rstrip("0")
        if len(whole) <= _MAX_WHOLE_DIGITS and len(part) <= 2:
            amount = int(whole) * 100 + int(part.ljust(2, "0"))
            return -amount if match["sign"] == "-" else amount
    raise PesError(_("Montant attendu, comme 41.60."), row, column, value or "")


def day(value: str | None, column: str, row: int) -> date:
    """An ``xs:date``; a time zone says where the day was, and changes nothing of it."""
    match = _DATE.fullmatch(value or "")
    if match:
        with suppress(ValueError):
            found = date.fromisoformat(match[1])
            if FIRST_YEAR <= found.year <= LAST_YEAR:
                return found
    raise PesError(_("Date attendue, comme 2026-11-03."), row, column, value or "")


def day_or_none(value: str | None, column: str, row: int) -> date | None:
    """An ``xs:date`` that may be missing or empty."""
    return day(value, column, row) if value else None


def whole(value: str | None, column: str, row: int) -> int:
    """A count."""
    match = _WHOLE.fullmatch(value or "")
    if match is None:
        raise PesError(_("Nombre attendu."), row, column, value or "")
    return int(match[1])


def year(value: str | None, row: int) -> int:
    """An *exercice*."""
    if value is None or not re.fullmatch(r"[0-9]{4}", value):
        raise PesError(_("Exercice attendu, comme 2026."), row, "Exer", value or "")
    found = int(value)
    if not FIRST_YEAR <= found <= LAST_YEAR:
        raise PesError(_("Exercice attendu, comme 2026."), row, "Exer", value)
    return found


def code(value: str | None) -> str:
    """A code of two digits, also where a program left out its zero."""
    return (value or "").zfill(2) if value else ""


def without_zeros(number: str) -> str:
    """A number without the zeros before it: ``000314`` and ``314`` are one."""
    return (number.lstrip("0") or "0") if number.isascii() and number.isdecimal() else number
