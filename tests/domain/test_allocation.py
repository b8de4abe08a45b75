"""Which invoice a payment pays: in order, never more than is owed, no cent lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.allocation import Due, Share, Split, allocate, total

TWO = (Due(1, 5000), Due(2, 3000))


@pytest.mark.parametrize(
    ("amount", "dues", "split"),
    [
        (0, (), Split((), 0)), (0, TWO, Split((), 0)), (700, (), Split((), 700)),
        (1, TWO, Split((Share(1, 1),), 0)), (5000, TWO, Split((Share(1, 5000),), 0)),
        (5001, TWO, Split((Share(1, 5000), Share(2, 1)), 0)), (8000, TWO, Split((Share(1, 5000), Share(2, 3000)), 0)),
        (8001, TWO, Split((Share(1, 5000), Share(2, 3000)), 1)), (4000, TWO[::-1], Split((Share(2, 3000), Share(1, 1000)), 0)),
        (10, (Due(1, 0), Due(2, 10)), Split((Share(2, 10),), 0)), (10, (Due(1, -5), Due(2, 4)), Split((Share(2, 4),), 6)),
    ],
)  # fmt: skip
def test_what_is_paid_in_order(amount, dues, split):
    assert allocate(amount, dues) == split


def test_a_payment_is_never_negative():
    with pytest.raises(ValueError, match="a payment is never negative"):
        allocate(-1, TWO)


@given(st.integers(0, 10**6), st.lists(st.integers(-100, 10**5), max_size=8))
def test_shares_and_excess_add_up(amount, balances):
    dues = [Due(number, balance) for number, balance in enumerate(balances)]
    split = allocate(amount, dues)
    assert total(split.shares) + split.excess == amount
    by_invoice = {share.invoice_id: share.amount for share in split.shares}
    assert len(by_invoice) == len(split.shares)
    assert all(0 < by_invoice[number] <= balances[number] for number in by_invoice)
    if split.excess:
        assert by_invoice == {number: balance for number, balance in enumerate(balances) if balance > 0}
