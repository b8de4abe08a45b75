"""The time, injected, so that tests can set it."""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, SQLColumnExpression

PARIS = ZoneInfo("Europe/Paris")


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Now, in UTC, aware."""
        return datetime.now(UTC)


def today(moment: datetime) -> date:
    """The date that `moment` is in France, which is what due dates and receipts mean."""
    return moment.astimezone(PARIS).date()


def midnight(day: date) -> datetime:
    """Moment at which a day begins in France."""
    return datetime.combine(day, time(), PARIS)


def on_days(
    column: SQLColumnExpression[Any], since: date | None, until: date | None
) -> list[ColumnElement[bool]]:
    """SQL: moments from the first day to the last, both included; None: without that end."""
    found = []
    if since is not None:
        found.append(column >= midnight(since))
    if until is not None:
        found.append(column < midnight(until + timedelta(days=1)))
    return found


def months_before(day: date, months: int) -> date:
    """The same day that many months earlier, or the last of its month."""
    year, month = divmod(12 * day.year + day.month - 1 - months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))
