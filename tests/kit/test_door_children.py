"""Plugins read the children of a home, and the homes of a child."""

from __future__ import annotations

from datetime import date

import pytest

from core.plugin import LineRecord, TaxKind, UserError
from core.testing.portal import record


def lines(*children: tuple[str, str]) -> tuple[LineRecord, ...]:
    return tuple(
        LineRecord(rank, activity, TaxKind.MEAL, 5687 // len(children), child=child)
        for rank, (child, activity) in enumerate(children, 1)
    )


@pytest.fixture
def two_homes(portal):
    portal.publish(
        record(amount=5686, lines=lines(("zoé", "Repas"), ("E7", "Étude"))),
        record("2026-0002", "F002", amount=5687, lines=lines(("noé", "Repas"))),
    )
    with portal.town() as town:
        town.families.share_child(town.families.by_code("F002").id, "E7", sees_all=False)
    return portal


def test_children_of_a_home_come_by_name_with_all_their_homes(two_homes):
    with two_homes.town() as town:
        one, two = (town.families.by_code(code).id for code in ("F001", "F002"))
        children = town.families.children(one)
        assert [(child.code, child.name, child.family_ids) for child in children] == [
            ("E7", "E7", (one, two)), ("F001/zoé", "zoé", (one,)),
        ]  # fmt: skip
        assert [child.name for child in town.families.children(two)] == ["E7", "noé"]
        assert town.families.child(children[0].id) == children[0]
        assert town.families.children_by_code(["E7", "nobody"]) == {"E7": children[0]}
        assert town.families.child(0) is None


def test_a_child_of_another_town_is_not_found(two_homes):
    with two_homes.town() as town:
        child = town.families.child_named(town.families.by_code("F001").id, "zoé")
    with two_homes.town("brumes") as other:
        assert other.families.child(child.id) is None
        assert other.families.children(child.family_ids[0]) == []
        assert other.families.children_by_code([child.code]) == {}
        assert other.invoices.activities([child.id], date(2026, 1, 1)) == {child.id: []}


def test_activities_are_what_published_invoices_bill_since_a_day(two_homes):
    with two_homes.town() as town:
        elie, zoe = (child.id for child in town.families.children(town.families.by_code("F001").id))
        assert town.invoices.activities([zoe, elie], date(2026, 3, 1)) == {
            zoe: ["Repas"], elie: ["Étude"],
        }  # fmt: skip
        assert town.invoices.activities([zoe], date(2026, 3, 2)) == {zoe: []}
        assert town.invoices.activities([], date(2026, 3, 2)) == {}


def test_merged_homes_are_one(two_homes):
    with two_homes.town() as town:
        one, two = (town.families.by_code(code).id for code in ("F001", "F002"))
        town.merging.merge(one, two)
        assert {child.family_ids for child in town.families.children(one)} == {(one,)}
        assert town.families.children(two) == []


def test_a_file_names_a_child_as_invoices_do(two_homes):
    with two_homes.town() as town:
        one, two = (town.families.by_code(code).id for code in ("F001", "F002"))
        zoe = town.families.child_named(one, " ZOÉ ")
        assert zoe is not None
        assert zoe.name == "zoé"
        assert town.families.child_named(one, "ZOE\u0301") == zoe
        assert town.families.child_named(two, "zoé") is None
        assert town.families.child_named(two, "E7") == town.families.child_named(one, "E7")
        assert town.families.child_named(one, "") is town.families.child_named(0, "zoé") is None


def test_a_child_and_a_home_can_come_before_their_first_invoice(portal):
    with portal.town() as town:
        home = town.families.open(" F-009 ", "ROUX Anne")
        assert town.families.open("F-009", "another") == home
        with pytest.raises(UserError, match="ne diffèrent que par leur écriture"):
            town.families.open("F009", "ROUX Anne")
        lea = town.families.add_child(home.id, "Léa")
        assert town.families.add_child(home.id, "LÉA") == lea
        other = town.families.open("F010", "BRUN Paul")
        seven = town.families.add_child(home.id, "E7", "Tom ROUX")
        shared = town.families.add_child(other.id, "E7")
        assert (shared.id, shared.name, shared.family_ids) == (
            seven.id, "Tom ROUX", (home.id, other.id),
        )  # fmt: skip
        for family_id, child in ((0, "Léa"), (home.id, " ")):
            with pytest.raises(UserError):
                town.families.add_child(family_id, child)
        with pytest.raises(UserError):
            town.families.open("é/1", "x")
    portal.publish(record(family="F-009", lines=lines(("Léa", "Repas"))))
    with portal.town() as town:
        assert [child.id for child in town.families.children(home.id)] == [lea.id, seven.id]
