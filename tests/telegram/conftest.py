"""A simulated Telegram over real HTTP for the tests of the bot."""

import threading
from collections.abc import Iterator

import pytest

from plugins.telegram_bot.simulator.app import Simulator, open_world

TOKEN = "4242:test-token_of-the-town"
USERNAME = "ville_test_bot"


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    world = open_world(None, {TOKEN: USERNAME}, limits=False)
    simulator = Simulator(world)
    thread = threading.Thread(target=simulator.serve, daemon=True)
    thread.start()
    yield simulator
    simulator.close()
    thread.join(5)
