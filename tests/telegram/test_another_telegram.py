"""The bot in front of npm's telegram-test-api, a fake Telegram that none of us wrote.

What our own simulator and our bot would both misunderstand, another author's work need not.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from bot_portals import SECRET, settle, token
from waitress.server import create_server

from core.dev.embedded import free_port
from core.processes.app import make_app
from core.testing.portal import record
from core.testing.waiting import PATIENCE_SECONDS, wait_until
from plugins.telegram_bot import plugin, polling
from plugins.telegram_bot.book import Book
from plugins.telegram_bot.bots import Bots
from plugins.telegram_bot.views import SECRET_HEADER

NODE_MODULES = Path(sys.prefix) / "npm" / "node_modules"
USERNAME = "TestNameBot"
"""Every bot is called so there."""
TOKEN = token("valmont")
CHAT = 31


@pytest.fixture(scope="module")
def telegram():
    node = shutil.which("node")
    assert node, "Node.js is missing: make test installs it"
    assert NODE_MODULES.is_dir(), "the fake Telegram is missing: make test installs it"
    port = free_port()
    script = Path(__file__).with_name("telegram_test_api.cjs")
    with subprocess.Popen(
        [node, script, NODE_MODULES.parent, str(port)],
        stdout=subprocess.PIPE, env={"PATH": os.environ["PATH"]},
    ) as process:  # fmt: skip
        assert process.stdout.readline() == b"ready\n"
        yield f"http://127.0.0.1:{port}"
        assert process.poll() is None, "it fell over"
        process.terminate()


class Player:
    """A parent who plays by telegram-test-api's own interface."""

    def __init__(self, url: str, chat: int) -> None:
        self._url = url
        self._who = {"id": chat, "first_name": "Camille", "is_bot": False}
        self._chat = {"id": chat, "type": "private", "first_name": "Camille"}
        self.id = chat

    def _post(self, path: str, body: dict) -> dict:
        return httpx.post(self._url + path, json=body, trust_env=False, timeout=PATIENCE_SECONDS).raise_for_status().json()

    def _do(self, path: str, **fields: object) -> None:
        common = {"botToken": TOKEN, "from": self._who, "date": int(time.time())}
        self._post(path, common | fields)

    def types(self, words: str) -> None:
        self._do("/sendMessage", chat=self._chat, text=words)

    def commands(self, words: str) -> None:
        entity = {"type": "bot_command", "offset": 0, "length": len(words.split(maxsplit=1)[0])}
        self._do("/sendCommand", chat=self._chat, text=words, entities=[entity])

    def taps(self, label: str) -> None:
        number, message = next(
            (number, message)
            for number, message in reversed(self.read().items())
            if label in str(message.get("reply_markup"))
        )
        rows = message["reply_markup"]["inline_keyboard"]
        data = next(b["callback_data"] for row in rows for b in row if label in b["text"])
        under = {"message_id": number, "chat": self._chat, "date": int(time.time())}
        self._do("/sendCallback", message=under, data=data)

    def read(self) -> dict[int, dict]:
        """What the bot wrote here, as it stands now, by the messages' numbers."""
        history = self._post("/getUpdatesHistory", {"token": TOKEN})["result"]
        return {
            item["messageId"]: item["message"]
            for item in history
            if "chat_id" in item.get("message", {}) and item["message"]["chat_id"] == str(self.id)
        }


@contextmanager
def by_polling(portal):
    """`preau telegram poll`, as long as the block lasts."""
    bots, over = Bots(), threading.Event()
    with portal.town() as town:
        towns = {"valmont": plugin.settings(town)}

    async def poll():
        task = asyncio.create_task(polling.poll(bots, towns, portal.town))
        await asyncio.to_thread(over.wait)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    thread = threading.Thread(target=bots.run, args=[poll()])
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        bots.close()


@contextmanager
def by_webhook(portal, port):
    """The portal's own application behind a server, and `preau telegram webhook`."""
    server = create_server(make_app(portal.runtime), host="127.0.0.1", port=port)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    with portal.town() as town:
        settings, url = plugin.settings(town), f"{town.town.base_url}/+telegram_bot/webhook"
    polling.announce(plugin.bots, settings, url)
    forged = httpx.post(url, json={"update_id": 1}, headers={SECRET_HEADER: SECRET + "x"}, timeout=PATIENCE_SECONDS)
    try:
        assert forged.status_code == 403
        yield
        polling.announce(plugin.bots, settings, "")
    finally:
        server.close()
        thread.join(5)


@pytest.mark.parametrize("way", ["polling", "webhook"])
def test_linked_read_and_paid_in_front_of_anothers_telegram(bot_portal, telegram, way):
    port = free_port()
    portal = bot_portal(telegram, username=USERNAME, public_url=f"http://127.0.0.1:{port}")
    portal.publish(record("1"), record("2", amount=1000, label="CANTINE mars"))
    parent = Player(telegram, CHAT + (way == "webhook"))

    def until(said):
        """Let the workers work until the chat holds a message about which `said` is true."""
        found = []

        def is_there():
            portal.work()
            found.extend(m for m in parent.read().values() if said(m))
            if not found:
                portal.clock.pass_time(seconds=1)
            return found

        wait_until(is_there, said=parent.read)
        return found[-1]

    def text(words):
        return lambda message: words in message.get("text", "")

    with by_polling(portal) if way == "polling" else by_webhook(portal, port):
        parent.commands("/factures")
        until(text("aucun dossier"))
        with portal.town() as town:
            family = town.families.by_code("F001")
            start = Book(town).new_token(family.id)
        parent.commands(f"/start {start}")
        until(text("Relier cette discussion"))
        parent.taps("Oui, relier")
        until(text("cette discussion est reliée"))
        assert not [m for m in parent.read().values() if "Relier cette" in m.get("text", "")], (
            "the question was edited in place"
        )
        parent.types("mes factures")
        shown = until(text("66,87"))
        assert "/valmont/payer/" in shown["reply_markup"]["inline_keyboard"][0][0]["url"]

        with portal.town() as town:
            (invoice,) = town.invoices.by_number("1")
        settle(portal, invoice)
        until(text("payée"))
        receipt = until(lambda message: "document" in message)
        assert receipt["document"]["mime_type"] == "application/pdf"
        assert receipt["starts"] == "%PDF-"

        count = len(parent.read())
        parent.types("une phrase que personne ne comprend ici")
        until(text("pas compris"))
        assert len(parent.read()) == count + 1
    with portal.town() as town:
        assert plugin.health_checks(ctx=town)[0].check() == ""
