"""The bot in the real portal: core's services, outbox and messages, the simulated Telegram."""

import logging
import time
from datetime import date, timedelta

import pytest
import structlog
from bot_portals import SECRET, crowd, settle, token

from core.api.invoices import InvoiceKind
from core.platform.logging import configure
from core.plugin import LineRecord, TaxKind
from core.reminders.service import Calendar
from core.testing.fakes import TOWNS
from core.testing.portal import record
from plugins.telegram_bot import plugin
from plugins.telegram_bot.book import Book
from plugins.telegram_bot.inbox import Inbox
from plugins.telegram_bot.simulator.world import Fault

CHAT = 1001


@pytest.fixture
def portal(bot_portal, simulator):
    for slug in TOWNS:
        simulator.world.add_bot(token(slug), f"{slug}_bot")
    return bot_portal(simulator.url)


class Phone:
    """A parent's telephone, in front of one town's bot."""

    def __init__(self, portal, simulator, slug="valmont"):
        self.portal, self.world, self.slug = portal, simulator.world, slug
        self.bot = self.world.bots[token(slug)]
        self.person = self.world.people[CHAT]

    def work(self):
        """Everything that is due, until nothing is; two seconds pass between."""
        # A new door each time: one of them counts by real seconds, in which tests do more than fingers.
        inbox = Inbox()
        for _ in range(4):
            pending, self.bot.updates = self.bot.updates, []
            with self.portal.town(self.slug) as town:
                for update in pending:
                    inbox.accept(town, plugin.settings(town), update)
            self.portal.work()
            self.portal.clock.pass_time(seconds=2)
        return self.messages[-1] if self.messages else None

    @property
    def messages(self):
        return self.world.chat(self.bot, CHAT).messages

    def types(self, text):
        self.world.types(self.bot, self.person, text)
        return self.work()

    def link(self, family="F001"):
        with self.portal.town(self.slug) as town:
            found = town.families.by_code(family)
            start = Book(town).new_token(found.id)
        asked = self.types(f"/start {start}")
        self.world.taps(self.bot, self.person, asked["message_id"], 0, 0)
        assert "reliée" in self.work()["text"]
        return found


def invoice_of(portal, number):
    with portal.town() as town:
        return town.invoices.by_number(number)[0]


def test_from_the_link_to_the_receipt(portal, simulator):
    portal.publish(record("1"), record("2", amount=1000, label="CANTINE mars"))
    phone = Phone(portal, simulator)
    phone.link()
    shown = phone.types("mes factures")
    assert "66,87" in shown["text"]
    urls = [row[0].get("url", "") for row in shown["reply_markup"]["inline_keyboard"]]
    assert urls[0].startswith("http://localhost/valmont/payer/")

    payment = settle(portal, invoice_of(portal, "1"))
    phone.work()
    edited = next(m for m in phone.messages if m["message_id"] == shown["message_id"])
    assert edited["text"].count("payée") == 1
    assert "10,00" in edited["text"]
    receipts = [m for m in phone.messages if "document" in m]
    assert [m["document"]["mime_type"] for m in receipts] == ["application/pdf"]

    with portal.town() as town:
        town.payments.reverse(payment, reason="chèque sans provision")
    phone.work()
    edited = next(m for m in phone.messages if m["message_id"] == shown["message_id"])
    assert "payée" not in edited["text"]
    assert "56,87" in phone.messages[-1]["text"], "the reversal is told"


def test_a_new_invoice_arrives_by_itself_once(portal, simulator):
    portal.publish(record("1"))
    phone = Phone(portal, simulator)
    phone.link()
    count = len(phone.messages)
    portal.publish(record("2", amount=4200, label="GARDERIE avril"))
    phone.work()
    assert len(phone.messages) == count + 1
    assert "GARDERIE avril" in phone.messages[-1]["text"]
    portal.clock.pass_time(hours=1)
    phone.work()
    assert len(phone.messages) == count + 1


def test_a_reminder_comes_once_with_a_button_to_pay_and_turns_to_paid(portal, simulator):
    portal.publish(record("1"), record("2", amount=1000, label="GARDERIE"))
    phone = Phone(portal, simulator)
    phone.link()
    settle(portal, invoice_of(portal, "2"))
    phone.work()
    count = len(phone.messages)
    with portal.town() as town:
        town.reminders.set_calendar("CANTINE", Calendar((-2,), closing_days=30))
    for _ in range(2):
        with portal.town() as town:
            town.reminders.remind(date(2026, 3, 29))
    reminder = phone.work()
    assert len(phone.messages) == count + 1
    assert "échéance" in reminder["text"]
    assert "CANTINE février" in reminder["text"]
    assert "GARDERIE" not in reminder["text"], "paid already"
    assert "jusqu’au 30/04/2026" in reminder["text"]
    pay = reminder["reply_markup"]["inline_keyboard"][0][0]
    assert pay["callback_data"].startswith("pay:"), "no link lies in a message nobody asked for"
    settle(portal, invoice_of(portal, "1"))
    phone.work()
    edited = next(m for m in phone.messages if m["message_id"] == reminder["message_id"])
    assert "payée" in edited["text"]
    with portal.town() as town:
        town.reminders.remind(date(2026, 3, 30))
    count = len(phone.messages)
    phone.work()
    assert len(phone.messages) == count


