"""A school year against the oracle: no day booked or refused wrongly."""

from __future__ import annotations

import os

import pytest
from planning_year import TOML, live

from core.testing.portal import make_portal
from plugins.planning import plugin

CHILDREN = int(os.environ.get("PREAU_PLANNING_CHILDREN", "24"))


@pytest.fixture
def town(database, redis, tmp_path):
    redis.flushall()
    places = max(3, CHILDREN // 5)
    made = make_portal(database, tmp_path, plugins={"planning": plugin}, toml=TOML.replace("PLACES", str(places)))
    yield made
    made.runtime.redis.close()


def test_a_school_year_of_a_town(town):
    compared = live(town, children=CHILDREN, requests=10 * CHILDREN, places=max(3, CHILDREN // 5), say=print)
    assert compared > 50 * CHILDREN
