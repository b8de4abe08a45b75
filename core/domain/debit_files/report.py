"""Findings that every reader of debits' files gives, and reasons why one refuses a file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum


class Told(StrEnum):
    """Outcome of a debit, as a file tells it."""

    SETTLED = "settled"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class DebitLine:
    """A debit of which a file tells."""

    rank: int
    """Line of a table, or place among the debits of a message."""
    told: Told
    references: tuple[str, ...]
    """Names by which the creditor may know it, the surest first; none is an account's number."""
    words: str = ""
    """Other text that goes with it: looked through for an invoice's number, and never kept."""
    cents: int | None = None
    on: date | None = None
    """Day on which the account shows it; of a rejection that came sooner, the day of the debit."""
    code: str = ""
    """Code of the reason, in capitals; "" where the file has none."""


@dataclass(frozen=True, slots=True)
class RemittanceSum:
    """Sum that a bank credited for many debits at once, without saying which."""

    on: date
    cents: int
    count: int | None = None


@dataclass(frozen=True, slots=True)
class DebitReport:
    """Debits of a file."""

    kind: str
    """A word for the trail: ``pain.002``, ``camt.054``, ``table``…"""
    lines: tuple[DebitLine, ...]
    sums: tuple[RemittanceSum, ...] = ()
    pending: int = 0
    """Debits that are neither done nor sent back yet."""
    others: int = 0
    """Movements that are no direct debits."""


class DebitFileFault(StrEnum):
    """Reason why a file is not read."""

    UNKNOWN = "unknown"
    """It is in none of the known shapes."""
    EMPTY = "empty"
    ENCODING = "encoding"
    QUOTES = "quotes"
    CELL = "cell"
    WORKBOOK = "workbook"
    SHEETS = "sheets"
    COLUMNS = "columns"
    """No title says which column names the invoice."""
    STATUS = "status"
    """A row is neither done nor sent back, in any known word."""
    DATE = "date"
    AMOUNT = "amount"
    SIDE = "side"
    CURRENCY = "currency"
    TRANSFERS = "transfers"
    """It tells of credit transfers, which the town ordered."""
    WHOLE = "whole"
    """The bank refused a remittance as a whole, and does not name its debits."""


class DebitFileError(ValueError):
    """The file is not read; `line` is the first wrong one (0: all are)."""

    def __init__(self, fault: DebitFileFault = DebitFileFault.UNKNOWN, line: int = 0) -> None:
        super().__init__(f"{fault}, line {line}")
        self.fault = fault
        self.line = line
