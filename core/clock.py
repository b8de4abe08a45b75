"""The time, injected, so that tests can set it."""

from __future__ import annotations

from datetime import UTC, date, datetime

from core.templating import PARIS


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Now, in UTC, aware."""
        return datetime.now(UTC)


def today(moment: datetime) -> date:
    """The date that `moment` is in France, which is what due dates and receipts mean."""
    return moment.astimezone(PARIS).date()
