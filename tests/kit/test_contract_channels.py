"""E-mail, over real SMTP, and Telegram, against its simulator, keep the contract of channels."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from sqlalchemy import text

from core.api.messages import Address
from core.dev.embedded import free_port
from core.dev.mail_server import MailServer
from core.dev.mailbox import Receiver, Store
from core.messages.email import channel as email
from core.messages.email import smtp
from core.testing.conformance import NotificationChannelContract
from core.testing.portal import make_portal, record
from plugins.telegram_bot import TelegramBot
from plugins.telegram_bot.book import Book
from plugins.telegram_bot.channel import TelegramChannel
from plugins.telegram_bot.courier import Courier
from plugins.telegram_bot.simulator.app import Simulator, open_world

CHAT, TOKEN = 1001, "4242:test-token_of-the-town"
BOT = f"""
[plugins.telegram_bot]
token = "{TOKEN}"
bot_username = "ville_test_bot"
webhook_secret = "a-webhook-secret-for-tests"
base_url = "{{url}}"
"""


class TestEmail(NotificationChannelContract):
    @pytest.fixture(autouse=True)
    def _opened(self, database, redis, tmp_path, monkeypatch):
        self.monkeypatch = monkeypatch
        self.store = Store(tmp_path / "mailbox")
        controller = MailServer(Receiver(self.store), hostname="127.0.0.1", port=free_port())
        controller.start()
        portal = make_portal(database, tmp_path / "portal", smtp_port=controller.port)
        portal.publish(record("1"))
        with portal.town() as town:
            self.town, self.family_id = town, town.families.by_code("F001").id
            town.alerts.add(self.family_id, "camille@exemple.fr")
            town.session.execute(text("UPDATE contact_email SET confirmed_at = now()"))
            yield
        portal.runtime.close()
        controller.stop()

    @pytest.fixture
    def channel(self):
        return email.EmailChannel(self.town)

    @pytest.fixture
    def family(self):
        return self.family_id

    def received(self):
        # A mailbox shows mails of one Message-ID once.
        return sorted({mail.header("Message-ID") for mail in self.store.mails()})

    def gone(self):
        return Address("refuse@exemple.fr", self.family_id)

    def elsewhere(self, place):
        self.monkeypatch.setattr(smtp, "REPLY_TIMEOUT_SECONDS", 1)
        moved = {"smtp_host": place.host, "smtp_port": place.port}
        shared = self.town._shared
        settings = shared.settings.model_copy(update=moved)
        self.town._shared = replace(shared, settings=settings)
        return email.EmailChannel(self.town)


class TestTelegram(NotificationChannelContract):
    @pytest.fixture(autouse=True)
    def _opened(self, database, redis, tmp_path):
        simulator = Simulator(open_world(None, {TOKEN: "ville_test_bot"}, limits=False))
        thread = threading.Thread(target=simulator.serve, daemon=True)
        thread.start()
        self.world = simulator.world
        self.bot, self.person = self.world.bots[TOKEN], self.world.people[CHAT]
        self.world.types(self.bot, self.person, "/start")
        plugin = TelegramBot()
        self.portal = make_portal(
            database, tmp_path, plugins={"telegram_bot": plugin}, toml=BOT.format(url=simulator.url)
        )
        self.portal.publish(record("1"))
        with self.portal.town() as town:
            self.town, self.plugin = town, plugin
            self.family_id = town.families.by_code("F001").id
            Book(town).link(CHAT, self.family_id, name="Camille", language="fr")
            self.said = len(self.world.chat(self.bot, CHAT).messages)
            yield
        self.portal.runtime.close()
        plugin.bots.close()
        simulator.close()
        thread.join(5)

    @pytest.fixture
    def channel(self):
        return TelegramChannel(self.town, self.plugin.courier(self.town))

    @pytest.fixture
    def family(self):
        return self.family_id

    def received(self):
        messages = self.world.chat(self.bot, CHAT).messages[self.said :]
        return [str(message["message_id"]) for message in messages]

    def gone(self):
        self.world.blocks(self.bot, self.person, blocked=True)
        return Address(str(CHAT), self.family_id)

    def elsewhere(self, place):
        settings = self.plugin.settings(self.town).model_copy(update={"base_url": place.url})
        return TelegramChannel(self.town, Courier(self.town, settings, self.plugin.bots))

    def rest(self):
        self.portal.clock.pass_time(seconds=5)
