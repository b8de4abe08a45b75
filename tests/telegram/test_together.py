"""Updates that came together: each is answered once, whatever happens to one of them or to the worker."""

import multiprocessing
import os
import signal
import time

import pytest
from bot_portals import crowd, settle, token
from sqlalchemy import event, text

from core.testing.fakes import TOWNS
from core.testing.waiting import PATIENCE_SECONDS
from plugins.telegram_bot import plugin, together
from plugins.telegram_bot.book import Book
from plugins.telegram_bot.conversation import Conversation
from plugins.telegram_bot.courier import Courier
from plugins.telegram_bot.inbox import ALONE, UPDATE, UPDATES, Inbox, write_all
from plugins.telegram_bot.simulator.world import Fault

OWED = "56,87"
MANY = 10


@pytest.fixture
def portal(bot_portal, simulator):
    for slug in TOWNS:
        simulator.world.add_bot(token(slug), f"{slug}_bot")
    return bot_portal(simulator.url)


class Crowd:
    """Parents in chats of their own, who write while nobody fetches."""

    def __init__(self, portal, world, number):
        self.portal, self.world = portal, world
        self.bot = world.bots[token("valmont")]
        self.chats = crowd(portal, world, number)
        self.inbox = Inbox()
        # That families are told of their invoices is another test's matter.
        with portal.town() as town:
            town.session.execute(text("DELETE FROM outbox"))
        self.bot.updates.clear()
        self.before = [len(self.answers(chat)) for chat in self.chats]

    def write(self, text="/factures", chats=None):
        for chat in self.chats if chats is None else chats:
            self.world.types(self.bot, self.world.people[chat.id], text)

    def fetch(self):
        """Write down together what was written, as polling does."""
        with self.portal.town() as town:
            settings = plugin.settings(town)
            admitted = [self.inbox.admit(settings, update) for update in self.bot.updates]
            self.bot.updates.clear()
            write_all(town, admitted)

    def arrive(self):
        """Write down each update by itself, as webhooks bring them."""
        for update in self.bot.updates:
            with self.portal.town() as town:
                assert self.inbox.accept(town, plugin.settings(town), update)
        self.bot.updates.clear()

    def work(self):
        for _ in range(4):
            self.portal.work()
            self.portal.clock.pass_time(seconds=2)

    def answers(self, chat):
        return [m["text"] for m in chat.messages if m["from"]["is_bot"] and "text" in m]

    def heard(self):
        """Number of answers since the crowd is there, by chat."""
        counts = zip(self.chats, self.before, strict=True)
        return [len(self.answers(chat)) - before for chat, before in counts]

    def rows(self, topic):
        return [row for row in self.portal.outbox() if row.topic == topic]


@pytest.fixture
def parents(portal, simulator, monkeypatch):
    # Workers wait on the test's clock: it is the only one that the turns know.
    monkeypatch.setattr(time, "sleep", lambda seconds: portal.clock.pass_time(seconds=seconds))
    monkeypatch.setattr(together, "AT_ONCE", 4)
    return Crowd(portal, simulator.world, MANY)


def test_each_chat_hears_its_own_answer_once(parents):
    parents.write()
    parents.fetch()
    parents.work()
    assert parents.heard() == [1] * MANY
    links = set()
    for chat in parents.chats:
        assert OWED in parents.answers(chat)[-1]
        links.add(chat.messages[-1]["reply_markup"]["inline_keyboard"][0][0]["url"])
    assert len(links) == MANY, "each link is the family's own"
    assert not parents.rows(ALONE), "all were answered together"


def test_updates_that_wait_for_a_worker_are_answered_together(parents):
    parents.write()
    parents.write("English", parents.chats[:1])
    parents.arrive()
    parents.work()
    assert parents.heard() == [2] + [1] * (MANY - 1)
    (together_,) = parents.rows(UPDATES)
    assert together_.state == "done"
    assert [row.state for row in parents.rows(UPDATE)] == ["done"] * (MANY + 1)
    assert len(parents.rows(ALONE)) == 1, "the second update of a chat"


def test_the_same_update_again_is_not_answered_again(parents):
    parents.write()
    same = list(parents.bot.updates)
    parents.arrive()
    parents.work()
    parents.bot.updates[:] = same
    parents.arrive()
    parents.work()
    assert parents.heard() == [1] * MANY


