"""Families by service, school and day, for messages of agents."""

from __future__ import annotations

from datetime import timedelta

import pytest
from planning_towns import MONDAY, ask, enrol, family

from core.testing.conformance import FamilyGroupContract
from plugins.planning import plugin
from plugins.planning.groups import BookedGroup, EnrolledGroup


@pytest.fixture
def homes(portal):
    """Léa eats on Monday and has two homes; Tom is enrolled elsewhere and eats nothing."""
    lea, by_code = family(portal, "F1", ("E1",))
    other, _same = family(portal, "F2", ("E1",))
    tom, toms = family(portal, "F3", ("E3",))
    enrol(portal, by_code["E1"])
    enrol(portal, toms["E3"], service="MATIN", place="Pergaud")
    ask(portal, lea, (by_code["E1"], "CANTINE", MONDAY, "add"), key="k")
    return {"lea": lea, "other": other, "tom": tom}


def found(portal, key, **chosen):
    with portal.town() as town:
        group = town.broadcasts.groups.all()[f"planning.{key}"]
        given = town.broadcasts.groups.checked(f"planning.{key}", chosen)
        return set(group.families(given)), group.describe(given)


def test_both_homes_of_a_child_who_is_expected_are_meant(portal, homes):
    both = {homes["lea"], homes["other"]}
    families, words = found(portal, "booked", day=MONDAY.isoformat(), service="CANTINE")
    assert families == both
    assert words == "Enfants attendus le lundi 30 mars (Cantine)"
    assert found(portal, "booked", day=MONDAY.isoformat(), place="Jules-Ferry")[0] == both
    assert found(portal, "booked", day=MONDAY.isoformat(), place="Pergaud")[0] == set()
    assert found(portal, "booked", day=(MONDAY + timedelta(1)).isoformat())[0] == set()


def test_a_day_that_was_closed_still_means_who_counted_on_it(portal, homes):
    from plugins.planning.book import Book
    from plugins.planning.desk import Desk

    with portal.town() as town:
        book = Book(town, town.settings(plugin), actor="agent:1")
        Desk(town, book, actor="agent:1").close(MONDAY, ["CANTINE"], "", "grève")
    assert found(portal, "booked", day=MONDAY.isoformat())[0] == {homes["lea"], homes["other"]}


def test_the_enrolled_of_a_service_and_a_school(portal, homes):
    assert found(portal, "enrolled")[0] == set(homes.values())
    assert found(portal, "enrolled", service="MATIN")[0] == {homes["tom"]}
    assert found(portal, "enrolled", place="Pergaud")[0] == {homes["tom"]}
    assert found(portal, "enrolled", service="CANTINE", place="Pergaud")[0] == set()


class TestBooked(FamilyGroupContract):
    @pytest.fixture
    def group(self, portal, homes):
        with portal.town() as town:
            yield BookedGroup(town, town.settings(plugin))

    @pytest.fixture
    def chosen(self):
        return {"day": MONDAY.isoformat(), "service": "CANTINE", "place": ""}

    @pytest.fixture
    def nobody(self):
        return {"day": "2026-01-01", "service": "", "place": ""}


class TestEnrolled(FamilyGroupContract):
    @pytest.fixture
    def group(self, portal, homes):
        with portal.town() as town:
            yield EnrolledGroup(town, town.settings(plugin))

    @pytest.fixture
    def chosen(self):
        return {"service": "MATIN", "place": "Pergaud"}

    @pytest.fixture
    def nobody(self):
        return {"service": "CANTINE", "place": "Pergaud"}
