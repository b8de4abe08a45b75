"""``preau planning``: import, undo, export, as an operator types them."""

from __future__ import annotations

from datetime import date

import pytest
from click.testing import CliRunner
from planning_towns import MONDAY, ask, enrol, family
from sqlalchemy import text

from core import runtime
from core.cli.main import PreauGroup
from core.testing.portal import installed_plugins

FILE = """\
code_famille;nom_famille;enfant;nom_enfant;service;du;au
F7;MARTIN;E7;Léa MARTIN;CANTINE;01/09/2025;03/07/2026
"""


@pytest.fixture
def run(portal, monkeypatch):
    """Runs a command; its output and its status."""
    monkeypatch.setattr(runtime, "get_runtime", lambda: portal.runtime)

    def command(*arguments):
        result = CliRunner().invoke(PreauGroup(), ["planning", *map(str, arguments)])
        return result.output, result.exit_code

    with installed_plugins(portal.runtime.extensions):
        yield command


def enrolments(portal):
    with portal.town() as town:
        return town.session.execute(text("SELECT service, first FROM planning_enrolment")).all()


def test_a_file_is_checked_imported_and_undone(portal, run, tmp_path):
    path = tmp_path / "inscriptions.csv"
    path.write_text(FILE, encoding="utf-8")
    output, status = run("import", "valmont", path, "--check")
    assert (status, "Inscriptions nouvelles: 1" in output) == (0, True)
    assert enrolments(portal) == []
    output, status = run("import", "valmont", path)
    assert status == 0
    assert [tuple(row) for row in enrolments(portal)] == [("CANTINE", date(2025, 9, 1))]
    undo = output.strip().splitlines()[-1].rpartition(" ")[2]
    output, status = run("undo", "valmont", undo)
    assert (status, output.strip()) == (0, "Inscriptions retirées ou rétablies: 1")
    assert enrolments(portal) == []
    output, status = run("undo", "valmont", undo)
    assert (status, output.strip()) == (0, "Inscriptions retirées ou rétablies: 0")


def test_a_wrong_file_is_refused_by_line(portal, run, tmp_path):
    path = tmp_path / "inscriptions.csv"
    path.write_text(FILE + "F7;MARTIN;E8;;PISCINE;01/09/2025;03/07/2026\n", encoding="utf-8")
    output, status = run("import", "valmont", path)
    assert status == 1
    assert "inscriptions.csv:3: service" in output
    assert "nothing is imported" in output
    path.write_text(FILE.replace("MARTIN", ""), encoding="utf-8")
    output, status = run("import", "valmont", path)
    assert (status, "inconnue" in output) == (1, True)
    assert enrolments(portal) == []


def test_the_export_is_whole_new_or_again(portal, run):
    mine, children = family(portal)
    enrol(portal, children["E001"])
    ask(portal, mine, (children["E001"], "CANTINE", MONDAY, "add"), key="1")
    period = ("--from", "2026-03-01", "--to", "2026-03-31")
    whole, status = run("export", "valmont", *period)
    assert status == 0
    assert whole.splitlines()[1].startswith("E001;")
    new, status = run("export", "valmont", *period, "--new")
    assert status == 0
    assert "1 rows" in new
    assert whole.splitlines()[1] in new
    assert run("export", "valmont", *period, "--new") == ("nothing new\n", 0)
    number = new.split("export ")[1].split(",")[0]
    assert run("export", "valmont", "--again", number) == (whole, 0)
    assert run("export", "valmont", "--again", "999")[1] == 1
    assert run("export", "valmont")[1] == 2
    assert run("export", "nowhere", *period)[1] == 1
