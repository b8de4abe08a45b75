"""One portal a module: these tests look at answers, and leave families as they are."""

from __future__ import annotations

import pytest

from core.testing.portal import make_portal, record


@pytest.fixture(scope="module")
def portal(module_database, tmp_path_factory):
    """A portal where F001, F002 and F003 have an invoice each."""
    made = make_portal(module_database, tmp_path_factory.mktemp("portal"))
    made.runtime.redis.flushall()
    made.publish(*(record(f"{n}", family=f"F00{n}") for n in (1, 2, 3)))
    yield made
    made.runtime.close()


@pytest.fixture(autouse=True)
def no_waiting(request):
    """Attempts of one test do not slow the next."""
    if "portal" in request.fixturenames:
        request.getfixturevalue("portal").runtime.redis.flushall()
