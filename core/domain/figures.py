"""Figures of a town's régies for the dashboard, without the database that they come from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

DELAYS = (7, 15, 30, 60)
"""Last days of the classes of delay to payment; what took longer is the last class."""
AGES = (0, 30, 60, 90)
"""Last days of the classes of unpaid invoices, since the due date; 0: not due yet."""


@dataclass(frozen=True, slots=True)
class Sum:
    """Number of items, and their sum in cents."""

    count: int
    cents: int


@dataclass(frozen=True, slots=True)
class Month:
    """Cents invoiced (by date of issue) and collected (by date of payment) in a month.

    `families` were invoiced, and `told` of them were written to, channel by channel.
    """

    first: date
    invoiced: int
    collected: int
    families: int = 0
    told: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Slice:
    """One part of a whole: its label, how many, cents."""

    label: str
    count: int
    cents: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """The charts, over the last of `months` or longer; `day` is when they were drawn.

    `delay` is the median number of days from issue to payment; None when nothing was paid.
    """

    day: date
    months: Sequence[Month]
    means: Sequence[Slice]
    delays: Sequence[Slice]
    delay: int | None
    unpaid: Sequence[Slice]
    channels: Sequence[str]

    @property
    def owed(self) -> int:
        """Cents that families owe in all."""
        return sum(part.cents for part in self.unpaid)


def share(part: int, whole: int) -> float:
    """`part` of `whole`, between 0 and 1."""
    return min(max(part / whole, 0.0), 1.0) if whole > 0 else 0.0


STEPS = (1, 2, 5)
"""First digits of the distance between two figures of an axis."""
MAX_STEPS = 4


def scale(values: Iterable[int], unit: int = 1) -> list[int]:
    """Figures of an axis, from 0 to the first round one that no value passes, evenly apart.

    `unit` is the least distance, and the other distances are round multiples of it: 100 for cents.
    """
    highest = max(values, default=0)
    step, at = unit, 0
    while step * MAX_STEPS < highest:
        at += 1
        step = unit * STEPS[at % len(STEPS)] * 10 ** (at // len(STEPS))
    return [step * number for number in range(max(-(-highest // step), 1) + 1)]


def months_until(month: date, count: int) -> list[date]:
    """The first days of `count` months of which `month` is the last."""
    firsts = [month]
    while len(firsts) < count:
        year, number = firsts[0].year, firsts[0].month
        firsts.insert(0, date(year - (number == 1), (number - 2) % 12 + 1, 1))
    return firsts
