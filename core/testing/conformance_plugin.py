"""The contract of a whole plugin: with it, a town loses nothing; its neighbour notices nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from core.api.plugin import Plugin
from core.dev.embedded import Addresses
from core.platform import metrics
from core.platform.i18n import use
from core.platform.plugins import rests
from core.testing.fakes import TOWNS
from core.testing.journey import journey
from core.testing.portal import Portal, cheap_hashes, make_portal, write_towns

OWN, NEIGHBOUR = TOWNS


class PluginContract:
    """Rules that core relies on for every plugin; its town has a neighbour without the plugin."""

    toml = ""
    """The plugin's section of a `tenant.toml`, as ``[plugins.x]`` and its settings. Override it."""

    @pytest.fixture
    def plugin(self) -> Plugin[Any]:
        """The plugin object under test. Override it."""
        raise NotImplementedError

    @pytest.fixture
    def towns(
        self, plugin: Plugin[Any], database: Addresses, redis: Redis, tmp_path: Path
    ) -> Iterator[Portal]:
        """Two towns over real servers, of which the first enables the plugin."""
        redis.flushall()
        folder = write_towns(tmp_path / "both")
        with (folder / OWN / "tenant.toml").open("a", encoding="utf-8") as file:
            file.write(self.toml or f"[plugins.{plugin.name}]\n")
        portal = make_portal(
            database, tmp_path, plugins={plugin.name: plugin}, tenants_dir=folder
        )
        assert not portal.runtime.registry.broken
        rests.forget_rests()
        with cheap_hashes():
            yield portal
        rests.forget_rests()
        portal.runtime.close()

    def test_a_month_with_it_is_a_month_without_it(
        self, plugin: Plugin[Any], towns: Portal
    ) -> None:
        """Core holds the same of a family with the plugin as without; and no fault is counted."""
        before = _faults(plugin.name)
        without = journey(towns, NEIGHBOUR, "F001")
        with_it = journey(towns, OWN, "F001")
        assert {**with_it, "exported": ()} == {**without, "exported": ()}
        assert set(without["exported"]) <= set(with_it["exported"])
        assert _faults(plugin.name) == before

    def test_what_it_holds_of_a_family_can_be_written_down_and_forgotten(
        self, plugin: Plugin[Any], towns: Portal
    ) -> None:
        """Articles 15 and 17 of the GDPR, also where it holds nothing; twice is once."""
        journey(towns, OWN, "F001")
        with towns.town(OWN) as town:
            family = town.families.by_code("F001")
            for _time in range(2):
                data = town.ask_plugins("family_data", {"family_id": family.id})
                json.dumps(data.get(plugin.name), default=str)
                town.ask_plugins("family_erased", {"family_id": family.id})

    def test_a_child_of_two_homes_is_one_child(self, plugin: Plugin[Any], towns: Portal) -> None:
        """Both homes have sound lines and entries; homes that become one have one of each."""
        before = _faults(plugin.name)
        with towns.town(OWN) as town:
            one, two = (town.families.open(code, "Camille").id for code in ("F811", "F812"))
            child = town.families.add_child(one, "E811", "Zoé")
            assert town.families.add_child(two, "E811").id == child.id
        with towns.town(OWN) as town:
            for language in ("fr", "en"):
                with use(language):
                    for family in (one, two):
                        assert all(line.strip() for line in town.tile_lines(family).values())
                    for name, entry in town.todo_entries():
                        assert name == plugin.name
                        assert entry.text.strip()
                        assert entry.action.strip()
        with towns.town(OWN) as town:
            for _time in range(2):
                town.ask_plugins("families_merged", {"kept": one, "gone": two})
            json.dumps(town.ask_plugins("family_data", {"family_id": one}), default=str)
        assert _faults(plugin.name) == before

    def test_it_speaks_all_languages_of_its_towns(
        self, plugin: Plugin[Any], towns: Portal
    ) -> None:
        """Entries of menus have words in each language."""
        with towns.town(OWN) as town:
            for language in ("fr", "en"):
                with use(language):
                    for choice in town.messages.choices(_family(town)):
                        assert choice[1].strip()
                    for skill in town.chat.skills():
                        assert skill.label.strip()
        assert plugin.label.strip()


def _family(town: Any) -> int:
    return int(town.families.open("F999", "x").id)


def _faults(plugin: str) -> float:
    return sum(
        sample.value
        for metric in metrics.plugin_faults.collect()
        for sample in metric.samples
        if sample.name.endswith("_total") and sample.labels.get("plugin") == plugin
    )


__all__ = ["PluginContract"]
