"""What parents type, as they type it."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.planning.asking import Sense, plain, understand
from plugins.planning.rules import Wish

TODAY = date(2026, 12, 1)  # a Tuesday
CHILDREN = {1: "DURAND Léa", 2: "DURAND Tom", 3: "Zoé-Éléonore"}
SERVICES = {"CANTINE": "Cantine", "GARDERIE": "Garderie du soir", "MERCREDI": "Centre de loisirs du mercredi"}
HOLIDAYS, SUMMER = date(2026, 12, 18), date(2027, 7, 2)
BREAKS = ((date(2026, 12, 19), date(2027, 1, 3)), (date(2027, 7, 3), date(2027, 8, 31)))


def meant(text, **more):
    return understand(text, today=TODAY, children=CHILDREN, services=SERVICES, breaks=BREAKS, **more)


def day(number):
    return TODAY + timedelta(days=number)


@pytest.mark.parametrize(("text", "wish", "children", "services", "days"), [
    ("Léa absente demain", Wish.REMOVE, (1,), (), (day(1),)),
    ("lea absante 2main", Wish.REMOVE, (1,), (), (day(1),)),
    ("Bonjour, Tom est malade, il ne mangera pas à la cantine aujourd’hui", Wish.REMOVE, (2,), ("CANTINE",), (day(0),)),
    ("annule jeudi", Wish.REMOVE, (), (), (day(2),)),
    ("anule la cantinne de tom jeudi et vendredi svp", Wish.REMOVE, (2,), ("CANTINE",), (day(2), day(3))),
    ("Zoé ne vient pas lundi prochain", Wish.REMOVE, (3,), (), (day(6),)),
    ("réserve la garderie pour léa le 3/12", Wish.ADD, (1,), ("GARDERIE",), (day(2),)),
    ("tom mange à la cantine vendredi", Wish.ADD, (2,), ("CANTINE",), (day(3),)),
    ("inscrire Léa au centre de loisirs mercredi 9 décembre", Wish.ADD, (1,), ("MERCREDI",), (day(8),)),
    ("rajoute après demain pour tom stp", Wish.ADD, (2,), (), (day(2),)),
    ("annule la semaine prochaine pour Léa", Wish.REMOVE, (1,), (), tuple(day(n) for n in range(6, 13))),
    ("pas de cantine ce midi, léa malade", Wish.REMOVE, (1,), ("CANTINE",), (day(0),)),
    ("ANNULE MARDI PROCHAIN TOM", Wish.REMOVE, (2,), (), (day(7),)),
    ("Lea is sick tomorrow", Wish.REMOVE, (1,), (), (day(1),)),
])
def test_days(text, wish, children, services, days):
    found = meant(text)
    assert found is not None
    assert (found.sense, found.wish, found.children, found.services, found.days) == (Sense.DAYS, wish, children, services, days)


@pytest.mark.parametrize(("text", "weekdays", "until", "wish"), [
    ("mardi et vendredi jusqu’aux vacances", {1, 4}, HOLIDAYS, Wish.ADD),
    ("cantine lundi mardi jeudi jusqu'aux vacances pour léa", {0, 1, 3}, HOLIDAYS, Wish.ADD),
    ("tous les lundis jusqu'à la fin de l'année", {0}, SUMMER, Wish.ADD),
    ("réserve tom tous les jeudis jusqu'au 18/12", {3}, date(2026, 12, 18), Wish.ADD),
    ("annule les mardis jusqu'en mars", {1}, date(2027, 3, 31), Wish.REMOVE),
])
def test_weeks(text, weekdays, until, wish):
    found = meant(text)
    assert found is not None
    assert (found.sense, found.weekdays, found.until, found.wish) == (Sense.PATTERN, weekdays, until, wish)


@pytest.mark.parametrize("text", ["planning", "la semaine de Tom", "quels jours mange léa ?", "planning semaine prochaine"])
def test_the_week(text):
    assert meant(text).sense is Sense.SHOW


@pytest.mark.parametrize("text", ["", "merci beaucoup", "combien je dois ?", "je veux payer ma facture", "🍎"])
def test_something_else(text):
    assert meant(text) is None


@given(st.text(max_size=300))
def test_any_text_is_understood_or_left(text):
    found = meant(text)
    assert found is None or found.sense in Sense
    assert plain(plain(text)) == plain(text)


def test_days_that_the_chat_understood_are_taken():
    found = meant("léa absente", days=(day(3), day(4)))
    assert found.days == (day(3), day(4))
