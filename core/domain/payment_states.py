"""The life of a payment: which state may follow which.

``created -> pending -> settled | refused | cancelled | expired``, ``settled -> reversed``. A late
"settled" wins over "refused", "cancelled" and "expired", because the money is real; nothing else
leaves a final state.
"""

from __future__ import annotations

from enum import StrEnum


class PaymentState(StrEnum):
    """State of a payment. The text is what the database keeps."""

    CREATED = "created"
    """Asked for here; the provider does not know of it yet."""
    PENDING = "pending"
    """The provider knows it and may still settle it."""
    SETTLED = "settled"
    """The money is there (card) or promised (direct debit)."""
    REFUSED = "refused"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REVERSED = "reversed"
    """It was settled, and came back: a bounced cheque, a returned debit, a refund."""


_CLOSED_UNPAID = frozenset({PaymentState.REFUSED, PaymentState.CANCELLED, PaymentState.EXPIRED})

SOURCES: dict[PaymentState, frozenset[PaymentState]] = {
    PaymentState.CREATED: frozenset(),
    PaymentState.PENDING: frozenset({PaymentState.CREATED}),
    PaymentState.SETTLED: frozenset({PaymentState.CREATED, PaymentState.PENDING}) | _CLOSED_UNPAID,
    PaymentState.REFUSED: frozenset({PaymentState.CREATED, PaymentState.PENDING}),
    PaymentState.CANCELLED: frozenset({PaymentState.CREATED, PaymentState.PENDING}),
    PaymentState.EXPIRED: frozenset({PaymentState.CREATED, PaymentState.PENDING}),
    PaymentState.REVERSED: frozenset({PaymentState.SETTLED}),
}
"""For each state, the states it may be reached from: the WHERE of the conditional UPDATE."""


def may_follow(old: PaymentState, new: PaymentState) -> bool:
    """Tell whether a payment in state `old` may pass to `new`."""
    return old in SOURCES[new]


def is_closed(state: PaymentState) -> bool:
    """Tell whether the parent's attempt is over, whatever its end."""
    return state not in {PaymentState.CREATED, PaymentState.PENDING}
