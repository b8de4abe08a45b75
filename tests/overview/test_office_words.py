"""The trail is read by people: each of its codes has words, in both languages."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from sqlalchemy import select

import core
from core.imports.models import ImportBatch
from core.platform import i18n
from core.platform.web import labels as words

ROOT = Path(core.__file__).parent


def written() -> set[str]:
    """The actions that core's code writes into the trail."""
    found = set()
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == "write"
                and "audit" in ast.unparse(node.func.value)
            ):
                found |= {
                    item.value
                    for item in ast.walk(node.args[0])
                    if isinstance(item, ast.Constant) and isinstance(item.value, str)
                }
    return found


def test_every_action_has_its_words():
    assert written() - words.actions().keys() == set()
    assert len(written()) > 30


def test_the_words_are_of_the_language():
    with i18n.use("en"):
        english = words.actions()
    assert all(english[name] != said for name, said in words.actions().items())


@pytest.mark.parametrize(
    ("code", "said"),
    [("agent:7", "Claude"), ("agent:8", "Ancien agent"), ("system", "Automatique"),
     ("cli:root", "Exploitant (root)"), ("family:3", "La famille"), ("plugin", "plugin")],
)  # fmt: skip
def test_who_did_it_is_named(code, said):
    assert words.actor(code, {"agent:7": "Claude"}) == said


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [("means", "cash", "Espèces"), ("amount", 5687, "56,87\u00a0€"), ("role", "reader", "Lecture seule"),
     ("all", True, "oui"), ("day", "2026-11-25", "25/11/2026"), ("day", "bientôt", "bientôt"),
     ("at", "2026-11-25T13:05:00+00:00", "25 novembre 2026 à 14\u00a0h\u00a005"), ("file", "a.csv", "a.csv"),
     ("means", "gold", "Autre moyen"), ("invoices", 12, "12")],
)  # fmt: skip
def test_what_it_says_besides_is_in_words(key, value, said):
    assert words.value(key, value) == said


def test_the_trail_leads_to_what_it_is_about(work):
    page = work.get("/regie/factures").click("^9$")
    work.press(page, "hand_over")
    trail = work.get("/regie/tracabilite", params={"action": "invoice.handed_over"})
    assert "Facture transmise à la trésorerie" in trail
    assert work.path_of(trail.click("^Facture 9$")) == work.path_of(page)
    assert "Facture transmise à la trésorerie" in work.get("/regie/tracabilite.csv").text


def test_the_trail_calls_everything_by_its_name(work, portal):
    """Families, files, payments, régies: nobody knows the number of a row."""
    with portal.town() as town:
        family = town.search.find("9").invoices[0].Family
        town.audit.write("family.changed", f"family:{family.id}")
        town.audit.write("agent.changed", next(iter(town.agents.names())))
        regie = next(iter(town.config.file.regies))
        town.audit.write("reminders.changed", f"regie:{regie}")
        town.audit.write("news.hidden", "news:999999999")
        label, name = town.config.regie_label(regie), family.name or family.code
        file_name = town.session.scalar(select(ImportBatch.file_name))
        agent = next(iter(town.agents.names().values()))
    trail = work.get("/regie/tracabilite")
    subjects = {cell.get_text(strip=True) for cell in trail.html.select('td[data-label="Objet"]')}
    expected = {f"Famille {name}", f"Agent {agent}", f"Régie {label}", f"Import {file_name}"}
    assert subjects >= {*expected, "Actualité 999999999"}
    assert f"Famille {name}" in work.get("/regie/tracabilite.csv").text


@pytest.mark.parametrize(
    ("typed", "found"), [("9", True), ("factures.csv", False), ("NOBODY", False), ("invoice:x", False)]
)
def test_the_trail_is_asked_for_by_name(work, typed, found):
    page = work.get("/regie/factures").click("^9$")
    work.press(page, "hand_over")
    trail = work.get("/regie/tracabilite", params={"objet": typed})
    assert ("Facture 9" in trail) is found
