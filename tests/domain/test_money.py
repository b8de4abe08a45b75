"""Amounts read, written and shared: tables of what is right, at the edges too."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.money import (
    MAX_CENTS,
    AmountError,
    decimal_text,
    parse_amount,
    parse_decimal,
    split_pro_rata,
)


@pytest.mark.parametrize(
    ("text", "cents"),
    [
        ("0", 0), ("00,00", 0), ("1", 100), ("1,5", 150), ("1.05", 105), ("56,87", 5687),
        ("+56,87", 5687), ("-56,87", -5687), ("- 56,87", -5687), ("\u221256,87", -5687), ("+ 1", 100),
        ("1 234,56", 123456), ("1\u00a0234,56 €", 123456), ("1\u202f234\u2009567,8 EUR", 123456780),
        ("12 345 678", 1234567800), (" 12,34\t", 1234), ("12,34 euros", 1234), ("1 euro", 100), ("7€", 700),
        ("000000000012", 1200), ("1000000000", MAX_CENTS), ("1 000 000 000,00", MAX_CENTS),
        ("-1000000000", -MAX_CENTS), ("000999999999", 99999999900),
    ],
)  # fmt: skip
def test_an_amount_has_one_reading(text, cents):
    assert parse_amount(text) == cents


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "€", "-", "+-1", "1,", ",5", "1,234", "1,2,3", "1.234,56", "1,234.56", "12 34", "1 23 456", "01 234",
        "0 123", "1  234", "1e3", "1_000", "²", "٣", "12€5", "1 eurosx", "1000000000,01", "9999999999",
        "1234567890123", "1 234 567 890 123", "12\n34", "1 234 5678",
    ],
)  # fmt: skip
def test_what_would_need_a_guess_is_refused(text):
    with pytest.raises(AmountError):
        parse_amount(text)


@pytest.mark.parametrize(
    ("text", "cents"),
    [
        ("56.87", 5687), ("56", 5600), ("56.", 5600), (".5", 50), (".50", 50), ("2.500", 250), ("-2.5000", -250),
        ("+0.01", 1), ("0", 0), ("\n1.10\r\n", 110), ("0000000000000001", 100), ("1000000000.00000", MAX_CENTS),
        ("-1000000000", -MAX_CENTS),
    ],
)  # fmt: skip
def test_a_decimal_of_programs(text, cents):
    assert parse_decimal(text) == cents


@pytest.mark.parametrize(
    "text", ["", ".", "-", "1,5", "1.001", "1.005", "1e2", "1 000", "1000000000.01", "10000000000", "١", "--1", "0x1"]
)
def test_no_decimal(text):
    with pytest.raises(AmountError):
        parse_decimal(text)


@pytest.mark.parametrize(
    ("cents", "text"),
    [(0, "0,00"), (1, "0,01"), (99, "0,99"), (100, "1,00"), (5687, "56,87"), (-1, "-0,01"), (-5687, "-56,87"),
     (-100, "-1,00"), (MAX_CENTS, "1000000000,00")],
)  # fmt: skip
def test_cents_are_written_in_full(cents, text):
    assert decimal_text(cents) == text


@given(st.integers(-MAX_CENTS, MAX_CENTS))
def test_what_is_written_is_read_again(cents):
    assert parse_amount(decimal_text(cents)) == cents
    assert parse_decimal(decimal_text(cents).replace(",", ".")) == cents


@pytest.mark.parametrize(
    ("total", "weights", "parts"),
    [
        (0, [], []), (0, [0, 0], [0, 0]), (0, [3, 1], [0, 0]), (100, [1], [100]), (100, [1, 1, 1], [34, 33, 33]),
        (101, [1, 1, 1], [34, 34, 33]), (10, [0, 1, 0], [0, 10, 0]), (7, [1, 2, 4], [1, 2, 4]),
        (10, [1, 2, 4], [1, 3, 6]), (5, [3, 3, 3, 3], [2, 1, 1, 1]), (4, [3, 2], [2, 2]), (100, [2, 1], [67, 33]), (99, [1, 2], [33, 66]),
        (1, [1, 2], [0, 1]), (-100, [1, 1], [-50, -50]),
    ],
)  # fmt: skip
def test_cents_are_shared_by_the_largest_remainder(total, weights, parts):
    assert split_pro_rata(total, weights) == parts


@pytest.mark.parametrize(("total", "weights"), [(1, []), (1, [0]), (-1, [0, 0])])
def test_nothing_shares_nothing(total, weights):
    with pytest.raises(ValueError, match="nothing to share the amount over"):
        split_pro_rata(total, weights)


@given(st.integers(0, 10**9), st.lists(st.integers(0, 10**6), min_size=1, max_size=12).filter(any))
def test_no_cent_is_lost_and_no_part_is_a_cent_from_its_due(total, weights):
    parts = split_pro_rata(total, weights)
    assert sum(parts) == total
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part * sum(weights) - total * weight) < sum(weights)
