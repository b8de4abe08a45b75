"""Sharing of the cents of a payment among invoices."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Due:
    """Balance due of one invoice, in cents; never negative."""

    invoice_id: int
    balance: int


@dataclass(frozen=True, slots=True)
class Share:
    """The cents that go to one invoice; always positive."""

    invoice_id: int
    amount: int


@dataclass(frozen=True, slots=True)
class Split:
    """Shares of an amount, and the excess that no invoice could take (a credit), in cents."""

    shares: tuple[Share, ...]
    excess: int


def allocate(amount: int, dues: Sequence[Due]) -> Split:
    """Give `amount` cents to `dues` in their order, never more to one than it still owes.

    The order is the caller's: what the payer designated first, then the oldest (Code civil,
    art. 1342-10). Shares and excess always add up to `amount`.
    """
    if amount < 0:
        raise ValueError("a payment is never negative")
    left = amount
    shares = []
    for due in dues:
        taken = min(left, max(due.balance, 0))
        if taken:
            shares.append(Share(due.invoice_id, taken))
            left -= taken
    return Split(tuple(shares), left)


def total(shares: Iterable[Share]) -> int:
    """Add up the cents of `shares`."""
    return sum(share.amount for share in shares)
