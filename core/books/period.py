"""The time that a statement is about: a month of a régie, one day of it, or a year."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from core.platform.clock import midnight


@dataclass(frozen=True, slots=True)
class Period:
    """A régie, a month (its first day), and perhaps one day of that month, or its whole year."""

    regie: str
    month: date
    day: date | None = None
    whole_year: bool = False

    def __post_init__(self) -> None:
        if self.whole_year:
            object.__setattr__(self, "month", self.month.replace(month=1, day=1))

    @property
    def since(self) -> datetime:
        """Its first moment."""
        return midnight(self.day or self.month)

    @property
    def until(self) -> datetime:
        """The first moment after it."""
        return midnight(self.last_day + timedelta(days=1))

    @property
    def last_day(self) -> date:
        """Its last day."""
        if self.whole_year:
            return self.month.replace(month=12, day=31)
        return self.day or next_month(self.month) - timedelta(days=1)

    def __str__(self) -> str:
        if self.whole_year:
            return f"{self.month:%Y}"
        return f"{self.day:%d/%m/%Y}" if self.day else f"{self.month:%m/%Y}"

    @property
    def stamp(self) -> str:
        """For file names."""
        when = f"{self.month:%Y}" if self.whole_year else f"{self.month:%Y-%m}"
        return f"{self.regie.lower()}-{self.day or when}"


def next_month(month: date) -> date:
    """The first day of the month after this first day."""
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)
