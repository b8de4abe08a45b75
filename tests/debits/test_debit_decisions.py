"""Decisions about one debit, by what is known of it: all orders of what banks tell."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.debit_decisions import (
    CLEAR,
    REJECTING,
    SETTLING,
    Finding,
    Noted,
    Standing,
    after,
    decide,
)
from core.domain.debit_files.report import Told

DAY = date(2026, 3, 10)
TODAY = date(2026, 3, 20)
UNDER = Standing(2000, direct_debit=True, issued_on=date(2026, 3, 1), debit_day=DAY)
PAID = replace(UNDER, left=0)
NOTED = replace(UNDER, left=0, noted=Noted(2000, DAY, 2000))
BACK = replace(UNDER, direct_debit=False, rejected_on=date(2026, 3, 12))


def days(number):
    return DAY + timedelta(days=number)


@pytest.mark.parametrize(
    ("cents", "day", "standing", "finding"),
    [
        (2000, DAY, UNDER, Finding.SETTLE),
        (None, DAY, UNDER, Finding.SETTLE),
        (1500, DAY, UNDER, Finding.OTHER_AMOUNT),
        (2500, DAY, UNDER, Finding.OTHER_AMOUNT),
        (2000, DAY, replace(UNDER, is_held=True), Finding.HELD),
        (2000, DAY, replace(UNDER, direct_debit=False), Finding.SETTLE_ANEW),
        (2000, DAY, PAID, Finding.PAID_TWICE),
        (None, DAY, PAID, Finding.PAID),
        (2000, DAY, NOTED, Finding.NOTED),
        (2000, days(3), NOTED, Finding.NOTED),
        (2100, DAY, NOTED, Finding.NOTED_OTHERWISE),
        (2000, DAY, BACK, Finding.CAME_BACK),
        (2000, days(5), BACK, Finding.AFTER_REJECT),
        (2000, days(30), BACK, Finding.NOT_COME),
        (2000, date(2026, 2, 28), UNDER, Finding.NOT_ISSUED),
        (2000, None, UNDER, Finding.NO_DAY),
    ],
)
def test_the_bank_took_it(cents, day, standing, finding):
    assert decide(Told.SETTLED, cents, day, standing, TODAY) is finding


@pytest.mark.parametrize(
    ("cents", "day", "standing", "finding"),
    [
        (2000, days(2), NOTED, Finding.REVERSE),
        (None, days(2), NOTED, Finding.REVERSE),
        (2500, days(2), NOTED, Finding.REVERSE_OTHER),
        # Noted on a day after the one that the bank means.
        (2000, days(-1), NOTED, Finding.REVERSE),
        (2000, days(2), UNDER, Finding.REFUSE),
        (2000, days(2), PAID, Finding.REFUSE_PAID),
        (2000, days(2), BACK, Finding.KNOWN),
        (2000, days(3), BACK, Finding.KNOWN),
        (2000, days(2), replace(UNDER, direct_debit=False), Finding.NOT_DEBITED),
        # Debited anew since: the word about the first debit comes again, then one about the second.
        (2000, days(2), replace(BACK, direct_debit=True, debit_day=days(9)), Finding.KNOWN),
        (2000, days(9), replace(BACK, direct_debit=True, debit_day=days(9)), Finding.REFUSE),
        (2000, days(2), replace(BACK, left=0, noted=Noted(2000, days(9), 2000)), Finding.KNOWN),
        (2000, days(10), replace(BACK, left=0, noted=Noted(2000, days(9), 2000)), Finding.REVERSE),
    ],
)
def test_it_came_back(cents, day, standing, finding):
    assert decide(Told.REJECTED, cents, day, standing, TODAY) is finding


LINES = st.lists(
    st.tuples(
        st.sampled_from(Told),
        st.sampled_from([None, 1500, 2000, 2500]),
        st.integers(-12, 12).map(days),
    ),
    max_size=12,
)


@given(lines=LINES)
def test_no_order_of_words_takes_money_twice_or_gives_it_back_twice(lines):
    standing, taken = UNDER, 0
    for told, cents, day in lines:
        finding = decide(told, cents, day, standing, TODAY)
        assert finding not in SETTLING or told is Told.SETTLED
        assert finding not in REJECTING or told is Told.REJECTED
        if finding not in CLEAR:
            continue
        before = standing
        standing = after(finding, cents, day, standing)
        if told is Told.SETTLED:
            assert before.noted is None
            assert standing.noted is not None
            taken += standing.noted.cents
        elif before.noted is not None:
            taken -= before.noted.cents
        assert standing.left + taken == 2000
        assert taken in {0, 2000}
        # The same word again says nothing new.
        assert decide(told, cents, day, standing, TODAY) not in CLEAR
