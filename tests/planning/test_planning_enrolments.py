"""Files of enrolments: strict, reported whole, idempotent, undone."""

from __future__ import annotations

import io
from datetime import date

import pytest
from openpyxl import Workbook
from planning_towns import ask, enrol, family
from sqlalchemy import select, text
from sqlalchemy.exc import OperationalError
from webtest import Upload

from core.plugin import SourceFile, SourceProblem, UserError
from core.testing.conformance import RecordImportContract
from plugins.planning import plugin
from plugins.planning.book import Book
from plugins.planning.enrolments import EnrolmentFiles, Enrolments, read
from plugins.planning.models import PlanningBatch, PlanningClosure, PlanningEnrolment

HEAD = "code_famille;nom_famille;enfant;nom_enfant;service;du;au;type;lieu;repas;jours\n"
GOOD = HEAD + """\
F7;MARTIN;E7;Léa MARTIN;CANTINE;01/09/2025;03/07/2026;régulier;Jules-Ferry;SV;lu je
F7;MARTIN;E7;Léa MARTIN;MATIN;2025-09-01;2026-07-03;;Jules-Ferry;;
"""
SERVICES = ("CANTINE", "MATIN")


def problems(content, tmp_path):
    path = tmp_path / "inscriptions.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    found = read(SourceFile(path, path.name, path.stat().st_size), SERVICES)
    return [(one.line, one.column) for one in found if isinstance(one, SourceProblem)]


@pytest.mark.parametrize(("content", "expected"), [
    ("", [(0, "")]),
    (HEAD, [(1, "")]),
    ("code_famille;enfant;service;du;au;couleur\n", [(1, "couleur")]),
    (HEAD + "F7;M;E7;;PISCINE;01/09/2025;03/07/2026;;;;\n", [(2, "service")]),
    (HEAD + "F7;M;E7;;CANTINE;31/02/2026;03/07/2026;;;;\n", [(2, "du")]),
    (HEAD + "F7;M;E7;;CANTINE;03/07/2026;01/09/2025;;;;\n", [(2, "au")]),
    (HEAD + ";M;;;CANTINE;01/09/2025;03/07/2026;;;;\n", [(2, "code_famille"), (2, "enfant")]),
    (HEAD + "F7;M;E7;;CANTINE;01/09/2025;03/07/2026;mensuel;;;\n", [(2, "type")]),
    (HEAD + "F7;M;E7;;CANTINE;01/09/2025;03/07/2026;régulier;;;\n", [(2, "jours")]),
    (HEAD + "F7;M;E7;;CANTINE;01/09/2025;03/07/2026;;;;xx\n", [(2, "jours")]),
    (HEAD + "F7;M;E7;;CANTINE;01/09/2025\n", [(2, "au")]),
    (HEAD + 2 * "F7;M;E7;;CANTINE;01/09/2025;03/07/2026;;;;\n", [(3, "")]),
])
def test_what_cannot_be_is_named_by_line_and_column(content, expected, tmp_path):
    assert problems(content, tmp_path) == expected


def test_encodings_and_separators_of_spreadsheets_are_read(tmp_path):
    for content in (GOOD.encode(), GOOD.encode("cp1252"), GOOD.replace(";", ",").encode("utf-8-sig"), workbook(GOOD)):
        assert problems(content, tmp_path) == []


def workbook(text):
    """The same file as Excel writes it: dates are dates."""
    book = Workbook()
    for line in text.splitlines():
        book.active.append(line.split(";"))
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


class TestContract(RecordImportContract):
    """Enrolments enter by core's door."""

    @pytest.fixture
    def town(self, portal):
        with portal.town() as town:
            yield town

    @pytest.fixture
    def kind(self, town):
        return EnrolmentFiles(town.settings(plugin))

    def write(self, folder):
        path = folder / "inscriptions.csv"
        path.write_text(GOOD, encoding="utf-8")
        return path

    def state(self, town):
        return town.session.execute(
            text("SELECT child_id, service, first, last, kind, place, meal, weekdays, batch FROM planning_enrolment ORDER BY id")
        ).all()


def form(page, field):
    return next(one for one in page.forms.values() if field in one.fields)


def page_of(office, path):
    return office.app.get(f"/valmont/regie/{path}")


def follow(answer):
    while answer.status_int == 303:
        answer = answer.follow()
    return answer


def send(office, content=GOOD, name="inscriptions.csv"):
    """Send a file on core's page *Imports*; the page that says what it would do."""
    filled = form(page_of(office, "imports"), "file")
    filled["file"] = Upload(name, content if isinstance(content, bytes) else content.encode(), "text/csv")
    filled["source"] = "planning.enrolments"
    return follow(filled.submit())


def act(page, action):
    return follow(form(page, "action").submit("action", value=action))


def held(portal):
    with portal.town() as town:
        return {
            (row.service, row.first, row.last, row.kind, row.meal, row.weekdays)
            for row in town.session.scalars(select(PlanningEnrolment))
        }


def booked(portal):
    with portal.town() as town:
        return town.session.execute(
            text("SELECT day, meal, state FROM planning_booking ORDER BY day")
        ).all()


