"""Notes on a file while it is read: kept on disk, so that memory use stays the same."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager
from decimal import Decimal
from types import TracebackType

from core.api.invoices import LineRecord, TaxKind

_SCHEMA = """
PRAGMA journal_mode = OFF;
CREATE TABLE seen (kind TEXT, key TEXT, line INTEGER, PRIMARY KEY (kind, key)) WITHOUT ROWID;
CREATE TABLE invoice (number TEXT, regie TEXT);
CREATE TABLE line (
    number TEXT, regie TEXT, line INTEGER, rank INTEGER,
    activity TEXT, tax_kind TEXT, amount INTEGER, child TEXT, quantity TEXT, unit_price INTEGER
);
CREATE INDEX line_number ON line (number);
CREATE INDEX invoice_number ON invoice (number);
BEGIN;
"""


class Scratch(AbstractContextManager["Scratch"]):
    """A private, temporary database; gone when it is left.

    SQLite keeps its pages in a small cache and spills the rest to an unlinked temporary file.
    """

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._db.executescript(_SCHEMA)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._db.close()

    def first_seen(self, kind: str, key: str, line: int) -> int:
        """Remember `key`; the line on which it stood before, or 0 if it is new."""
        added = self._db.execute("INSERT OR IGNORE INTO seen VALUES (?, ?, ?)", (kind, key, line))
        if added.rowcount:
            return 0
        found = self._db.execute(
            "SELECT line FROM seen WHERE kind = ? AND key = ?", (kind, key)
        ).fetchone()
        return int(found[0])

    def add_invoice(self, regie: str, number: str) -> None:
        """Remember that this invoice stands in the file, well written or not."""
        self._db.execute("INSERT INTO invoice VALUES (?, ?)", (number, regie))

    def add_line(self, regie: str, number: str, at: int, record: LineRecord | None) -> None:
        """Keep a line of ``lignes.csv`` for its invoice; None if it could not be read."""
        values: tuple[object, ...] = (None,) * 7
        if record is not None:
            values = (
                record.rank,
                record.activity,
                str(record.tax_kind),
                record.amount,
                record.child,
                None if record.quantity is None else str(record.quantity),
                record.unit_price,
            )
        self._db.execute(
            "INSERT INTO line VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (number, regie, at, *values),
        )

    def lines(self, regie: str, number: str) -> list[LineRecord | None]:
        """The lines kept for this invoice, in file order."""
        rows = self._db.execute(
            "SELECT rank, activity, tax_kind, amount, child, quantity, unit_price FROM line"
            " WHERE number = ? AND regie IN (?, '') ORDER BY rowid",
            (number, regie),
        )
        return [
            None
            if rank is None
            else LineRecord(
                rank,
                activity,
                TaxKind(tax_kind),
                amount,
                child,
                None if quantity is None else Decimal(quantity),
                unit_price,
            )
            for rank, activity, tax_kind, amount, child, quantity, unit_price in rows
        ]

    def orphans(self) -> Iterator[tuple[int, str]]:
        """Position and invoice number of each line that belongs to no invoice of the file."""
        yield from self._db.execute(
            "SELECT line, number FROM line WHERE NOT EXISTS (SELECT 1 FROM invoice"
            " WHERE invoice.number = line.number AND line.regie IN (invoice.regie, ''))"
            " ORDER BY rowid"
        )

    def ambiguous(self) -> Iterator[tuple[int, str]]:
        """Position and invoice number of each line that names no régie but fits invoices of two."""
        yield from self._db.execute(
            "SELECT line, number FROM line WHERE regie = '' AND (SELECT count(DISTINCT regie)"
            " FROM invoice WHERE invoice.number = line.number) > 1 ORDER BY rowid"
        )
