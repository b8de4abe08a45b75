"""A portal with the planning in both towns, and browsers in it."""

from __future__ import annotations

import pytest
from planning_towns import TOML, Browser

from core.domain.roles import Role
from core.testing.portal import cheap_hashes, make_portal, pages_of
from plugins.planning import plugin


@pytest.fixture
def portal(database, redis, tmp_path):
    redis.flushall()
    made = make_portal(database, tmp_path, plugins={"planning": plugin}, toml=TOML)
    with cheap_hashes():
        yield made
    made.runtime.redis.close()


@pytest.fixture
def browse(portal):
    """Makes browsers of families, signed in."""

    def sign_in(code="F001", town="valmont"):
        browser = Browser(pages_of(portal.runtime), portal, town)
        browser.sign_in(code)
        return browser

    return sign_in


@pytest.fixture
def office(portal):
    """An agent's browser in Valmont."""
    browser = Browser(pages_of(portal.runtime), portal)
    with portal.town() as town:
        token = town.agent_sessions.open(town.agents.create("a@valmont.test", "Agent", Role.REGISSEUR))
    browser.app.set_cookie("preau_agent", token)
    return browser
