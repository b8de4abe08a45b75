"""The axis of a chart: round figures, from nothing to what no value passes."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.figures import scale


@pytest.mark.parametrize(
    ("values", "unit", "figures"),
    [((), 1, [0, 1]), ((0, 0), 100, [0, 100]), ((3,), 1, [0, 1, 2, 3]), ((7, 9), 1, [0, 5, 10]),
     ((57415, 32445), 100, [0, 20000, 40000, 60000]), ((99,), 100, [0, 100]), ((-5,), 1, [0, 1])],
)  # fmt: skip
def test_figures_are_round(values, unit, figures):
    assert scale(values, unit) == figures


@given(st.lists(st.integers(-(10**9), 10**12)), st.sampled_from([1, 100]))
def test_every_value_has_its_place_and_few_figures_are_written(values, unit):
    figures = scale(values, unit)
    highest = max([0, *values])
    assert figures[0] == 0
    assert figures[-1] >= highest
    assert 2 <= len(figures) <= 5
    step = figures[1]
    assert {after - before for before, after in pairwise(figures)} == {step}
    assert step % unit == 0
    assert str(step // unit).rstrip("0") in {"1", "2", "5"}
    assert figures[-1] - highest < step or figures == [0, unit]
