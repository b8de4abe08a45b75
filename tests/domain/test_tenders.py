"""Several means in one visit: every cent is accounted for, and change is given on cash alone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from core.domain.allocation import Due, Share
from core.domain.tenders import Taken, Tender, cash_is_too_much, settle

CENTS = st.integers(1, 50_000)
DUES = st.lists(st.integers(0, 30_000), max_size=5).map(
    lambda sums: [Due(number, cents) for number, cents in enumerate(sums, 1)]
)
CAPS = st.none() | st.dictionaries(st.integers(1, 5), st.integers(0, 20_000), max_size=5)
TENDERS = st.lists(
    st.builds(Tender, CENTS, st.just(True)) | st.builds(Tender, CENTS, st.just(False), CAPS),
    min_size=1,
    max_size=5,
)


def paid(taken):
    sums = {}
    for one in taken:
        for share in one.shares:
            sums[share.invoice_id] = sums.get(share.invoice_id, 0) + share.amount
    return sums


@given(TENDERS, DUES, st.booleans())
def test_every_cent_is_accounted_for(tenders, dues, keep):
    taken = settle(tenders, dues, keep=keep)
    for tender, one in zip(tenders, taken, strict=True):
        assert one.kept + one.change == tender.given
        assert min(one.excess, one.change) == 0 <= one.kept
        assert all(share.amount > 0 for share in one.shares)
        if not tender.is_cash or keep:
            assert one.change == 0
        if tender.is_cash and not keep:
            assert one.excess == 0
    balances = {due.invoice_id: due.balance for due in dues}
    sums = paid(taken)
    assert all(cents <= balances[invoice] for invoice, cents in sums.items())
    # Money is too much only if all that it may pay is paid.
    for tender, one in zip(tenders, taken, strict=True):
        if one.excess + one.change and tender.pays is None:
            assert sums == {i: cents for i, cents in balances.items() if cents}


@given(TENDERS, DUES)
def test_titles_never_pay_more_than_they_may_together(tenders, dues):
    taken = settle(tenders, dues, keep=True)
    for due in dues:
        by_titles = [
            (tender.pays.get(due.invoice_id, 0), share.amount)
            for tender, one in zip(tenders, taken, strict=True)
            if tender.pays is not None
            for share in one.shares
            if share.invoice_id == due.invoice_id
        ]
        assert sum(cents for _cap, cents in by_titles) <= max([0, *(cap for cap, _cents in by_titles)])
        assert all(cents <= cap for cap, cents in by_titles)


@given(TENDERS, DUES, st.randoms(use_true_random=False))
def test_the_order_of_typing_changes_no_sum(tenders, dues, random):
    free = [tender for tender in tenders if tender.pays is None]
    shuffled = sorted(free, key=lambda _one: random.random())
    one, other = (settle(order, dues, keep=False) for order in (free, shuffled))
    assert paid(one) == paid(other)
    assert sum(part.change for part in one) == sum(part.change for part in other)
    assert sum(part.excess for part in one) == sum(part.excess for part in other)


def test_titles_first_cash_last():
    taken = settle(
        [Tender(5000, is_cash=True), Tender(2000, pays={1: 1500}), Tender(3000)],
        [Due(1, 4000), Due(2, 2000)],
        keep=False,
    )
    assert taken == [
        Taken((Share(2, 1500),), change=3500),
        Taken((Share(1, 1500),), excess=500),
        Taken((Share(1, 2500), Share(2, 500))),
    ]


@given(TENDERS, DUES, st.integers(100, 60_000))
def test_the_cash_limit_looks_at_the_whole_debt(tenders, dues, limit):
    taken = settle(tenders, dues, keep=False)
    cash = sum(one.kept for tender, one in zip(tenders, taken, strict=True) if tender.is_cash)
    whole = sum(one.kept for one in taken)
    assert cash_is_too_much(tenders, taken, limit) == (cash > 0 and whole > limit)


def test_titles_take_from_each_other_where_their_activities_meet():
    care, meals, both = (frozenset(names) for names in (("care",), ("meals",), ("care", "meals")))
    dues = [Due(1, 5000)]
    apart = [Tender(3000, pays={1: 3000}, names=care), Tender(2000, pays={1: 2000}, names=meals)]
    assert [one.excess for one in settle(apart, dues, keep=False)] == [0, 0]
    meet = [Tender(3000, pays={1: 3000}, names=care), Tender(4000, pays={1: 5000}, names=both)]
    assert [one.excess for one in settle(meet, dues, keep=False)] == [0, 2000]
