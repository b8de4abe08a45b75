"""Several means given in one visit at the counter: what each pays, and the change.

Titles that may pay some activities only come first, so that other money is left for the rest; cash
comes last, because change is given on nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.domain.allocation import Due, Share, allocate, total


@dataclass(frozen=True, slots=True)
class Tender:
    """Cents given by one means. `pays` are the cents of each invoice that it may pay."""

    given: int
    is_cash: bool = False
    pays: Mapping[int, int] | None = None
    """None: the means pays whatever is due."""
    names: frozenset[str] = frozenset()
    """Names of the activities that it may pay; two without names may pay the same."""


@dataclass(frozen=True, slots=True)
class Taken:
    """Use of one tender: shares, excess and change add up to what was given."""

    shares: tuple[Share, ...]
    excess: int = 0
    """Cents that no invoice takes, and that stay with the régie."""
    change: int = 0

    @property
    def kept(self) -> int:
        """Cents that the régie keeps."""
        return total(self.shares) + self.excess


def settle(tenders: Sequence[Tender], dues: Sequence[Due], *, keep: bool) -> list[Taken]:
    """Say what each tender pays of `dues`, in the order of the tenders.

    Cash that is too much is given back, unless the family leaves it: `keep`.
    """
    left = {due.invoice_id: max(due.balance, 0) for due in dues}
    # What one title pays of an activity, another cannot pay again.
    used: list[tuple[frozenset[str], int, int]] = []
    found: dict[int, Taken] = {}
    for index in sorted(range(len(tenders)), key=lambda index: _turn(tenders[index], left)):
        tender = tenders[index]
        open_to = left
        if tender.pays is not None:
            caps = dict(tender.pays)
            for names, invoice, cents in used:
                if names & tender.names or not (names and tender.names):
                    caps[invoice] = caps.get(invoice, 0) - cents
            open_to = {
                invoice: min(cents, max(caps.get(invoice, 0), 0))
                for invoice, cents in left.items()
            }
        split = allocate(tender.given, [Due(*item) for item in open_to.items()])
        for share in split.shares:
            left[share.invoice_id] -= share.amount
            if tender.pays is not None:
                used.append((tender.names, share.invoice_id, share.amount))
        back = tender.is_cash and not keep
        found[index] = Taken(
            split.shares, 0 if back else split.excess, split.excess if back else 0
        )
    return [found[index] for index in range(len(tenders))]


def _turn(tender: Tender, left: Mapping[int, int]) -> tuple[int, int]:
    if tender.pays is not None:
        return 0, sum(min(cents, tender.pays.get(invoice, 0)) for invoice, cents in left.items())
    return (2 if tender.is_cash else 1), 0


def cash_is_too_much(tenders: Sequence[Tender], taken: Sequence[Taken], limit: int) -> bool:
    """Tell whether cash pays a debt of more than `limit` cents.

    The limit is on the whole debt that is paid at once, however many invoices and means make it.
    """
    cash = sum(
        one.kept for tender, one in zip(tenders, taken, strict=True) if tender.is_cash
    )
    return cash > 0 and sum(one.kept for one in taken) > limit
