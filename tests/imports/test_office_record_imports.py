"""A plugin's own files: sent, looked at, imported and undone like invoices."""

from __future__ import annotations

import json
import sys
from contextlib import suppress

import pytest
from office_browser import Office
from sqlalchemy import text
from structlog.testing import capture_logs
from webtest import Upload

from core.platform.plugins import rests
from core.plugin import (
    Figure,
    Plugin,
    PluginSettings,
    RecordReport,
    SourceProblem,
    TableError,
    UserError,
    hookimpl,
    read_tables,
)
from core.testing.conformance import RecordImportContract
from core.testing.portal import make_portal, pages_of, record

FILE = "famille;langue\nF001;en\nF002;fr\n"


class Languages:
    """A file that says in which language a family reads; what was before is kept in its row."""

    key = "languages"
    label = "Langues (CSV)"

    def read(self, file):
        try:
            (table,) = read_tables(file.path.read_bytes())
        except TableError as error:
            yield SourceProblem("Ce fichier est illisible.", file.name, error.line)
            return
        if table[0].cells != ("famille", "langue"):
            yield SourceProblem("Les colonnes sont famille et langue.", file.name, 1)
            return
        for row in table[1:]:
            if row.cell(1) not in {"fr", "en"}:
                yield SourceProblem("Langue inconnue.", file.name, row.line, "langue", row.cell(1))
            else:
                yield row.cells

    def merge(self, ctx, records, import_id):
        changed = []
        for code, language in records:
            family = ctx.families.by_code(code)
            if family is None:
                return RecordReport(problems=(SourceProblem(f"Famille inconnue : {code}."),))
            if family.language != language:
                before = json.dumps({"import": import_id, "language": family.language})
                ctx.session.execute(
                    text("UPDATE family SET language = :new, address = ARRAY[:before] WHERE id = :id"),
                    {"new": language, "before": before, "id": family.id},
                )
                ctx.session.expire_all()
                changed.append(f"{code} : {language}")
        return RecordReport((Figure("Familles modifiées", len(changed)),), tuple(changed))

    def undo(self, ctx, import_id):
        rows = ctx.session.execute(
            text("SELECT id, name, address FROM family WHERE address[1] LIKE '{%' ORDER BY id")
        ).all()
        for row in rows:
            before = json.loads(row.address[0])
            if before["import"] != import_id:
                continue
            if row.name == "LOCKED":
                raise UserError("La famille a été modifiée depuis.")
            ctx.session.execute(
                text("UPDATE family SET language = :old, address = '{}' WHERE id = :id"),
                {"old": before["language"], "id": row.id},
            )
        ctx.session.expire_all()
        return RecordReport((Figure("Familles rétablies", len(rows)),))


class Readers(Plugin[PluginSettings]):
    """Brings a kind of file."""

    name = "readers"
    label = "Readers"
    Settings = PluginSettings
    kind = Languages

    @hookimpl
    def record_imports(self):
        return [self.kind()]


@pytest.fixture
def readers():
    return Readers()


@pytest.fixture
def portal(database, redis, tmp_path, readers):
    redis.flushall()
    portal = make_portal(database, tmp_path, plugins={"readers": readers}, toml="[plugins.readers]\n")
    portal.publish(record(), record("2", "F002"))
    rests.forget_rests()
    with capture_logs():
        yield portal
    rests.forget_rests()
    portal.runtime.close()


@pytest.fixture
def office(portal):
    return Office(pages_of(portal.runtime), portal, "valmont").enter()


def send(office, content=FILE):
    page = office.get("/regie/imports")
    form = office.form(page, "file")
    form["file"] = Upload("langues.csv", content.encode(), "text/csv")
    form["source"] = "readers.languages"
    return office.follow(form.submit())


def languages(portal):
    with portal.town() as town:
        return [town.families.by_code(code).language for code in ("F001", "F002")]


def test_a_file_is_looked_at_imported_and_undone(office, portal):
    page = send(office)
    assert "Familles modifiées" in page
    assert "F001 : en" in page
    assert languages(portal) == ["fr", "fr"], "nothing is kept before the agent agrees"
    page = office.follow(office.form(page, "action").submit("action", value="import"))
    assert "est importé" in page
    assert languages(portal) == ["en", "fr"]
    assert "langues.csv" in office.get("/regie/imports")
    again = send(office)
    assert "déjà été importé" in again
    page = office.follow(office.form(page, "action").submit("action", value="undo"))
    assert "a été annulé" in page
    assert languages(portal) == ["fr", "fr"]
    assert "Fichier d’une extension importé" in office.get("/regie/tracabilite")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a;b\n1;2\n", "Les colonnes sont famille et langue."),
        ("famille;langue\nF001;xx\n", "Langue inconnue."),
        ("famille;langue\nF001;en\nF999;en\n", "Famille inconnue : F999."),
    ],
)
def test_a_file_with_a_problem_is_refused_whole(office, portal, content, words):
    page = send(office, content)
    assert "Rien n’a été importé" in page
    assert words in page
    assert languages(portal) == ["fr", "fr"]


def test_what_depends_on_an_import_keeps_it(office, portal):
    page = office.follow(office.form(send(office), "action").submit("action", value="import"))
    with portal.town() as town:
        town.session.execute(text("UPDATE family SET name = 'LOCKED' WHERE code = 'F001'"))
    page = office.form(page, "action").submit("action", value="undo", status=422)
    assert "a été modifiée depuis" in page
    assert languages(portal) == ["en", "fr"]


def _ends(self, ctx, *_arguments):
    ctx.session.commit()
    return RecordReport()


def _hides(self, ctx, *_arguments):
    with suppress(Exception):
        ctx.session.execute(text("SELECT nonsense"))
    return RecordReport((Figure("x", 1),))


@pytest.mark.parametrize(
    "merge", [lambda *_a: 1 / 0, lambda *_a: 7, lambda *_a: sys.exit(3), _ends, _hides],
    ids=["raises", "a number", "leaves", "commits", "hides a failure"],
)  # fmt: skip
def test_a_broken_kind_refuses_its_file_only(office, portal, readers, merge):
    class Broken(Languages):
        pass

    Broken.merge = merge
    readers.kind = Broken
    page = send(office)
    assert "a échoué" in page
    assert languages(portal) == ["fr", "fr"]
    assert office.get("/regie/imports").status_int == 200


def test_a_kind_that_is_gone_leaves_its_imports_to_be_seen(office, portal, readers):
    page = office.follow(office.form(send(office), "action").submit("action", value="import"))
    form = office.form(page, "action")
    readers.kind = lambda: None
    assert "n’est pas connu ici" in form.submit("action", value="undo", status=422)
    assert languages(portal) == ["en", "fr"]


class TestLanguages(RecordImportContract):
    """The kind that the tests above use."""

    @pytest.fixture
    def town(self, portal):
        with portal.town() as town:
            yield town

    @pytest.fixture
    def kind(self):
        return Languages()

    def write(self, folder):
        path = folder / "langues.csv"
        path.write_text(FILE, "utf-8")
        return path

    def state(self, town):
        return [town.families.by_code(code).language for code in ("F001", "F002")]