def test_a_credit_note_is_told_and_takes_off(portal, simulator):
    portal.publish(record("1"))
    phone = Phone(portal, simulator)
    phone.link()
    portal.publish(
        record("A", amount=-1000, kind=InvoiceKind.CREDIT_NOTE, origin_number="1", label="AVOIR", lines=())
    )
    told = phone.work()
    assert "AVOIR</b> – −10,00" in told["text"] or "AVOIR – −10,00" in told["text"]
    assert "avoir n°" in told["text"]
    assert "payée" not in told["text"]
    assert "46,87" in phone.types("mes factures")["text"]


def test_a_childs_other_home_is_not_shown_by_the_bot(portal, simulator):
    """Its lines stand on the portal's page, apart: a chat would mix them with what is owed."""
    lines = (LineRecord(1, "Repas", TaxKind.MEAL, 5687, child="E001"),)
    portal.publish(record("shared", lines=lines), record("own", family="F002", amount=100))
    with portal.town() as town:
        town.families.share_child(town.families.by_code("F002").id, "E001", sees_all=True)
    phone = Phone(portal, simulator)
    phone.link("F002")
    shown = phone.types("mes factures")
    assert "1,00" in shown["text"]
    assert "56,87" not in shown["text"]
    assert f"doc:{invoice_of(portal, 'shared').id}" not in str(shown)


def test_a_blocked_bot_leaves_the_familys_chats(portal, simulator):
    portal.publish(record("1"))
    phone = Phone(portal, simulator)
    family = phone.link()
    phone.world.chat(phone.bot, CHAT).blocked = True
    portal.publish(record("2"))
    phone.work()
    with portal.town() as town:
        assert not Book(town).links_of_family(family.id)


def test_the_other_town_sees_nothing(portal, simulator):
    portal.publish(record("1"))
    portal.publish(record("1", amount=999), slug="brumes")
    Phone(portal, simulator).link()
    there = Phone(portal, simulator, "brumes")
    assert "aucun dossier" in there.types("/factures")["text"]


def test_a_mailing_is_spread_and_loses_nothing(portal, simulator, monkeypatch):
    """Many families are told at once: every chat hears it once, none is dropped for its turn."""
    chats = crowd(portal, simulator.world, 40)
    # The worker waits on the test's clock: it is the only one that the turns know.
    monkeypatch.setattr(time, "sleep", lambda seconds: portal.clock.pass_time(seconds=seconds))
    started = portal.clock.now()

    def told(chat):
        return [m for m in chat.messages if "MARS" in m.get("text", "")]

    for _ in range(20):
        portal.work()
        if all(map(told, chats)):
            break
        portal.clock.pass_time(seconds=1)
    assert [len(told(chat)) for chat in chats] == [1] * len(chats)
    # Telegram's pace: thirty a second, counted from the first.
    assert portal.clock.now() - started >= timedelta(seconds=(len(chats) - 1) / 30)


def test_a_chat_leaves_nothing_of_a_family_in_the_logs(portal, simulator, capsys):
    before = structlog.get_config(), logging.getLogger().handlers[:]
    configure(portal.runtime.settings)
    try:
        portal.publish(record("1"))
        phone = Phone(portal, simulator)
        phone.link()
        link = phone.types("/factures")["reply_markup"]["inline_keyboard"][0][0]["url"]
        for status, words, wait in (
            (429, "Too Many Requests: retry after 1", 1),
            (400, f"Bad Request: inline keyboard button URL '{link}' is invalid", 0),
            (403, "Forbidden: bot was blocked by the user", 0),
        ):
            simulator.world.faults.append(Fault("sendMessage", status, words, wait))
            phone.types("factures de la cantine")
        # In small letters: the client changes those of Telegram's answers.
        logged = ("".join(capsys.readouterr()) + repr(portal.outbox())).casefold()
    finally:
        structlog.configure(**before[0])
        logging.getLogger().handlers[:] = before[1]
    assert "outbox.dead" in logged, "the refusal is told"
    secrets = [token("valmont"), SECRET, link.rpartition("/")[2]]
    secrets += ["56,87", "Durand", "Camille", "cantine"]
    assert [secret for secret in secrets if secret.casefold() in logged] == []
