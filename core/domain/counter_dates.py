"""The day that an agent gives to money taken at the counter: what cannot be, and what is asked."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from enum import StrEnum
from typing import Final

OLD_DAYS: Final = 92
"""Three months: money that is entered later than this was more often mistyped than forgotten."""


class DayDoubt(StrEnum):
    """Reason why a day is not taken as it is."""

    FUTURE = "future"
    BEFORE_INVOICE = "before_invoice"
    CLOSED = "closed"
    """The régie's books of that month are closed."""
    OLD = "old"
    """It may be right: it is asked once."""


def day_doubt(
    day: date, today: date, *, issued_on: Iterable[date], closed: bool
) -> DayDoubt | None:
    """Doubt about money of `day` for invoices of these days; None if there is no doubt."""
    if day > today:
        return DayDoubt.FUTURE
    if any(day < issued for issued in issued_on):
        return DayDoubt.BEFORE_INVOICE
    if closed:
        return DayDoubt.CLOSED
    if today - day > timedelta(days=OLD_DAYS):
        return DayDoubt.OLD
    return None