def test_an_update_that_nobody_waits_beside_is_answered_at_once(parents):
    parents.write("/factures", parents.chats[:1])
    parents.arrive()
    assert parents.portal.work(rounds=1) == 1
    assert parents.heard() == [1] + [0] * (MANY - 1)
    assert not parents.rows(UPDATES)


def test_what_is_taken_along_is_kept_when_the_worker_fails(parents, monkeypatch):
    parents.write()
    parents.arrive()

    def fail(*_args):
        raise RuntimeError("no memory")

    monkeypatch.setattr("plugins.telegram_bot.inbox.write_all", fail)
    parents.portal.work(rounds=1)
    # Each failed with the others beside it, but for the last: all others had been tried.
    assert parents.heard() == [0] * (MANY - 1) + [1]
    assert [row.state for row in parents.rows(UPDATE)].count("ready") == MANY - 1
    monkeypatch.undo()
    parents.portal.clock.pass_time(minutes=1)
    parents.work()
    assert parents.heard() == [1] * MANY


def test_what_a_message_shows_is_remembered_for_each(portal, parents):
    parents.write()
    parents.fetch()
    parents.work()
    with portal.town() as town:
        invoice = town.invoices.by_number("F007")[0]
    settle(portal, invoice)
    parents.work()
    paid = [n for n, chat in enumerate(parents.chats) if "payée" in str(chat.messages)]
    assert paid == [7]


def test_the_links_of_many_open_each_its_familys_payment(portal, parents):
    parents.write()
    parents.fetch()
    parents.work()
    with portal.town() as town:
        rows = town.session.execute(
            text("SELECT family_id, payload FROM one_time_token WHERE purpose = 'payment-link'")
        ).all()
        owners = {i.id: i.family_id for n in range(MANY) for i in town.invoices.by_number(f"F{n:03}")}
    assert len(rows) == MANY
    assert all(owners[i] == row.family_id for row in rows for i in row.payload["invoice_ids"])


def test_the_next_messages_of_a_chat_come_after_the_first_in_their_order(portal, parents):
    one = parents.chats[0]
    parents.write()
    parents.write("English", [one])
    parents.write("/langue en", [one])
    parents.write("/factures", [one])
    parents.fetch()
    for _ in range(6):
        parents.work()
    assert parents.heard() == [4] + [1] * (MANY - 1)
    told = parents.answers(one)[-4:]
    assert OWED in told[0]
    assert "56.87" in told[3], "read in English, since that was asked for before"


def test_a_button_a_block_and_words_come_together(portal, parents):
    parents.write("/alertes off", parents.chats[:3])
    parents.write("coupe les alertes", parents.chats[3:5])
    world, bot = parents.world, parents.bot
    blocked = parents.chats[5]
    bot.updates.append(
        {
            "update_id": 10**6,
            "my_chat_member": {
                "chat": {"id": blocked.id, "type": "private"},
                "from": {"id": blocked.id, "is_bot": False, "first_name": "F"},
                "date": 2**31,
                "new_chat_member": {"status": "kicked"},
            },
        }
    )
    parents.fetch()
    parents.work()
    assert parents.heard()[:6] == [1] * 5 + [0]
    with portal.town() as town:
        linked = Book(town).links_of_chats([chat.id for chat in parents.chats[:6]])
    assert [[link.alerts for link in links] for links in linked.values()] == (
        [[False]] * 3 + [[True]] * 2 + [[]]
    )
    asked = parents.chats[3].messages[-1]
    for chat in parents.chats[3:5]:
        world.taps(bot, world.people[chat.id], chat.messages[-1]["message_id"], 0, 0)
    assert asked["reply_markup"]
    parents.fetch()
    parents.work()
    with portal.town() as town:
        linked = Book(town).links_of_chats([chat.id for chat in parents.chats[3:5]])
    assert [[link.alerts for link in links] for links in linked.values()] == [[False]] * 2


def test_one_that_spoils_its_transaction_spoils_only_itself(portal, parents, monkeypatch):
    actions = Conversation.actions
    bad = parents.chats[4].id

    def break_for_one(self):
        if self.incoming.chat_id == bad:
            self.ctx.session.execute(text("SELECT 1 / 0"))
        return actions(self)

    monkeypatch.setattr(Conversation, "actions", break_for_one)
    parents.write()
    parents.fetch()
    parents.work()
    assert parents.heard() == [0 if chat.id == bad else 1 for chat in parents.chats]
    monkeypatch.undo()
    portal.clock.pass_time(minutes=5)
    parents.work()
    assert parents.heard() == [1] * MANY, "it was kept, and comes again"


