"""The account where a régie's money arrives: reading its statement, and matching it with payments.

Two shapes are read: CFONB 120 (lines of 120 characters, `04` for a movement) and a CSV with a date,
a label and an amount, as accounts on the web export it.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from io import StringIO

from core.domain.money import AmountError, parse_amount

WINDOW = timedelta(days=7)
"""Days after a payment within which its money arrives: cards the next day or two, debits later."""

_OVERPUNCHED = {c: (1, str(n)) for n, c in enumerate("{ABCDEFGHI")} | {
    c: (-1, str(n)) for n, c in enumerate("}JKLMNOPQR")
}
_DATE = re.compile(r"(\d{1,2})[/.-](\d{1,2})[/.-](\d{4}|\d{2})\Z")


class StatementError(ValueError):
    """The file is no statement that is read here; `line` is the first wrong one (0: all are)."""

    def __init__(self, line: int) -> None:
        super().__init__(f"line {line}")
        self.line = line


@dataclass(frozen=True, slots=True)
class Credit:
    """Money that arrived on the account, in cents."""

    on: date
    label: str
    amount: int


@dataclass(frozen=True, slots=True)
class Expected:
    """What was paid online on a day by one means: `amount` cents in `count` payments."""

    on: date
    means: str
    count: int
    amount: int


@dataclass(frozen=True, slots=True)
class Pair:
    """What was expected and what arrived; one of them is None where the other stands alone."""

    expected: Expected | None
    credit: Credit | None


def read_statement(content: bytes) -> list[Credit]:
    """The credits of a statement; debits are left out.

    Raises:
        StatementError: it is in none of the known shapes.
    """
    text = _text(content)
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise StatementError(0)
    is_cfonb = len(lines[0]) >= 90 and lines[0][:2] in {"01", "04", "07"}
    found = _cfonb(text.splitlines()) if is_cfonb else _csv(text)
    return [credit for credit in found if credit.amount > 0]


def match(expected: Sequence[Expected], credits_: Iterable[Credit]) -> list[Pair]:
    """Pair each day's payments with the first credit of that amount in the days that follow.

    Nothing is guessed: another amount is no match, and stands alone for a person to see.
    """
    free = sorted(credits_, key=lambda credit: credit.on)
    pairs = []
    for one in sorted(expected, key=lambda e: (e.on, e.means)):
        found = next(
            (c for c in free if c.amount == one.amount and one.on <= c.on <= one.on + WINDOW),
            None,
        )
        if found is not None:
            free.remove(found)
        pairs.append(Pair(one, found))
    return pairs + [Pair(None, credit) for credit in free]


def _text(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")


def _cfonb(lines: Sequence[str]) -> Iterator[Credit]:
    for number, line in enumerate(lines, start=1):
        if line[:2] != "04":
            continue
        try:
            decimals = int(line[19].strip() or "2")
            sign, last = _OVERPUNCHED[line[103]]
            units = int(line[90:103] + last)
            on = datetime.strptime(line[34:40], "%d%m%y").date()  # noqa: DTZ007 - a date alone
        except (ValueError, KeyError, IndexError):
            raise StatementError(number) from None
        yield Credit(on, line[48:79].strip(), sign * units * 100 // 10**decimals)


def _csv(text: str) -> Iterator[Credit]:
    delimiter = max(";\t,", key=text[:2000].count)
    rows = list(csv.reader(StringIO(text), delimiter=delimiter))
    read = 0
    for number, row in enumerate(rows, start=1):
        cells = [cell.strip() for cell in row]
        on = next(filter(None, map(_date, cells)), None)
        if on is None:
            if read and any(cells):
                raise StatementError(number)
            continue  # Titles above the table.
        amounts = [cents for cents in map(_cents, cells) if cents]
        if not amounts:
            raise StatementError(number)
        words = [cell for cell in cells if cell and _date(cell) is None and _cents(cell) is None]
        read += 1
        yield Credit(on, " ".join(words), amounts[0])
    if not read:
        raise StatementError(0)


def _date(cell: str) -> date | None:
    try:
        if found := _DATE.match(cell):
            day, month, year = map(int, found.groups())
            return date(year + 2000 if year < 100 else year, month, day)
        return date.fromisoformat(cell) if len(cell) == 10 else None
    except ValueError:
        return None


def _cents(cell: str) -> int | None:
    try:
        return parse_amount(cell) if cell else None
    except AmountError:
        return None
