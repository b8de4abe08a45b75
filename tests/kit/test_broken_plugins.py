"""Broken plugins against two towns: the second never notices, and core loses nothing."""

from __future__ import annotations

import itertools

import pytest
from structlog.testing import capture_logs

from core.platform.plugins import calls, rests
from core.testing.broken_kinds import BROKEN, break_
from core.testing.broken_plugins import Broken, forget_kept
from core.testing.conformance import PluginContract
from core.testing.journey import journey
from core.testing.portal import cheap_hashes, make_portal, write_towns
from plugins.cheque_import import plugin as cheques

numbers = itertools.count(100)


@pytest.fixture(scope="module")
def house(module_database, tmp_path_factory):
    folder, broken = tmp_path_factory.mktemp("portal"), Broken()
    towns = write_towns(folder / "both")
    with (towns / "valmont" / "tenant.toml").open("a") as file:
        file.write("[plugins.broken]\n")
    portal = make_portal(module_database, folder, plugins={"broken": broken}, tenants_dir=towns)
    portal.runtime.redis.flushall()
    with cheap_hashes(), capture_logs():
        without = expected(journey(portal, "brumes", "F000"))
        assert without["messages"] == [
            "address_confirmation", "invoices_published", "payment_reversed", "payment_settled",
        ]  # fmt: skip
        assert [left for _number, left in without["balances"]] == [5687, 5687]
        yield portal, broken, without
    portal.runtime.close()


def expected(facts, family="F000"):
    """The facts without the names of one run."""
    return {
        **facts,
        "balances": [(number.removeprefix(family), left) for number, left in facts["balances"]],
        "other": facts["other"].removeprefix(family),
    }


@pytest.fixture
def towns(house, monkeypatch):
    monkeypatch.setattr(calls, "CALL_TIMEOUT_SECONDS", 0.5)
    house[0].runtime.answers.forget()
    rests.forget_rests()
    yield house
    house[1].does.clear()
    forget_kept()
    house[0].runtime.answers.forget()
    rests.forget_rests()


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_plugin_costs_its_town_nothing_of_cores_and_its_neighbour_nothing(towns, name):
    portal, broken, without = towns
    break_(broken, name)
    for slug in ("valmont", "brumes"):
        family = f"F{next(numbers)}"
        facts = expected(journey(portal, slug, family), family)
        if slug == "valmont" and "family_data" in BROKEN[name]:
            assert facts["exported"] == ["refused"], "half an export is none"
            facts["exported"] = without["exported"]
        assert facts == without


class TestCheques(PluginContract):
    """A plugin with tables, pages, commands and events."""

    toml = '[plugins.cheque_import]\naccount_key = "0123456789abcdef0123456789abcdef"\n'

    @pytest.fixture
    def plugin(self):
        return cheques
