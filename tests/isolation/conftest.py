"""Two full towns, made once a run and put into a database for each module, which may change them."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
from isolation_towns import fill_the_rest, live_in, make_full_portal
from kept_rows import keep, put_back
from redis import Redis
from sqlalchemy.engine import make_url

from core.testing.fakes import TOWNS
from core.testing.prepared import FOLDER, alone


@pytest.fixture(scope="module")
def full(servers, module_database, tmp_path_factory):
    """A portal with two towns in which two families each did all that one can do."""
    with Redis.from_url(module_database.redis_url) as redis:
        redis.flushall()
    kept = kept_towns()
    made = kept / "portal.pickle"
    with (
        alone(kept.with_suffix(".lock")),
        servers.connect(make_url(module_database.owner_url).database) as connection,
    ):
        if made.exists():
            put_back(connection, kept / "rows")
        portal = make_full_portal(module_database, tmp_path_factory.mktemp("full"))
        if made.exists():
            portal.families, bank = pickle.loads(made.read_bytes())
            vars(portal.bank).update(bank)
        else:
            portal.families = lives(portal)
            keep(connection, kept / "rows")
            made.write_bytes(pickle.dumps((portal.families, vars(portal.bank))))
    yield portal
    portal.runtime.close()


@pytest.fixture
def as_before(full, servers):
    """Undo afterwards what a test does in the two full towns, for the others of its module."""
    yield
    with servers.connect(full.runtime.engine.url.database) as connection:
        put_back(connection, kept_towns() / "rows")


def kept_towns():
    """The folder that keeps what the towns are made of."""
    return Path(os.environ[FOLDER]) / "full"


def lives(portal):
    """What names the things of each family, once all of them have done everything."""
    families = {
        (slug, family): live_in(portal, slug, family)
        for slug in TOWNS
        for family in ("F001", "F002")
    }
    for slug in TOWNS:
        with portal.town(slug) as town:
            fill_the_rest(town.session, slug)
    return families
