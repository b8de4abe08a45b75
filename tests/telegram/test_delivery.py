"""The bot really talks: python-telegram-bot over HTTP to the simulated Telegram."""

import asyncio
import os
import threading
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta

import pytest

from core.plugin import (
    Address,
    Delivered,
    Document,
    Link,
    Message,
    PaymentSettled,
    Rejected,
    Retry,
    RetryableError,
)
from core.testing.waiting import PATIENCE_SECONDS
from plugins.telegram_bot import plugin, polling, work
from plugins.telegram_bot.book import Book
from plugins.telegram_bot.bots import Bots
from plugins.telegram_bot.channel import TelegramChannel
from plugins.telegram_bot.commands import problem, stopped
from plugins.telegram_bot.courier import Courier
from plugins.telegram_bot.events import read_update
from plugins.telegram_bot.inbox import UPDATE, Inbox
from plugins.telegram_bot.simulator.world import Fault

CHAT = 1001
TOKEN = "4242:test-token_of-the-town"


class Parent:
    """A person with the simulated telephone, and the worker that answers."""

    def __init__(self, simulator, live):
        self.world = simulator.world
        self.town, self.courier = live
        self.bot = self.world.bots[TOKEN]
        self.person = self.world.people[CHAT]
        self.inbox = Inbox()

    def work(self):
        """Fetch what the bot was sent, and do what the outbox holds."""
        pending, self.bot.updates = self.bot.updates, []
        for update in pending:
            self.inbox.accept(self.town, self.town.configured, update)
        for payload in self.town.outbox.take(UPDATE):
            work.answer(self.town, self.courier, payload)
            self.town.clock.advance(seconds=2)
        for payload in self.town.outbox.take(work.REFRESH):
            work.refresh(self.town, self.courier, payload)
            self.town.clock.advance(seconds=2)

    def types(self, text):
        self.world.types(self.bot, self.person, text)
        self.work()
        return self.last

    def taps(self, label):
        for message in reversed(self.messages):
            rows = message.get("reply_markup", {}).get("inline_keyboard", [])
            for row, buttons in enumerate(rows):
                for column, button in enumerate(buttons):
                    if label in button["text"]:
                        number = message["message_id"]
                        self.world.taps(self.bot, self.person, number, row, column)
                        self.work()
                        return self.last
        raise AssertionError(f"no button {label!r}")

    def links(self, family):
        self.types(f"/start {Book(self.town).new_token(family.id)}")
        self.taps("Oui")
        return self

    @property
    def messages(self):
        return self.world.chat(self.bot, CHAT).messages

    @property
    def last(self):
        return self.messages[-1]


@pytest.fixture
def family(live):
    return live[0].add_family("Durand")


@pytest.fixture
def parent(simulator, live, family):
    return Parent(simulator, live).links(family)


@pytest.fixture
def channel(live):
    return TelegramChannel(*live)


def note(kind, invoice, **more):
    ids = (invoice.id,) if invoice else ()
    return Message(kind, "fr", "Ville – Bonjour", "Un <texte>.", invoice_ids=ids, **more)


def to(family):
    return Address(str(CHAT), family.id)


def test_a_parent_links_asks_pays_and_gets_the_receipt(parent, family, channel):
    town = parent.town
    assert "reliée" in parent.last["text"]
    invoice = town.add_invoice(family, "Cantine mars", 5687)
    shown = parent.types("/factures")
    number = shown["message_id"]
    assert shown["reply_markup"]["inline_keyboard"][0][0]["url"].startswith("https://")

    payment = town.pay(invoice)
    event = PaymentSettled("e1", payment.id, family.id, (invoice.id,), 5687)
    plugin.payment_settled(ctx=town, event=event)
    parent.work()
    edited = next(m for m in parent.messages if m["message_id"] == number)
    assert "payée" in edited["text"]
    assert "edit_date" in edited

    receipt = Document("recu.pdf", "application/pdf", b"%PDF recu")
    message = note("payment_settled", invoice, documents=(receipt,))
    (address,) = channel.addresses(family.id, "payment_settled")
    assert isinstance(channel.deliver(message, address, "e1/telegram"), Delivered)
    assert parent.last["document"]["file_name"] == "recu.pdf"
    assert parent.last["caption"] == "Un <texte>."


