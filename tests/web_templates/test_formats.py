"""Amounts, days and hours as each language writes them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.money import parse_amount
from core.platform import i18n
from core.platform.templating import hour, moment, money


@pytest.mark.parametrize(
    ("at", "french", "english"),
    [
        ("2026-11-25T13:05:00", "25 novembre 2026 à 14 h 05", "25 November 2026, 14:05"),
        ("2026-11-25T13:00:00", "25 novembre 2026 à 14 h", "25 November 2026, 14:00"),
        ("2026-06-30T22:00:00", "1er juillet 2026 à 0 h", "1 July 2026, 00:00"),
        ("2026-01-31T08:59:59", "31 janvier 2026 à 9 h 59", "31 January 2026, 09:59"),
    ],
)
def test_moments(at, french, english):
    value = datetime.fromisoformat(at).replace(tzinfo=UTC)
    with i18n.use("fr"):
        assert moment(value).replace("\u00a0", " ") == french
        assert " h" not in hour(value), "no line ends between an hour and its h"
    with i18n.use("en"):
        assert moment(value) == english


@pytest.mark.parametrize("language", ["fr", "en"])
def test_less_than_nothing_has_a_minus_sign(language):
    with i18n.use(language):
        assert "\N{MINUS SIGN}" in money(-123456)
        assert "-" not in money(-123456)


@given(st.integers(-10**9, 10**9))
def test_what_is_written_can_be_typed_back(cents):
    """What an agent copies from a page is the amount that the page shows."""
    with i18n.use("fr"):
        assert parse_amount(money(cents)) == cents
