"""Movements that every reader of statements gives, and reasons why one refuses a file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Credit:
    """Money that moved on the account, in cents: above zero it arrived, below zero it left."""

    on: date
    label: str
    amount: int


class StatementFault(StrEnum):
    """Reason why a file is no statement that is read here."""

    UNKNOWN = "unknown"
    """It is in none of the known shapes."""
    EMPTY = "empty"
    ENCODING = "encoding"
    QUOTES = "quotes"
    CELL = "cell"
    WORKBOOK = "workbook"
    SHEETS = "sheets"
    """Several sheets hold movements: of several accounts, most likely."""
    COLUMNS = "columns"
    """No row of titles says where date and amount stand, or several columns could be the amount."""
    CUT = "cut"
    """A record of CFONB 120 has not 120 characters, or is of no known kind."""
    DATE = "date"
    AMOUNT = "amount"
    SIDE = "side"
    """The direction of the money, in or out, is not said, or said in two ways."""
    CURRENCY = "currency"


class StatementError(ValueError):
    """The file is no statement that is read here; `line` is the first wrong one (0: all are)."""

    def __init__(self, line: int, fault: StatementFault = StatementFault.UNKNOWN) -> None:
        super().__init__(f"{fault}, line {line}")
        self.line = line
        self.fault = fault
