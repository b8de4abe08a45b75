from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.tax import (
    CareRow,
    TaxInvoice,
    TaxLine,
    TaxShare,
    care_paid,
    ceiling,
    countable,
    is_under_age,
    line_weights,
    pay_lines,
)

MARCH, JUNE, NEXT = date(2025, 3, 4), date(2025, 6, 2), date(2026, 1, 3)


def line(amount, *, care=True, child=1, activity="GARDERIE SOIR"):
    return TaxLine(child, activity, care, amount)


def meal(amount, child=1):
    return line(amount, care=False, child=child, activity="REPAS")


def share(amount, on=MARCH, *, payment=1, invoice=1, payer="MARTIN CELINE"):
    return TaxShare(payment, invoice, on, payer, amount)


def test_meals_never_count():
    invoice = TaxInvoice(1, 5687, (meal(4160), line(1527)))
    rows = care_paid(2025, [invoice], [share(5687)])
    assert [(row.activity, row.amount) for row in rows] == [("GARDERIE SOIR", 1527)]


def test_a_partial_payment_pays_care_in_proportion():
    invoice = TaxInvoice(1, 10000, (meal(7500), line(2500)))
    assert [row.amount for row in care_paid(2025, [invoice], [share(1000)])] == [250]


def test_the_date_of_payment_decides_the_year():
    invoice = TaxInvoice(1, 1001, (line(1001),))
    shares = [share(500), share(501, NEXT, payment=2)]
    assert [row.amount for row in care_paid(2025, [invoice], shares)] == [500]
    assert [row.amount for row in care_paid(2026, [invoice], shares)] == [501]
    assert care_paid(2024, [invoice], shares) == ()


def test_each_payer_and_child_has_own_rows():
    invoice = TaxInvoice(1, 3000, (line(2000, child=1), line(1000, child=2)))
    shares = [share(1500, payer="A"), share(1500, JUNE, payment=2, payer="B")]
    rows = care_paid(2025, [invoice], shares)
    assert [(row.payer, row.child, row.amount) for row in rows] == [
        ("A", 1, 1000), ("A", 2, 500), ("B", 1, 1000), ("B", 2, 500),
    ]  # fmt: skip


def test_a_payer_s_rows_are_by_child_then_by_day():
    """A line that names no child comes last, whenever it was paid."""
    invoices = [
        TaxInvoice(1, 500, (line(300, child=2), line(200, child=None))),
        TaxInvoice(2, 900, (line(900, child=1),)),
    ]
    rows = care_paid(2025, invoices, [share(500), share(900, JUNE, payment=2, invoice=2)])
    assert [(row.child, row.paid_on, row.amount) for row in rows] == [
        (1, JUNE, 900), (2, MARCH, 300), (None, MARCH, 200),
    ]  # fmt: skip


def test_lines_of_one_activity_make_one_row():
    invoice = TaxInvoice(1, 300, (line(100), line(200)))
    assert care_paid(2025, [invoice], [share(300)]) == (
        CareRow("MARTIN CELINE", 1, MARCH, 1, 1, "GARDERIE SOIR", 300),
    )


def test_a_rebate_lowers_the_care_it_belongs_to():
    invoice = TaxInvoice(1, 900, (meal(500), line(600), line(-200, activity="REMISE")))
    assert [row.amount for row in care_paid(2025, [invoice], [share(900)])] == [400]


def test_a_rebate_of_another_kind_is_spread_over_all_lines():
    invoice = TaxInvoice(1, 800, (meal(500), line(500), line(-200, care=False, child=None)))
    assert [row.amount for row in care_paid(2025, [invoice], [share(800)])] == [400]


def test_what_no_line_explains_is_not_care():
    assert [row.amount for row in care_paid(2025, [TaxInvoice(1, 200, (line(100),))],
                                            [share(100)])] == [50]  # fmt: skip
    assert care_paid(2025, [TaxInvoice(1, 200, ())], [share(200)]) == ()


def test_more_than_the_invoice_asks_is_not_care():
    rows = care_paid(2025, [TaxInvoice(1, 100, (line(100),))], [share(150)])
    assert [row.amount for row in rows] == [100]


def test_a_negative_payment_is_refused():
    with pytest.raises(ValueError, match="negative"):
        pay_lines(TaxInvoice(1, 100, (line(100),)), [-1])


@pytest.mark.parametrize(
    ("born_on", "expected"),
    [
        (date(2018, 12, 31), False),
        (date(2019, 1, 1), True),
        (date(2019, 1, 2), True),
        (date(2025, 7, 1), True),
    ],
)
def test_under_six_on_the_first_of_january(born_on, expected):
    assert is_under_age(born_on, 2025) is expected


def test_ceilings():
    assert ceiling(2021) == 230_000
    assert ceiling(2025) == 350_000
    assert ceiling(2025, shared_custody=True) == 175_000
    assert countable(400_000, 2025) == 350_000
    assert countable(1, 2025) == 1


lines_of_one = st.lists(
    st.builds(
        line,
        st.integers(-3000, 20000),
        care=st.booleans(),
        child=st.sampled_from([1, 2, None]),
        activity=st.sampled_from(["MATIN", "SOIR", "MERCREDI"]),
    ),
    max_size=12,
)


@st.composite
def invoices_paid(draw):
    lines = tuple(draw(lines_of_one))
    amount = draw(st.one_of(st.just(max(sum(x.amount for x in lines), 1)), st.integers(1, 99999)))
    cuts = sorted(draw(st.lists(st.integers(0, amount), max_size=6)))
    parts = [after - before for before, after in zip([0, *cuts], [*cuts, amount], strict=True)]
    return TaxInvoice(1, amount, lines), parts


@given(invoices_paid())
def test_cents_add_up_however_often_one_pays(case):
    invoice, parts = case
    weights = line_weights(invoice)
    paid = pay_lines(invoice, parts)
    assert [sum(column) for column in zip(*paid, strict=True)] == weights
    assert all(cents >= 0 for payment in paid for cents in payment)
    assert all(sum(row) <= amount for row, amount in zip(paid, parts, strict=True))
    assert sum(weights) <= invoice.amount


@given(invoices_paid(), st.permutations(range(7)))
def test_care_is_what_the_care_lines_got_in_any_order_of_the_shares(case, order):
    invoice, parts = case
    shares = [
        share(part, date(2024 + index % 3, 5, 1), payment=index, payer=f"P{index % 2}")
        for index, part in enumerate(parts)
    ]
    rows = [row for year in (2024, 2025, 2026) for row in care_paid(year, [invoice], shares)]
    expected = sum(
        weight
        for weight, line in zip(line_weights(invoice), invoice.lines, strict=True)
        if line.care
    )
    assert sum(row.amount for row in rows) == expected
    shuffled = [shares[index] for index in order if index < len(shares)]
    assert care_paid(2025, [invoice], shuffled) == care_paid(2025, [invoice], shares)


@given(lines_of_one)
def test_weights_are_net_of_rebates(lines):
    total = sum(line.amount for line in lines)
    weights = line_weights(TaxInvoice(1, max(total, 1), tuple(lines)))
    assert sum(weights) == max(total, 0)
    assert all(weight <= max(line.amount, 0) for weight, line in zip(weights, lines, strict=True))
