"""Times to ask a payment provider again: the main way, since a notification may never come."""

from __future__ import annotations

import random
from datetime import timedelta

from core.domain.payment_states import PaymentState, is_closed

WATCHED_FOR = timedelta(days=8)
"""After this, an attempt without a final answer is for a person to look at."""


def poll_interval(age: timedelta) -> timedelta:
    """Time to wait before asking again about an attempt of this age (PAYFIP.md 4).

    Dense while the parent is likely to be paying; then sparse, until the provider has settled its
    day. Intervals stay above what one missed notification costs.
    """
    if age < timedelta(minutes=10):
        return timedelta(minutes=1)
    if age < timedelta(hours=2):
        return timedelta(minutes=7)
    if age < timedelta(hours=26):
        return timedelta(minutes=30)
    if age < WATCHED_FOR:
        return timedelta(hours=6)
    return timedelta(days=1)


SOONEST_RETRY = timedelta(minutes=5)
RETRIES_AN_INTERVAL = 6


def retry_interval(age: timedelta) -> timedelta:
    """Time to wait before asking again after a question that found no answer.

    An attempt whose question fell into an outage is not answered half an hour after the others,
    just because it was due then.
    """
    regular = poll_interval(age)
    return min(regular, max(SOONEST_RETRY, regular / RETRIES_AN_INTERVAL))


def spread(interval: timedelta) -> timedelta:
    """The interval less up to a tenth: what an outage brought together does not stay together."""
    return interval * random.uniform(0.9, 1.0)  # noqa: S311 - no secret


DOUBTFUL_WATCHED_FOR = timedelta(days=90)


def still_watched(state: PaymentState, age: timedelta, *, may_be_paid: bool = False) -> bool:
    """True if the poller goes on asking about the attempt.

    A refused or cancelled attempt is watched until the next morning: a late "paid" is real money.
    One whose money may be there keeps its invoices from being paid, so it is asked after for long:
    a clean answer ends that.
    """
    if state in {PaymentState.SETTLED, PaymentState.REVERSED}:
        return False
    if may_be_paid:
        return age < DOUBTFUL_WATCHED_FOR
    if is_closed(state):
        return age < timedelta(hours=30)
    return age < WATCHED_FOR
