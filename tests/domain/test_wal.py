"""Positions in the journal: what is read, kept, and needed of a standby."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain import wal


@pytest.mark.parametrize(
    ("lsn", "position"),
    [("0/0", 0), ("0/3000060", 0x3000060), ("16/B374D848", 0x16B374D848), ("FFFFFFFF/FFFFFFFF", 2**64 - 1)],
)
def test_a_position_as_postgresql_writes_it(lsn, position):
    assert wal.position_of(lsn) == position


@pytest.mark.parametrize("lsn", ["", "0", "0/", "/0", "0/123456789", "g/0", "0/0\n"])
def test_what_is_no_position(lsn):
    with pytest.raises(ValueError, match=r".*"):
        wal.position_of(lsn)


@given(st.integers(0, wal.UNKNOWN))
def test_what_a_browser_keeps_is_what_it_was_given(position):
    assert wal.read(wal.written(position)) == position


@given(st.text())
def test_what_no_page_gave_needs_the_primary_at_worst(mark):
    assert 0 <= wal.read(mark) <= wal.UNKNOWN


@given(
    st.lists(st.tuples(st.floats(0, 20), st.integers(0, 1000)), max_size=30),
    st.floats(0, 20),
)
def test_a_standby_at_the_floor_is_within_the_bound(steps, wait):
    """Each step is some seconds, in which the primary writes some bytes; then somebody reads."""
    bound, now, position = 10.0, 0.0, 0
    sightings, history = wal.Sightings(bound), []
    for seconds, written in steps:
        now += seconds
        position += written
        history.append((now, position))
        if sightings.is_due(now):
            sightings.add(now, position)
    now += wait
    floor = sightings.floor(now)
    old = [seen for when, seen in history if when <= now - bound]
    # Everything that was there a bound ago is below the floor; of an older past nothing is known.
    assert floor >= max(old, default=0)
    assert floor == wal.UNKNOWN or floor <= position