def test_messages_are_edited_in_place(parent, family):
    parent.town.add_invoice(family, "Cantine", 100)
    first = parent.types("/factures")
    count = len(parent.messages)
    assert "paiement" in parent.taps("Mes paiements")["text"].lower()
    assert parent.taps("Mes factures")["message_id"] == first["message_id"]
    parent.taps("Actualiser")
    assert len(parent.messages) == count


def test_an_invoice_that_is_published_is_told_once_and_turns_to_paid(parent, family, channel):
    town = parent.town
    invoice = town.add_invoice(family, "Cantine mars", 5687)
    message = note("invoices_published", invoice)
    first = channel.deliver(message, to(family), "k1")
    count = len(parent.messages)
    assert isinstance(first, Delivered)
    assert "Cantine mars" in parent.last["text"]
    assert channel.deliver(message, to(family), "k1") == Delivered()
    assert len(parent.messages) == count
    assert town.invoices.links == [], "no payment link lies in a message nobody asked for"
    parent.taps("Payer")
    assert len(town.invoices.links) == 1
    payment = town.pay(invoice)
    event = PaymentSettled("e2", payment.id, family.id, (invoice.id,), 5687)
    for _ in range(2):
        plugin.payment_settled(ctx=town, event=event)
        parent.work()
    assert len(parent.messages) == count
    assert "payée" in parent.last["text"]


def test_other_messages_keep_their_words_and_links(parent, family, channel):
    message = note("news", None, links=(Link("Lire", "https://ville.example.org/a"),))
    channel.deliver(message, to(family), "k")
    assert parent.last["text"] == "Ville – Bonjour\n\nUn <texte>."
    assert parent.last["reply_markup"]["inline_keyboard"][0][0]["text"] == "Lire"


def test_alerts_off_means_no_address(parent, family, channel):
    parent.types("alertes non")
    assert channel.addresses(family.id, "invoices_published"), "words are asked back"
    parent.taps("Oui, désactiver")
    assert channel.addresses(family.id, "invoices_published") == ()


def test_a_blocked_bot_unlinks(parent, family, channel):
    parent.world.chats[TOKEN][CHAT].blocked = True
    assert isinstance(channel.deliver(note("reminder", None), to(family), "k"), Rejected)
    assert not Book(parent.town).links_of_chat(CHAT)
    assert isinstance(channel.deliver(note("reminder", None), to(family), "k2"), Rejected)


def test_blocking_on_the_telephone_unlinks(parent):
    parent.world.blocks(parent.bot, parent.person, blocked=True)
    parent.work()
    assert not Book(parent.town).links_of_chat(CHAT)


def test_a_deleted_account_unlinks(parent, family, channel):
    parent.person.deleted = True
    assert isinstance(channel.deliver(note("reminder", None), to(family), "k"), Rejected)
    assert not Book(parent.town).links_of_chat(CHAT)


def test_retry_after_is_obeyed(parent, family, channel):
    parent.world.faults.append(Fault("sendMessage", 429, "Too Many Requests: retry after 9", 9))
    count = len(parent.messages)
    message = note("reminder", None)
    assert channel.deliver(message, to(family), "k").after == timedelta(seconds=9)
    parent.world.calls.clear()
    held = channel.deliver(message, to(family), "k")
    assert isinstance(held, Retry)
    assert parent.world.calls == [], "nothing is asked of Telegram while it asks to wait"
    parent.town.clock.advance(seconds=20)
    assert isinstance(channel.deliver(message, to(family), "k"), Delivered)
    assert len(parent.messages) == count + 1


