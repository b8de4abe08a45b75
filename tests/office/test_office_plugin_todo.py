"""What waits in plugins' pages stands under *À faire*."""

from __future__ import annotations

import pytest
from office_browser import Office
from pyramid.response import Response

from core.plugin import Plugin, PluginSettings, TodoEntry, hookimpl
from core.testing.portal import make_portal, pages_of


class Waiting(Plugin[PluginSettings]):
    """Something waits."""

    name = "waiting"
    label = "Waiting"
    Settings = PluginSettings
    entries = ()

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
