"""The account where a régie's money arrives: its statement, read and matched with payments."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from core.domain.statements.cfonb import is_cfonb, read_cfonb
from core.domain.statements.markup import is_camt, is_ofx, read_camt, read_ofx
from core.domain.statements.movement import Credit, StatementError, StatementFault
from core.domain.statements.table import Column, Layout, columns, read_table
from core.domain.tabular.decoding import DecodeError, decode
from core.domain.tabular.rows import Row, TableError, is_workbook, read_tables

__all__ = [
    "Column", "Credit", "Expected", "Layout", "Pair", "StatementError", "StatementFault", "match",
    "read_movements", "read_statement", "statement_columns", "statement_tables",
]  # fmt: skip

WINDOW = timedelta(days=7)
"""Days after a payment within which its money arrives: cards the next day or two, debits later."""


@dataclass(frozen=True, slots=True)
class Expected:
    """Sum paid online on a day by one means: `amount` cents in `count` payments."""

    on: date
    means: str
    count: int
    amount: int


@dataclass(frozen=True, slots=True)
class Pair:
    """Expected sum and credit that arrived; one of them is None where the other stands alone."""

    expected: Expected | None
    credit: Credit | None


def read_statement(content: bytes, layout: Layout | None = None) -> list[Credit]:
    """The credits of a statement; debits are left out.

    With `layout`, a table is read by the columns that the régie chose.

    Raises:
        StatementError: it is in none of the known shapes, or a movement of it cannot be read.
    """
    return [movement for movement in read_movements(content, layout) if movement.amount > 0]


def read_movements(content: bytes, layout: Layout | None = None) -> list[Credit]:
    """All movements of a statement, debits below zero.

    Raises:
        StatementError: see `read_statement`.
    """
    if not content.strip(b"\0 \r\n\t"):
        raise StatementError(0, StatementFault.EMPTY)
    if is_camt(content):
        return read_camt(content)
    if not is_workbook(content):
        text = _text(content)
        if is_ofx(text):
            return read_ofx(text)
        if is_cfonb(text):
            return list(read_cfonb(text))
    return _of_tables(statement_tables(content), layout)


def statement_tables(content: bytes) -> list[list[Row]]:
    """The tables of a file.

    Raises:
        StatementError: it is no file of tables.
    """
    try:
        return read_tables(content)
    except TableError as error:
        raise StatementError(error.line, StatementFault(error.fault)) from None


def statement_columns(content: bytes) -> list[Column]:
    """The columns of the largest table of a file, among which a régie chooses.

    Raises:
        StatementError: it is no file of tables.
    """
    if not content.strip(b"\0 \r\n\t"):
        raise StatementError(0, StatementFault.EMPTY)
    return columns(max(statement_tables(content), key=len))


def _of_tables(tables: list[list[Row]], layout: Layout | None) -> list[Credit]:
    """The movements of the one table that has columns for them."""
    refusal: StatementError | None = None
    found: list[list[Credit]] = []
    for rows in tables:
        try:
            found.append(read_table(rows, layout))
        except StatementError as error:
            if error.fault != StatementFault.COLUMNS:
                raise
            refusal = refusal or error
    filled = [movements for movements in found if movements] or found
    if len(filled) > 1:
        raise StatementError(0, StatementFault.SHEETS)
    if filled:
        return filled[0]
    raise refusal or StatementError(0, StatementFault.EMPTY)


def _text(content: bytes) -> str:
    try:
        return decode(content)
    except DecodeError as error:
        raise StatementError(error.line, StatementFault.ENCODING) from None


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