def test_an_answer_that_meets_a_flood_limit_comes_later_and_once(parent, family):
    invoice = parent.town.add_invoice(family, "Cantine", 100)
    parent.world.faults.append(Fault("sendMessage", 429, "Too Many Requests: retry after 5", 5))
    update = {"update_id": 9000, "message": {
        "message_id": 900, "chat": {"id": CHAT, "type": "private"},
        "from": {"first_name": "Camille"}, "text": "/factures",
    }}  # fmt: skip
    payload = asdict(read_update("4242", update))
    with pytest.raises(RetryableError) as refused:
        work.answer(parent.town, parent.courier, payload)
    assert refused.value.after == timedelta(seconds=5)
    parent.town.session.rollback()
    parent.town.clock.advance(seconds=6)
    count = len(parent.messages)
    for _ in range(3):
        work.answer(parent.town, parent.courier, payload)
    assert len(parent.messages) == count + 1
    assert invoice.label in parent.last["text"]


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        (Fault("sendMessage", 500, "Internal Server Error"), Retry),
        (Fault("sendMessage", 502, "Bad Gateway"), Retry),
        (Fault("sendMessage", 403, "Forbidden: user is deactivated"), Rejected),
        (Fault("sendMessage", 400, "Bad Request: chat not found"), Rejected),
    ],
)
def test_what_errors_mean(parent, family, channel, fault, outcome):
    parent.world.faults.append(fault)
    assert isinstance(channel.deliver(note("reminder", None), to(family), "k"), outcome)


def test_a_wrong_token_holds_what_was_to_be_sent(make_town, simulator, bots):
    town = make_town(base_url=simulator.url, token="99:not-known-there")
    family = town.add_family("Durand")
    Book(town).link(CHAT, family.id, name="", language="fr")
    channel = TelegramChannel(town, Courier(town, town.configured, bots))
    assert isinstance(channel.deliver(note("reminder", None), to(family), "k"), Retry)
    assert Book(town).links_of_chat(CHAT)
    assert "Unauthorized" in stopped(town)
    assert "ne répond pas" in problem(bots, town.configured)


def test_nobody_answering_before_anything_was_sent_is_tried_again(make_town, bots):
    town = make_town(base_url="http://127.0.0.1:9")
    family = town.add_family("Durand")
    Book(town).link(CHAT, family.id, name="", language="fr")
    channel = TelegramChannel(town, Courier(town, town.configured, bots))
    assert isinstance(channel.deliver(note("reminder", None), to(family), "k"), Retry)
    again = Book(town).claim_turn("k", CHAT, timedelta(minutes=1))
    assert again is not None, "the right to send was given back"


def test_a_connection_that_breaks_after_sending_counts_as_sent(make_town, bots):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        def hang_up():
            connection, _ = server.accept()
            connection.recv(65536)
            connection.close()

        threading.Thread(target=hang_up, daemon=True).start()
        town = make_town(base_url=f"http://127.0.0.1:{server.getsockname()[1]}")
        family = town.add_family("Durand")
        Book(town).link(CHAT, family.id, name="", language="fr")
        channel = TelegramChannel(town, Courier(town, town.configured, bots))
        assert channel.deliver(note("reminder", None), to(family), "k") == Delivered()
        assert Book(town).claim_turn("k", CHAT, timedelta(minutes=1)) is None