@pytest.mark.parametrize(
    "fault",
    [
        Fault("sendMessage", 429, "Too Many Requests: retry after 3", 3),
        Fault("sendMessage", 500, "Internal Server Error"),
        Fault("sendMessage", 400, "Bad Request: can't parse entities"),
    ],
    ids=["asks to wait", "is away", "does not take one"],
)
def test_what_telegram_refuses_is_answered_later_and_the_rest_once(portal, parents, fault):
    parents.world.faults.append(fault)
    parents.write()
    parents.fetch()
    for _ in range(20):
        parents.work()
        portal.clock.pass_time(seconds=20)
    assert parents.heard() == [1] * MANY


def test_updates_that_are_fetched_twice_are_answered_once(parents):
    parents.write()
    again = list(parents.bot.updates)
    parents.fetch()
    parents.work()
    # The process died before it told Telegram; meanwhile somebody else wrote.
    parents.bot.updates[:] = again[3:]
    parents.write("/factures", parents.chats[:2])
    parents.fetch()
    parents.portal.clock.pass_time(minutes=1)
    parents.work()
    assert parents.heard() == [2, 2] + [1] * (MANY - 2)
    assert len(parents.rows(UPDATES)) == 2


def test_two_workers_on_the_same_updates_answer_each_once(portal, parents, monkeypatch):
    parents.write()
    same = list(parents.bot.updates)
    parents.fetch()
    decide = together._decide

    def meanwhile(*args):
        decided = decide(*args)
        monkeypatch.undo()
        # Another process fetched them too, in another cut, and answers first.
        parents.bot.updates[:] = same[:8]
        parents.fetch()
        parents.work()
        return decided

    monkeypatch.setattr(together, "_decide", meanwhile)
    parents.work()
    parents.work()
    assert parents.heard() == [1] * MANY


def die(*_args):
    os.kill(os.getpid(), signal.SIGKILL)


def after(method, times=1):
    """Let `method` do its work `times` times, and die then."""
    done = []

    def work(*args):
        result = method(*args)
        done.append(1)
        return die() if len(done) == times else result

    return work


DEATHS = {
    "when the turns are booked": lambda: setattr(together, "_decide", die),
    "when all is decided": lambda: setattr(together, "_say", die),
    "when some have heard": lambda: setattr(
        Courier, "speak_at_once", after(Courier.speak_at_once)
    ),
    "when more have heard": lambda: setattr(
        Courier, "speak_at_once", after(Courier.speak_at_once, 2)
    ),
    "when all have heard": lambda: setattr(together, "_say", after(together._say)),
}


def killed(portal, prepare):
    """Work in another process, which is killed where `prepare` says."""

    def work():
        portal.runtime.forked()
        prepare()
        portal.work()

    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join(PATIENCE_SECONDS)
    assert process.exitcode == -signal.SIGKILL


@pytest.mark.parametrize("death", DEATHS)
def test_a_worker_that_is_killed_loses_and_doubles_no_answer(portal, parents, death):
    parents.write()
    parents.write("/alertes off", parents.chats[:1])
    parents.fetch()
    killed(portal, DEATHS[death])
    portal.clock.pass_time(seconds=61)
    for _ in range(3):
        parents.work()
    assert parents.heard() == [2] + [1] * (MANY - 1)
    with portal.town() as town:
        (link,) = Book(town).links_of_chat(parents.chats[0].id)
        assert link.alerts is False


def test_only_what_is_being_said_may_be_lost_with_a_worker(portal, parents):
    """The right is taken before Telegram is called: what may have been said is not said again."""

    def die_in_the_second_flight():
        say, flights = Courier.speak_at_once, []

        def speak(*args):
            flights.append(1)
            return die() if len(flights) == 2 else say(*args)

        Courier.speak_at_once = speak

    parents.write()
    parents.fetch()
    killed(portal, die_in_the_second_flight)
    portal.clock.pass_time(seconds=61)
    for _ in range(3):
        parents.work()
    heard = parents.heard()
    assert set(heard) == {0, 1}
    assert heard.count(0) == together.AT_ONCE


def test_answers_together_cost_few_statements(portal, parents):
    engine, told = portal.runtime.engine, []
    parents.write()
    parents.fetch()
    event.listen(engine, "before_cursor_execute", lambda *args: told.append(args[2]))
    parents.portal.work(rounds=1)
    assert parents.heard() == [1] * MANY
    # Three times four at most are spoken to at once; the test asks for what is due in two towns, twice.
    assert len(told) <= 36, told
