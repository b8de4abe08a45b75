"""Another plugin's skills in the bot: words only read, buttons are signed, faults stay its own."""

from __future__ import annotations

import re

import pytest
from bot_portals import SECRET, SETTINGS, token
from sqlalchemy import text
from structlog.testing import capture_logs

from core.platform.plugins import rests
from core.plugin import (
    ChatAnswer,
    ChatButton,
    ChatRule,
    Plugin,
    PluginSettings,
    hookimpl,
)
from core.testing.conformance import ChatSkillContract
from core.testing.fakes import TOWNS
from core.testing.portal import make_portal, record, write_towns
from plugins.telegram_bot import plugin as bot
from plugins.telegram_bot.book import Book
from plugins.telegram_bot.conversation import Conversation
from plugins.telegram_bot.events import Incoming, Kind, Notice, Show

CHAT = 1001


class Absence:
    """Notes who is absent, as the family's name: a stand-in for a table."""

    key = "absence"
    label = "Léa absente demain"
    rules = (ChatRule(("absen*", "pas la"), unless=("combien",)),)

    def __init__(self, ctx):
        self._ctx = ctx

    def answer(self, question):
        if "facture" in question.text:
            return None
        if "écris" in question.text:
            self._ctx.session.execute(text("UPDATE family SET name = 'ABSENT'"))
        when = question.days[0].isoformat() if question.days else ""
        words = f"Absence de {', '.join(question.words)} <{when}> ?"
        return ChatAnswer(words, ((ChatButton("Confirmer", f"{question.family_ids[0]}"),),))

    def press(self, press):
        family_id = int(press.data) if press.data.isdecimal() else 0
        if family_id not in press.family_ids:
            return ChatAnswer("Ce n’est pas votre dossier.")
        self._ctx.session.execute(
            text("UPDATE family SET name = 'ABSENT' WHERE id = :id"), {"id": family_id}
        )
        return ChatAnswer(f"Noté ({press.key}).")


class Chatty(Plugin[PluginSettings]):
    """Brings a skill."""

    name = "chatty"
    label = "Chatty"
    Settings = PluginSettings
    skill = Absence

    @hookimpl
    def chat_skills(self, ctx):
        return [self.skill(ctx)]


@pytest.fixture
def chatty():
    return Chatty()


@pytest.fixture
def portal(database, redis, tmp_path, chatty):
    redis.flushall()
    towns = write_towns(tmp_path / "both")
    for slug in TOWNS:
        settings = SETTINGS.format(
            token=token(slug), username=f"{slug}_bot", secret=SECRET, url="http://127.0.0.1:9"
        )
        with (towns / slug / "tenant.toml").open("a") as file:
            file.write(f"{settings}[plugins.chatty]\n")
    plugins = {"telegram_bot": bot, "chatty": chatty}
    portal = make_portal(database, tmp_path, plugins=plugins, tenants_dir=towns)
    portal.publish(record())
    rests.forget_rests()
    with capture_logs():
        yield portal
    rests.forget_rests()
    portal.runtime.close()


class Phone:
    """A chat with the town's bot."""

    def __init__(self, portal, chat=CHAT):
        self.portal, self.chat, self.count = portal, chat, 0

    def _send(self, kind, words):
        self.count += 1
        with self.portal.town() as town:
            incoming = Incoming(
                f"4242:{self.chat}-{self.count}", kind, self.chat, words, "Camille", "fr", 7,
                "q1" if kind is Kind.TAPPED else "",
            )  # fmt: skip
            return Conversation(town, incoming, bot.skills(town)).actions()

    def types(self, words):
        return next(a.screen for a in self._send(Kind.TYPED, words) if isinstance(a, Show))

    def taps(self, data):
        actions = self._send(Kind.TAPPED, data)
        assert isinstance(actions[0], Notice)
        return next((a.screen.html for a in actions if isinstance(a, Show)), actions[0].text)

    def link(self):
        with self.portal.town() as town:
            start = Book(town).new_token(town.families.by_code("F001").id)
        self.taps(self.types(f"/start {start}").rows[0][0].data)
        return self


@pytest.fixture
def phone(portal):
    return Phone(portal).link()


def name(portal):
    with portal.town() as town:
        return town.families.by_code("F001").name


def test_words_are_answered_and_a_button_does_it(portal, phone):
    shown = phone.types("Léa sera absente le 11/03")
    assert "Absence de lea" in shown.html
    assert "&lt;2026-03-11&gt;" in shown.html
    ((button,),) = shown.rows
    assert button.label == "Confirmer"
    assert len(button.data) <= 64
    assert name(portal) != "ABSENT"
    assert re.search(r"Noté \(4242:1001-\d+\)", phone.taps(button.data))
    assert name(portal) == "ABSENT"


def test_words_cannot_write(portal, phone):
    assert "ne répond pas" in phone.types("écris qu’elle est absente").html
    assert name(portal) != "ABSENT"


def test_a_forged_button_and_another_chats_do_nothing(portal, phone):
    data = phone.types("Léa absente").rows[0][0].data
    other = Phone(portal, 1002).link()
    forged = [data[:-1] + ("A" if data[-1] != "A" else "B"), data.rpartition(":")[0], "do:chatty.absence:1", "do:chatty.absence:"]
    for one in forged:
        assert "ne sert plus" in phone.taps(one)
    assert "ne sert plus" in other.taps(data)
    assert name(portal) != "ABSENT"


def test_what_the_skill_leaves_is_the_bots(portal, phone):
    assert "Le détail de chaque facture" in phone.types("absente et ma facture").html
    assert "Absence de" not in phone.types("combien je dois, elle était absente").html
    assert "56,87" in phone.types("mes factures").html


@pytest.mark.parametrize(
    "answer",
    [
        lambda *_a: 1 / 0, lambda *_a: 7, lambda *_a: ChatAnswer(" "), lambda *_a: ChatAnswer("x" * 4000),
        lambda *_a: ChatAnswer("x", ((ChatButton("y"),),)),
        lambda *_a: ChatAnswer("x", ((ChatButton("y", "d" * 40),),)),
        lambda *_a: ChatAnswer("x", ((ChatButton("y", url="javascript:1"),),)),
        lambda *_a: ChatAnswer("x", ((ChatButton("y", "é"),),)),
    ],
)  # fmt: skip
def test_a_skill_that_fails_says_so_and_the_bot_goes_on(portal, phone, chatty, answer):
    class Broken(Absence):
        pass

    Broken.answer = answer
    chatty.skill = Broken
    assert "ne répond pas" in phone.types("Léa absente").html
    rests.forget_rests()
    assert "56,87" in phone.types("mes factures").html


@pytest.mark.parametrize(
    "rules", [(), ("absen",), (ChatRule(("(a+)+$",)),), (ChatRule(("É",)),), (ChatRule(()),), 7]
)
def test_rules_that_are_no_plain_phrases_are_left_out(portal, phone, chatty, rules):
    class Broken(Absence):
        pass

    Broken.rules = rules
    chatty.skill = Broken
    assert "Absence de" not in phone.types("Léa absente").html
    assert "56,87" in phone.types("mes factures").html


class TestAbsence(ChatSkillContract):
    """The skill that the tests above use."""

    said = ("Léa absente demain", "elle sera pas là lundi")

    @pytest.fixture
    def town(self, portal):
        with portal.town() as town:
            yield town

    @pytest.fixture
    def skill(self, town):
        return Absence(town)

    @pytest.fixture
    def families(self, town):
        return (town.families.by_code("F001").id,)
