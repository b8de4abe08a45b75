"""Two full towns, made once a module: the tests here change nothing of the town next door."""

from __future__ import annotations

import pytest
from isolation_towns import fill_the_rest, live_in, make_full_portal
from redis import Redis

from core.testing.fakes import TOWNS


@pytest.fixture(scope="module")
def full(module_database, tmp_path_factory):
    """A portal with two towns in which two families each did all that one can do."""
    with Redis.from_url(module_database.redis_url) as redis:
        redis.flushall()
    portal = make_full_portal(module_database, tmp_path_factory.mktemp("full"))
    try:
        portal.families = {
            (slug, family): live_in(portal, slug, family)
            for slug in TOWNS
            for family in ("F001", "F002")
        }
        for slug in TOWNS:
            with portal.town(slug) as town:
                fill_the_rest(town.session, slug)
        yield portal
    finally:
        portal.runtime.close()
