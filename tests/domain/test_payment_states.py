"""The life of a payment, as one table: what may follow what, and nothing else."""

from __future__ import annotations

from itertools import product

import pytest

from core.domain.payment_states import SOURCES, PaymentState, is_closed, may_follow

S = PaymentState
AFTER = {
    S.CREATED: {S.PENDING, S.SETTLED, S.REFUSED, S.CANCELLED, S.EXPIRED},
    S.PENDING: {S.SETTLED, S.REFUSED, S.CANCELLED, S.EXPIRED},
    S.SETTLED: {S.REVERSED},
    S.REFUSED: {S.SETTLED},
    S.CANCELLED: {S.SETTLED},
    S.EXPIRED: {S.SETTLED},
    S.REVERSED: set(),
}
"""A late "settled" wins over what was closed unpaid: the money is there."""


def test_what_may_follow():
    for old, new in product(S, S):
        assert may_follow(old, new) is (new in AFTER[old]), (old, new)
        assert (old in SOURCES[new]) is may_follow(old, new), (old, new)


@pytest.mark.parametrize("state", S)
def test_an_attempt_is_over_but_at_its_beginning(state):
    assert is_closed(state) is (state not in {S.CREATED, S.PENDING})


def test_the_database_keeps_these_words():
    assert [state.value for state in S] == [
        "created", "pending", "settled", "refused", "cancelled", "expired", "reversed",
    ]  # fmt: skip
