"""One basket for all régies: which payments it takes, and in which order.

A payment never crosses régies, some services take one invoice at a time, and each has a largest
amount. A parent sees one basket all the same; this module cuts it into payments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BasketItem:
    """An invoice that a parent wants to pay. `balance` is what is left of it, in cents."""

    invoice_id: int
    regie: str
    balance: int


@dataclass(frozen=True, slots=True)
class Desk:
    """The limits of the service that takes a régie's payments. `maximum` is in cents."""

    several: bool
    maximum: int


@dataclass(frozen=True, slots=True)
class Lot:
    """The invoices of one payment; `total` is in cents."""

    regie: str
    invoice_ids: tuple[int, ...]
    total: int


@dataclass(frozen=True, slots=True)
class Chain:
    """The payments of a basket: those made, and those to make, in order."""

    done: tuple[Lot, ...]
    todo: tuple[Lot, ...]

    @property
    def count(self) -> int:
        """All payments of the basket."""
        return len(self.done) + len(self.todo)


def lots(items: Sequence[BasketItem], desks: Mapping[str, Desk]) -> tuple[Lot, ...]:
    """Cut a basket into payments. The régies keep the order of their first invoices.

    Every item stands in exactly one lot. An invoice above the largest amount of its régie has a lot
    of its own, which the service will refuse by its own words.
    """
    by_regie: dict[str, list[BasketItem]] = {}
    for item in items:
        by_regie.setdefault(item.regie, []).append(item)
    found: list[Lot] = []
    for regie, mine in by_regie.items():
        desk = desks[regie]
        ids: list[int] = []
        total = 0
        for item in mine:
            if ids and (not desk.several or total + item.balance > desk.maximum):
                found.append(Lot(regie, tuple(ids), total))
                ids, total = [], 0
            ids.append(item.invoice_id)
            total += item.balance
        found.append(Lot(regie, tuple(ids), total))
    return tuple(found)


def chain(
    settled: Sequence[BasketItem], open_items: Sequence[BasketItem], desks: Mapping[str, Desk]
) -> Chain:
    """Tell which payments of a basket are behind its payer, and which are to come.

    `settled` carry the amounts that were asked for, so that they make the same lots again.
    """
    return Chain(lots(settled, desks), lots(open_items, desks))