def test_a_file_is_looked_at_imported_books_regular_days_and_is_undone(portal, office):
    page = send(office)
    assert "Inscriptions nouvelles" in page
    assert "Léa MARTIN, Garderie du matin, à partir du 01/09/2025" in page
    assert held(portal) == set()
    assert "est importé" in act(page, "import")
    assert len(held(portal)) == 2
    portal.work(rounds=2)
    days = booked(portal)
    assert {row.meal for row in days} == {"SV"}
    assert {row.day.weekday() for row in days} == {0, 3}
    assert min(row.day for row in days) > date(2026, 3, 10)
    assert date(2026, 4, 6) not in [row.day for row in days]
    page = send(office, GOOD.replace("SV", "PAI"), "suite.csv")
    assert "Inscriptions changées" in page
    act(page, "import")
    with portal.town() as town:
        uploads = town.session.execute(text("SELECT id FROM upload ORDER BY id")).scalars().all()
    with pytest.raises(UserError, match="plus récent"), portal.town() as town:
        EnrolmentFiles(town.settings(plugin)).undo(town, uploads[0])
    act(page_of(office, f"imports/fichiers/{uploads[1]}"), "undo")
    assert {row[4] for row in held(portal)} == {"SV", ""}
    act(page_of(office, f"imports/fichiers/{uploads[0]}"), "undo")
    assert held(portal) == set()
    portal.work(rounds=2)
    assert {row.state for row in booked(portal)} == {"cancelled"}


def test_places_that_an_undone_file_frees_go_to_those_who_wait(portal, office):
    """Two children of the file have the two places of a day; a third one waits for it."""
    act(send(office, GOOD + GOOD.splitlines()[1].replace("E7;Léa", "E8;Tom") + "\n"), "import")
    portal.work(rounds=2)
    mine, children = family(portal, "F9", ("E9",))
    enrol(portal, children["E9"])
    day = date(2026, 3, 30)
    assert ask(portal, mine, (children["E9"], "CANTINE", day, "add"), key="1").answers[0].decision.verdict == "wait"
    with portal.town() as town:
        (upload,) = town.session.execute(text("SELECT id FROM upload")).scalars()
    act(page_of(office, f"imports/fichiers/{upload}"), "undo")
    portal.work(rounds=2)
    with portal.town() as town:
        rows = town.session.execute(text("SELECT child_id, state FROM planning_booking WHERE day = :d"), {"d": day})
        states = {row.child_id: row.state for row in rows}
    assert states[children["E9"]] == "booked"
    assert sorted(states.values()) == ["booked", "cancelled", "cancelled"]


def test_a_regular_child_is_not_booked_on_a_closed_day(portal, office):
    with portal.town() as town:
        town.session.add(PlanningClosure(tenant_id="valmont", day=date(2026, 3, 30), service="CANTINE", place="",
                                         reason="Grève", actor="agent:1", at=town.clock.now()))
    act(send(office), "import")
    portal.work(rounds=2)
    assert date(2026, 3, 30) not in [row.day for row in booked(portal)]
    assert date(2026, 4, 2) in [row.day for row in booked(portal)]


def test_one_problem_and_nothing_is_stored(portal, office):
    page = send(office, GOOD + "F8;;E8;;CANTINE;01/09/2025;03/07/2026;;;;\n")
    assert "Cette famille est inconnue" in page
    assert held(portal) == set()


TWO_HOMES = HEAD + """\
F7;MARTIN;E7;Léa MARTIN;CANTINE;01/09/2025;03/07/2026;;Jules-Ferry;;
F8;DURAND;E7;Léa MARTIN;CANTINE;01/09/2025;03/07/2026;;Jules-Ferry;%s;
"""


def rows_of(content, tmp_path):
    path = tmp_path / "inscriptions.csv"
    path.write_text(content, encoding="utf-8")
    return list(read(SourceFile(path, path.name, path.stat().st_size), SERVICES))


def enrolments(town):
    return Enrolments(town, Book(town, town.settings(plugin), actor="import"))


def test_a_child_that_a_file_names_with_both_homes_is_enrolled_once_and_undone(portal, tmp_path):
    with portal.town() as town:
        report = enrolments(town).merge(rows_of(TWO_HOMES % "", tmp_path), "upload/1")
        assert [figure.count for figure in report.figures] == [1, 0, 0]
        assert [figure.count for figure in enrolments(town).undo("upload/1").figures] == [1]
        assert town.session.scalars(select(PlanningEnrolment.id)).all() == []


def test_two_homes_that_say_different_things_of_one_enrolment_are_told(portal, tmp_path):
    with portal.town() as town:
        report = enrolments(town).merge(rows_of(TWO_HOMES % "SV", tmp_path), "upload/1")
    assert [(problem.line, problem.message) for problem in report.problems] == [
        (3, "Cette inscription est déjà à la ligne 2.")
    ]


def test_a_file_is_not_undone_while_its_days_are_booked(portal, tmp_path):
    """Else its undoing would find no day yet, and all of them would stay."""
    with portal.town() as town:
        enrolments(town).merge(rows_of(GOOD, tmp_path), "upload/1")
    with portal.town() as town:
        batch = town.session.scalars(select(PlanningBatch.id)).one()
        enrolments(town).work(batch)
        with portal.town() as other:
            other.session.execute(text("SET LOCAL lock_timeout = '50ms'"))
            with pytest.raises(OperationalError):
                enrolments(other).undo("upload/1")
            other.session.rollback()
