"""The town is closed for maintenance while parents write: they are told so, and answered afterwards."""

from __future__ import annotations

import pytest
from bot_portals import SECRET, token
from webtest import TestApp

from core.platform.tenancy.models import TownState
from core.testing.fakes import TOWNS
from core.testing.portal import pages_of
from plugins.telegram_bot.views import SECRET_HEADER

CHAT = 1001
WORDS = "en maintenance"


@pytest.fixture
def portal(bot_portal, simulator):
    for slug in TOWNS:
        simulator.world.add_bot(token(slug), f"{slug}_bot")
    return bot_portal(simulator.url)


@pytest.fixture
def state(portal, servers):
    """Closes and opens the town."""

    def state(wanted):
        name = portal.runtime.engine.url.database
        servers.execute(f"UPDATE tenant SET state = '{wanted}' WHERE id = 'valmont'", database=name)

    return state


def test_a_webhook_of_a_closed_town_is_brought_again_and_the_parent_is_told_once(portal, simulator, state):
    world = simulator.world
    bot, person = world.bots[token("valmont")], world.people[CHAT]
    world.types(bot, person, "/start")
    (update,), bot.updates = bot.updates, []
    app = TestApp(pages_of(portal.runtime), extra_environ={"HTTP_HOST": "localhost"})

    def post(status):
        return app.post_json(
            "/valmont/+telegram_bot/webhook", update, headers={SECRET_HEADER: SECRET}, status=status
        )

    def said():
        return [sent["text"] for sent in world.chat(bot, CHAT).messages if sent["from"]["is_bot"]]

    for closed in (TownState.CLOSED, TownState.MOVED, TownState.ARRIVING):
        state(closed)
        assert post(503).headers["Retry-After"] == "30"
    assert [WORDS in text for text in said()] == [True]
    state(TownState.OPEN)
    post(200)
    portal.work()
    assert [WORDS in text for text in said()] == [True, False]
