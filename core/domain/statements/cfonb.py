"""CFONB 120: records of 120 characters, with or without ends of line between them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from core.domain.dates import DateError, parse_day
from core.domain.statements.movement import Credit, StatementError, StatementFault

WIDTH: Final = 120
SHORTEST: Final = 104
"""A record whose last spaces an editor took off still has its amount."""

KINDS: Final = ("01", "04", "05", "07")
"""The old balance, a movement, more words on it, the new balance."""

_OVERPUNCHED = {c: (1, str(n)) for n, c in enumerate("{ABCDEFGHI")} | {
    c: (-1, str(n)) for n, c in enumerate("}JKLMNOPQR")
}


def is_cfonb(text: str) -> bool:
    """True if a file begins with a record of CFONB 120."""
    first = text.lstrip("\r\n ")[:WIDTH].splitlines()
    return bool(first) and len(first[0]) >= SHORTEST - 14 and first[0][:2] in KINDS


def read_cfonb(text: str) -> Iterator[Credit]:
    """The movements.

    Raises:
        StatementError: a record is damaged; nothing is left out.
    """
    before: Credit | None = None
    for number, record in _records(text):
        kind = record[:2]
        if kind == "05" and before is not None:
            if record[45:48] == "LIB":
                before = replace(before, label=f"{before.label} {record[48:118].strip()}".strip())
            continue
        if before is not None:
            yield before
            before = None
        if kind == "04":
            before = _movement(record, number)
    if before is not None:
        yield before


def _records(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip(" \0"):
            continue
        whole = len(line) if len(line) <= WIDTH else len(line.rstrip())
        if whole > WIDTH and len(line) % WIDTH and len(line.rstrip()) % WIDTH < SHORTEST:
            raise StatementError(number, StatementFault.CUT)
        for start in range(0, max(whole, 1), WIDTH):
            record = line[start : start + WIDTH]
            if len(record) < SHORTEST or record[:2] not in KINDS:
                raise StatementError(number, StatementFault.CUT)
            yield number, record


def _movement(record: str, number: int) -> Credit:
    if record[16:19].strip() not in {"", "EUR"}:
        raise StatementError(number, StatementFault.CURRENCY)
    try:
        decimals = int(record[19].strip() or "2")
        sign, last = _OVERPUNCHED[record[103]]
        digits = record[90:103].strip() + last
        if not (digits.isascii() and digits.isdigit()):
            raise StatementError(number, StatementFault.AMOUNT)
        cents, rest = divmod(int(digits) * 100, 10**decimals)
    except (ValueError, KeyError):
        raise StatementError(number, StatementFault.AMOUNT) from None
    if rest:
        raise StatementError(number, StatementFault.AMOUNT)
    day = record[34:40]
    try:
        on = parse_day(f"{day[:2]}/{day[2:4]}/{day[4:]}", short_years=True)
    except DateError:
        raise StatementError(number, StatementFault.DATE) from None
    return Credit(on, record[48:79].strip(), sign * cents)
