"""A parent arranges the children's days with the bot, played and written down for the docs."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from bot_portals import SECRET, SETTINGS, token
from diary import Diary, written
from test_with_core import Phone

from core.testing.fakes import TOWNS
from core.testing.portal import make_portal, record, write_towns
from plugins.planning import plugin as planning
from plugins.planning import telling, work
from plugins.planning.book import Asked, Book
from plugins.planning.desk import Desk
from plugins.planning.models import PlanningEnrolment
from plugins.planning.rules import Wish
from plugins.telegram_bot import plugin as bot

WRITTEN = Path(__file__).parents[2] / "docs" / "telegram-planning.md"
HEAD = """# Le planning avec le robot

Une discussion entière sur le téléphone simulé, écrite par `tests/telegram/test_a_planning_month.py` : ne
pas modifier. Les boutons sont entre crochets. La cantine ferme ses réservations le jeudi à 10 h pour la
semaine suivante, et n’a que deux places ; la garderie, la veille à 18 h.
"""
PLANNING = """
[plugins.planning]
feed_key = "made-up-key-for-feeds"
zone = "B"

[plugins.planning.services.CANTINE]
label = "Cantine"
add = { weekday = "thursday", at = "10:00" }
cancel = { weekday = "thursday", at = "10:00" }
places = 2
waiting_list = true

[plugins.planning.services.SOIR]
label = "Garderie du soir"
add = { days = 1, at = "18:00" }
cancel = { days = 1, at = "18:00" }
"""
MONDAY = date(2026, 3, 23)


@pytest.fixture
def portal(database, redis, tmp_path, simulator):
    redis.flushall()
    towns = write_towns(tmp_path / "both")
    for slug in TOWNS:
        simulator.world.add_bot(token(slug), f"{slug}_bot")
        settings = SETTINGS.format(
            token=token(slug), username=f"{slug}_bot", secret=SECRET, url=simulator.url
        )
        with (towns / slug / "tenant.toml").open("a") as file:
            file.write(settings + PLANNING)
    made = make_portal(
        database, tmp_path, plugins={"telegram_bot": bot, "planning": planning}, tenants_dir=towns
    )
    yield made
    made.runtime.close()


class Telephone(Phone):
    """A telephone with thumbs."""

    def taps(self, label):
        for message in reversed(self.messages):
            rows = message.get("reply_markup", {}).get("inline_keyboard", [])
            for row, buttons in enumerate(rows):
                for column, button in enumerate(buttons):
                    if label == button["text"]:
                        number = message["message_id"]
                        self.world.taps(self.bot, self.person, number, row, column)
                        self.work()
                        return next(m for m in self.messages if m["message_id"] == number)
        raise AssertionError(f"no button {label!r} under {self.messages[-1]['text']}")


def enrolled(portal, code, *names):
    """A family whose children are enrolled for everything."""
    with portal.town() as town:
        family = town.families.by_code(code)
        ids = [town.families.add_child(family.id, name).id for name in names]
        town.session.add_all(
            PlanningEnrolment(
                tenant_id="valmont", child_id=child, service=service, place="École du Centre", meal="",
                kind="occasional", weekdays="", first=date(2025, 9, 1), last=date(2026, 7, 3), batch="test",
            )
            for child in ids
            for service in ("CANTINE", "SOIR")
        )
        return family.id, ids


def test_a_parents_month_of_planning_reads_as_it_is_written(portal, simulator):
    portal.publish(record(), record("2", "F002"))
    mine, _children = enrolled(portal, "F001", "Léa", "Tom")
    other, (alma, noe) = enrolled(portal, "F002", "Alma", "Noé")

    def theirs(wish, *children, key):
        with portal.town() as town:
            book = Book(town, town.settings(planning), actor=f"family:{other}", family_id=other)
            asked = [Asked(child, "CANTINE", MONDAY, wish) for child in children]
            telling.tell(town, book.ask(asked, key=key), family_id=other)

    def now(*moment):
        portal.clock._now = datetime(2026, 3, *moment, tzinfo=UTC)

    phone = Telephone(portal, simulator)
    phone.link("F001")
    diary = Diary(phone, HEAD)

    _usual_week(diary)
    now(11, 16)
    _single_days(diary)
    diary.day("Mardi 17 mars : malade, et trop tard pour annuler")
    now(17, 6)
    diary.types("Lea malade auj, elle mangera pas")
    diary.taps("Confirmer")
    diary.types("merci")

    diary.day("Mercredi 18 mars : le rappel, et complet lundi")
    theirs(Wish.ADD, alma, noe, key="full")
    now(18, 9, 30)
    with portal.town() as town:
        work.remind(town, town.settings(planning))
    phone.work()
    diary.arrives()
    diary.types("cantine pour tom lundi 23 mars")
    diary.taps("Confirmer")
    theirs(Wish.REMOVE, alma, key="free")
    phone.work()
    diary.arrives()

    diary.day("Jeudi 19 mars : grève annoncée")
    now(19, 15)
    with portal.town() as town:
        book = Book(town, town.settings(planning), actor="agent:1")
        Desk(town, book, actor="agent:1").close(MONDAY, {"CANTINE"}, "", "Grève nationale")
    phone.work()
    diary.arrives()
    diary.types("et mardi 24 léa mange ?")

    assert mine
    assert diary.played() == written(WRITTEN), diary.played()


def _usual_week(diary):
    diary.day("Mardi 10 mars : la semaine habituelle")
    diary.types("bonjour, c’est quoi le planning de Léa ?")
    diary.types("cantine mardi et vendredi jusqu’aux vacances pour léa")
    diary.taps("Confirmer")
    diary.types("et la cantine pour tom lundi 16")
    diary.taps("Confirmer")
    diary.types("planning de la semaine prochaine")


def _single_days(diary):
    diary.day("Mercredi 11 mars : un jour de plus, un jour de moins")
    diary.types("rajoute tom a la garderi du soir jeudi")
    diary.taps("Confirmer")
    diary.types("jusqu’à quand je peux annuler la cantine de vendredi 20 ?")
    diary.types("annule le vendredi 20")
    diary.taps("Léa")
    diary.taps("Confirmer")
    diary.types("léa mange mardi mais pas vendredi")
