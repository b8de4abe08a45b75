"""The time that a statement is about: a month of a régie, or one day of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from core.platform.clock import PARIS


@dataclass(frozen=True, slots=True)
class Period:
    """A régie, a month (its first day), and perhaps one day of that month."""

    regie: str
    month: date
    day: date | None = None

    @property
    def since(self) -> datetime:
        """Its first moment."""
        return midnight(self.day or self.month)

    @property
    def until(self) -> datetime:
        """The first moment after it."""
        return midnight(self.day + timedelta(days=1) if self.day else next_month(self.month))

    @property
    def last_day(self) -> date:
        """Its last day."""
        return self.day or next_month(self.month) - timedelta(days=1)

    def __str__(self) -> str:
        return f"{self.day:%d/%m/%Y}" if self.day else f"{self.month:%m/%Y}"

    @property
    def stamp(self) -> str:
        """For file names."""
        return f"{self.regie.lower()}-{self.day or f'{self.month:%Y-%m}'}"


def next_month(month: date) -> date:
    """The first day of the month after this first day."""
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)


def midnight(day: date) -> datetime:
    """Moment at which a day begins in France."""
    return datetime.combine(day, time(), PARIS)
