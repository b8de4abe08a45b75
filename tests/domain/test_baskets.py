"""A basket is cut into payments that lose nothing, double nothing, and keep to every service."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.baskets import BasketItem, Desk, Lot, chain, lots

REGIES = ("CANTINE", "GARDERIE", "EAU")
DESKS = st.fixed_dictionaries(
    {regie: st.builds(Desk, st.booleans(), st.integers(1, 200_000)) for regie in REGIES}
)
ITEMS = st.lists(
    st.tuples(st.sampled_from(REGIES), st.integers(1, 100_000)), max_size=30
).map(lambda found: [BasketItem(n, *item) for n, item in enumerate(found)])


@given(ITEMS, DESKS)
def test_every_invoice_stands_in_one_payment_and_no_cent_is_lost(items, desks):
    found = lots(items, desks)
    assert sorted(id_ for lot in found for id_ in lot.invoice_ids) == [i.invoice_id for i in items]
    assert sum(lot.total for lot in found) == sum(item.balance for item in items)
    by_id = {item.invoice_id: item for item in items}
    for lot in found:
        assert {by_id[id_].regie for id_ in lot.invoice_ids} == {lot.regie}
        assert lot.total == sum(by_id[id_].balance for id_ in lot.invoice_ids)
        if len(lot.invoice_ids) > 1:
            assert desks[lot.regie].several
            assert lot.total <= desks[lot.regie].maximum


@given(ITEMS, DESKS)
def test_payments_of_a_regie_follow_each_other(items, desks):
    regies = [lot.regie for lot in lots(items, desks)]
    assert len([1 for a, b in pairwise(regies) if a != b]) == max(len(set(regies)) - 1, 0)


def test_a_service_that_takes_all_at_once_gets_one_payment():
    desks = {"CANTINE": Desk(several=True, maximum=10_000)}
    items = [BasketItem(1, "CANTINE", 4000), BasketItem(2, "CANTINE", 6000)]
    assert lots(items, desks) == (Lot("CANTINE", (1, 2), 10_000),)


def test_what_is_too_much_together_is_two_payments():
    desks = {"CANTINE": Desk(several=True, maximum=9_999)}
    items = [BasketItem(1, "CANTINE", 4000), BasketItem(2, "CANTINE", 6000)]
    assert [lot.invoice_ids for lot in lots(items, desks)] == [(1,), (2,)]


@pytest.mark.parametrize(("settled", "done", "todo"), [((), 0, 2), ((1,), 1, 1), ((1, 2), 2, 0)])
def test_a_chain_counts_what_is_behind(settled, done, todo):
    desks = {regie: Desk(several=True, maximum=10_000) for regie in REGIES}
    items = [BasketItem(1, "CANTINE", 4000), BasketItem(2, "GARDERIE", 6000)]
    found = chain(
        [i for i in items if i.invoice_id in settled],
        [i for i in items if i.invoice_id not in settled],
        desks,
    )
    assert (len(found.done), len(found.todo), found.count) == (done, todo, 2)
