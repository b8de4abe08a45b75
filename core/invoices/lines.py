"""A line of an invoice, as pages and papers show it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class LineInfo:
    """A line of an invoice, as shown. Amounts are cents."""

    activity: str
    child: str
    tax_kind: str
    quantity: Decimal | None
    unit_price: int | None
    amount: int
    rank: int = 0
