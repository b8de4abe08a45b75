"""The sums of the journal: the one definition of what came in, what went back, and what is in hand.

Dashboard, statements, slips and remittances all add up by it, so that they cannot disagree.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import ColumnElement, case, func

from core.journal.models import EntryKind, JournalEntry

OF_MONEY = JournalEntry.payment_id.is_not(None)
"""SQL: money of families came or went; the other entries say that it left the till."""
CAME_KINDS = (EntryKind.SETTLED, EntryKind.CORRECTED)
"""Kinds of entries of money that came in; a correction moves it from one means to another."""
CAME = JournalEntry.kind.in_(CAME_KINDS)
"""SQL: money came in; every other entry of money takes some back, or undoes that."""


@dataclass(frozen=True, slots=True)
class Sums:
    """Sums of entries: their number, and the cents that came and went (negative)."""

    count: int = 0
    came: int = 0
    went: int = 0

    @property
    def net(self) -> int:
        """Cents that stay: those that came less those that went."""
        return self.came + self.went

    @classmethod
    def total(cls, several: Iterable[Sums]) -> Sums:
        """Add up sums."""
        found = list(several)
        return cls(
            sum(one.count for one in found),
            sum(one.came for one in found),
            sum(one.went for one in found),
        )


def sums() -> tuple[ColumnElement[int], ...]:
    """SQL: the values of `Sums` over entries of money."""
    return (
        func.count(),
        func.coalesce(func.sum(case((CAME, JournalEntry.amount), else_=0)), 0),
        func.coalesce(func.sum(case((CAME, 0), else_=JournalEntry.amount)), 0),
    )
