"""Messages as parents type them, against what was expected of each before the rules were read."""

from __future__ import annotations

from datetime import date

import pytest
from planning_said import ALL, SAID, SECOND

from plugins.planning.asking import Sense, understand
from plugins.planning.chat import PlanningSkill
from plugins.planning.rules import Weeks
from plugins.telegram_bot.other_skills import _intent
from plugins.telegram_bot.understanding import understand as heard
from plugins.telegram_bot.understanding.rules import own

TODAY = date(2026, 12, 1)
CHILDREN = {1: "DURAND Léa", 2: "DURAND Tom", 3: "Zoé-Éléonore"}
SERVICES = {"CANTINE": "Cantine", "MATIN": "Garderie du matin", "SOIR": "Garderie du soir", "MERCREDI": "Centre de loisirs du mercredi"}
BREAKS = (
    (date(2026, 12, 19), date(2027, 1, 3)), (date(2027, 2, 20), date(2027, 3, 7)),
    (date(2027, 4, 17), date(2027, 5, 2)), (date(2027, 7, 3), date(2027, 8, 31)),
)
WHO = {"lea": (1,), "tom": (2,), "zoe": (3,), "": (), ALL: (), "lea tom": (1, 2)}
DAYS = ("lu", "ma", "me", "je", "ve", "sa", "di")


def day(word):
    parts = [int(part) for part in word.split("/")]
    return date(parts[2] if len(parts) > 2 else 2026, parts[1], parts[0])


def expected(kind, who, services, days):
    if kind == "none":
        return None
    words = days.split()
    every = [words[n + 1] for n, word in enumerate(words) if word == "until"]
    since = [words[n + 1] for n, word in enumerate(words) if word == "from"]
    found = {
        "kind": kind, "children": WHO[who], "every": who == ALL,
        "services": {name.upper() for name in services.split()},
    }
    if kind.endswith("every"):
        found |= {
            "weekdays": {DAYS.index(word) for word in words if word in DAYS},
            "since": day(since[0]) if since else None, "until": day(every[0]),
            "weeks": Weeks.EVEN if "even" in words else Weeks.ALL,
        }
    elif kind != "page":
        found["days"] = [day(word) for word in words]
    return found


def given(text):
    found = understand(text, today=TODAY, children=CHILDREN, services=SERVICES, breaks=BREAKS)
    if found is None:
        return None
    kind = {Sense.SHOW: "show", Sense.PAGE: "page", Sense.DAYS: found.wish.value,
            Sense.PATTERN: f"{found.wish.value} every"}[found.sense]
    told = {"kind": kind, "children": found.children, "every": found.every_child,
            "services": set(found.services)}
    if found.sense is Sense.PATTERN:
        told |= {"weekdays": set(found.weekdays), "since": found.since, "until": found.until, "weeks": found.weeks}
    elif found.sense is not Sense.PAGE:
        told["days"] = list(found.days)
    return told


@pytest.mark.parametrize(("text", "kind", "who", "services", "days"), SAID + SECOND, ids=[one[0] for one in SAID + SECOND])
def test_a_message_asks_for_what_its_parent_meant(text, kind, who, services, days):
    assert given(text) == expected(kind, who, services, days)


def test_the_bot_hands_all_of_them_to_the_planning():
    """The chat's own intents, such as ``annuler``, do not come first."""
    intents = own().joined_by(*(_intent("planning.days", rule) for rule in PlanningSkill.rules))
    about = [text for text, kind, *_rest in SAID + SECOND if kind != "none"]
    assert [text for text in about if heard(text, TODAY, intents).wish != "planning.days"] == []
