"""What waits in plugins' pages stands under *À faire*."""

from __future__ import annotations

import pytest
from office_browser import Office
from pyramid.response import Response

from core.plugin import (
    Audience,
    MenuEntry,
    MenuGroup,
    Plugin,
    PluginSettings,
    TodoEntry,
    hookimpl,
)
from core.testing.portal import make_portal, pages_of


class Waiting(Plugin[PluginSettings]):
    """Something waits."""

    name = "waiting"
    label = "Waiting"
    Settings = PluginSettings
    entries = ()

    @hookimpl
    def menu_entries(self, audience):
        if audience is not Audience.OFFICE:
            return ()
        return (
            MenuEntry("Cuisine", "waiting.page", 15, group=MenuGroup.FAMILIES),
            MenuEntry("Ailleurs", "waiting.page"),
            MenuEntry("Nulle part", "waiting.page", group="kitchen"),
        )[: self.menu]

    menu = 2

    @hookimpl
    def configure_web(self, config):
        config.add_route("page", "demandes")
        config.add_view(lambda _request: Response("x"), route="page", permission="office")

    @hookimpl
    def todo_entries(self):
        return self.entries


@pytest.fixture
def plugin():
    return Waiting()


@pytest.fixture
def dashboard(database, redis, tmp_path, plugin):
    redis.flushall()
    portal = make_portal(database, tmp_path, plugins={"waiting": plugin}, toml="[plugins.waiting]\n")
    office = Office(pages_of(portal.runtime), portal, "valmont").enter()
    yield lambda: office.get("/regie")
    portal.runtime.close()


def test_entries_have_their_words_and_their_link(dashboard, plugin):
    assert "Rien n’attend" in dashboard()
    plugin.entries = [
        TodoEntry(2, "2 demandes <attendent>", "Voir les demandes", "waiting.page", {"etat": "neuf"}),
        TodoEntry(0, "rien", "Voir", "waiting.page"),
    ]
    page = dashboard()
    assert "Rien n’attend" not in page
    (link,) = page.html.select("ul.todo a")
    assert link.text.strip() == "Voir les demandes"
    assert link["href"] == "/valmont/%2Bwaiting/demandes?etat=neuf"
    assert "2 demandes &lt;attendent&gt;" in page


@pytest.mark.parametrize("route", ["waiting.nowhere", "invoice_pdf", "x"])
def test_an_entry_that_leads_nowhere_is_left_out(dashboard, plugin, route):
    plugin.entries = [TodoEntry(1, "nulle part", "Voir", route), TodoEntry(1, "ici", "Voir", "waiting.page")]
    page = dashboard()
    assert "nulle part" not in page
    assert len(page.html.select("ul.todo a")) == 1


def test_a_plugins_page_stands_in_the_group_it_names(dashboard):
    groups = {
        group.summary.text: [a.text for a in group.select("a")]
        for group in dashboard().html.select(".main-nav details.group")
    }
    assert groups["Familles"] == ["Familles", "Cuisine", "Messages aux familles", "Actualités"]
    assert groups["Autres"] == ["Ailleurs"]


def test_an_unknown_group_costs_the_plugin_its_entries(dashboard, plugin):
    plugin.menu = 3
    assert "Cuisine" not in dashboard().html.select_one(".main-nav").text
