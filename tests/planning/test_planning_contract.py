"""The planning as a plugin among others: its town loses nothing of core's, its neighbour nothing at all."""

from __future__ import annotations

import pytest
from planning_towns import MONDAY, TOML, ask, enrol, family
from sqlalchemy import text

from core.testing.conformance import PluginContract
from plugins.planning import plugin as planning


class TestPlanning(PluginContract):
    """Every door is used: children, messages, chat, imports, tile, what waits."""

    toml = TOML

    @pytest.fixture
    def plugin(self):
        return planning


def test_the_tile_says_the_next_deadline_and_what_waits_is_counted(portal):
    homes = [family(portal, f"F{number}", (f"E{number}",)) for number in range(3)]
    ids = [next(iter(children.values())) for _home, children in homes]
    with portal.town() as town:
        assert town.tile_lines(homes[0][0]) == {}
    enrol(portal, *ids)
    for (home, _children), child in zip(homes, ids, strict=True):
        ask(portal, home, (child, "CANTINE", MONDAY, "add"), key=f"k{child}")
    with portal.town() as town:
        assert town.tile_lines(homes[0][0]) == {"planning.week": "Prochaine date limite\u00a0: jeudi 12 mars, 10\u00a0h"}
        (entry,) = [entry for plugin, entry in town.todo_entries() if plugin == "planning"]
    assert (entry.count, entry.text) == (1, "1 enfant attend une place")


def test_two_homes_that_merge_keep_their_requests_and_one_usual_week(portal):
    one, children = family(portal, "F1", ("E1",))
    two, _same = family(portal, "F2", ("E1",))
    child = children["E1"]
    enrol(portal, child)
    ask(portal, two, (child, "CANTINE", MONDAY, "add"), key="mine")
    with portal.town() as town:
        for home in (one, two):
            town.session.execute(
                text("INSERT INTO planning_pattern (tenant_id, child_id, family_id, weeks, days, first, last, at)"
                     " VALUES ('valmont', :c, :f, 'all', '[]', '2026-03-01', '2026-06-30', now())"), {"c": child, "f": home})
        for _time in range(2):
            town.ask_plugins("families_merged", {"kept": one, "gone": two})
    with portal.town() as town:
        assert town.session.execute(text("SELECT family_id FROM planning_pattern")).scalars().all() == [one]
        assert town.session.execute(text("SELECT family_id FROM planning_booking")).scalars().all() == [one]
        assert [day["jour"] for day in town.ask_plugins("family_data", {"family_id": one})["planning"]["jours"]] == ["2026-03-30"]