def test_two_towns_bots_in_one_process_never_mix(make_town, simulator, bots):
    simulator.world.add_bot("77:the-other-towns-token", "autre_bot")
    here = make_town("ici", base_url=simulator.url)
    there = make_town("ailleurs", base_url=simulator.url, token="77:the-other-towns-token",
                      bot_username="autre_bot")
    person = simulator.world.people[CHAT]
    for town in (here, there):
        bot = simulator.world.bots[town.configured.token.get_secret_value()]
        simulator.world.types(bot, person, "/start")
        family = town.add_family(f"Famille {town.town.name}")
        Book(town).link(CHAT, family.id, name="", language="fr")
        town.add_invoice(family, f"Cantine {town.town.name}", 100)
        TelegramChannel(town, Courier(town, town.configured, bots)).deliver(
            note("invoices_published", next(iter(town.invoices.known.values()))), to(family), "k"
        )
    assert len(bots) == 2
    for token, mine, other in (
        (TOKEN, "ici", "ailleurs"), ("77:the-other-towns-token", "ailleurs", "ici")
    ):
        said = simulator.world.chats[token][CHAT].messages[-1]["text"]
        assert mine in said
        assert other not in said


def test_idle_bots_are_dropped_and_made_again(simulator, make_town):
    now = [0.0]
    bots = Bots(idle=timedelta(minutes=10), clock=lambda: now[0])
    towns = [make_town(base_url=simulator.url, token=f"{n}:token-of-town") for n in (1, 2, 3)]

    async def nothing(bot):
        return bot

    first = bots.call(towns[0].configured, nothing)
    assert bots.call(towns[0].configured, nothing) is first
    bots.call(towns[1].configured, nothing)
    assert len(bots) == 2
    now[0] = 601
    bots.call(towns[2].configured, nothing)
    assert len(bots) == 1
    assert bots.call(towns[0].configured, nothing) is not first
    bots.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_starts_afresh():
    plugin.bots._bots["x", "y"] = (None, 0.0)
    child = os.fork()
    if child == 0:
        os._exit(len(plugin.bots))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    plugin.bots._bots.clear()


def test_groups_are_told_off_and_left(parent):
    parent.world.types(parent.bot, parent.person, "/factures", group=-77)
    parent.work()
    assert -77 not in parent.world.chats[TOKEN]


def test_a_flood_from_one_chat_is_dropped_at_the_door(live):
    town, _ = live
    inbox = Inbox()

    def update(number, chat):
        return {"update_id": number, "message": {
            "message_id": number, "chat": {"id": chat, "type": "private"},
            "from": {"first_name": "A"}, "text": "x",
        }}  # fmt: skip

    taken = sum(inbox.accept(town, town.configured, update(n, CHAT)) for n in range(50))
    assert 10 <= taken <= 20
    assert inbox.accept(town, town.configured, update(99, 1002))


def test_polling_writes_updates_down_and_answers_are_not_lost(simulator, live, family):
    town, _courier = live
    parent = Parent(simulator, live)
    bots = Bots()
    at_work = threading.Lock()

    @contextmanager
    def open_town(slug):
        assert slug == town.town.slug
        with at_work:
            yield town
            town.session.commit()

    async def scene():
        task = asyncio.create_task(
            polling.poll(bots, {town.town.slug: town.configured}, open_town)
        )
        parent.world.types(parent.bot, parent.person, "/factures")
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not town.outbox.rows:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    bots.run(scene())
    bots.close()
    with at_work:  # A thread that had begun when polling was told to end.
        pass
    (payload,) = town.outbox.take(UPDATE)
    assert (payload["kind"], payload["text"], payload["name"]) == ("typed", "/factures", "Camille")
    proposed = parent.bot.commands
    assert proposed["fr"][0] == {"command": "factures", "description": "Ce qu’il reste à payer"}
    assert set(proposed) == {"fr", "en", ""}


def test_settings_that_cannot_work_are_refused(make_town):
    for wrong in (
        {"token": "no-colon"}, {"bot_username": "@bot"}, {"webhook_secret": "short"},
        {"webhook_secret": "é" * 20}, {"base_url": "ftp://x"}, {"base_url": "https://x/"},
        {"tokn": "1:x"},
    ):  # fmt: skip
        with pytest.raises(ValueError):
            make_town(**wrong)


def test_no_secret_shows_in_the_settings(town):
    assert "test-token" not in repr(town.configured)
