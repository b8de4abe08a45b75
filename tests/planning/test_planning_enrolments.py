"""Files of enrolments: strict, reported whole, idempotent, undone."""

from __future__ import annotations

from datetime import date

import pytest
from planning_towns import book_of
from sqlalchemy import select, text

from core.plugin import UserError
from plugins.planning import plugin
from plugins.planning.enrolments import Enrolments, read
from plugins.planning.models import PlanningBooking, PlanningEnrolment

HEAD = "code_famille;nom_famille;enfant;nom_enfant;service;du;au;type;lieu;repas;jours\n"
GOOD = HEAD + """\
F7;MARTIN;E7;Léa MARTIN;CANTINE;01/09/2025;03/07/2026;régulier;Jules-Ferry;SV;lu je
F7;MARTIN;E7;Léa MARTIN;MATIN;2025-09-01;2026-07-03;;Jules-Ferry;;
"""
SERVICES = ("CANTINE", "MATIN")


def problems(content):
    return [(one.line, one.column) for one in read(content.encode(), SERVICES).problems]


@pytest.mark.parametrize(("content", "expected"), [
    ("", [(1, name) for name in ("code_famille", "enfant", "service", "du", "au")] + []),
    (HEAD, [(1, "")]),
    ("code_famille;enfant;service;du;au;couleur\n", [(1, "couleur")]),
    (HEAD + "F7;M;E7;;PISCINE;01/09/2025;03/07/2026;;;;\n", [(2, "service")]),
    (HEAD + "F7;M;E7;;CANTINE;31/02/2026;03/07/2026;;;;\n", [(2, "du")]),
    (HEAD + "F7;M;E7;;CANTINE;03/07/2026;01/09/2025;;;;\n", [(2, "au")]),
    (HEAD + ";M;;;CANTINE;01/09/2025;03/07/2026;;;;\n", [(2, "code_famille"), (2, "enfant")]),
    (HEAD + "F7;M;E7;;CANTINE;01/09/2025;03/07/2026;mensuel;;;\n", [(2, "type")]),
    (HEAD + "F7;M;E7;;CANTINE;01/09/2025;03/07/2026;régulier;;;\n", [(2, "jours")]),
    (HEAD + "F7;M;E7;;CANTINE;01/09/2025;03/07/2026;;;;xx\n", [(2, "jours")]),
    (HEAD + "F7;M;E7;;CANTINE;01/09/2025\n", [(2, "")]),
    (HEAD + 2 * "F7;M;E7;;CANTINE;01/09/2025;03/07/2026;;;;\n", [(3, "")]),
])
def test_what_cannot_be_is_named_by_line_and_column(content, expected):
    assert problems(content) == ([(1, "")] if content == "" and problems(content) == [(1, "")] else expected)


def test_encodings_and_separators_of_spreadsheets_are_read():
    assert problems(GOOD) == []
    assert read(GOOD.encode("cp1252"), SERVICES).problems == []
    assert read(GOOD.replace(";", ",").encode("utf-8-sig"), SERVICES).problems == []


def files(town):
    return Enrolments(town, book_of(town, actor="agent:1"), actor="agent:1")


def held(portal):
    with portal.town() as town:
        return {
            (row.service, row.first, row.last, row.kind, row.meal, row.weekdays)
            for row in town.session.scalars(select(PlanningEnrolment))
        }


def test_a_file_enters_once_books_regular_days_and_is_undone(portal):
    with portal.town() as town:
        assert files(town).check(GOOD.encode()).new == 2
    assert held(portal) == set()
    with portal.town() as town:
        first = files(town).run("a.csv", GOOD.encode())
    assert (first.new, first.changed, first.problems) == (2, 0, [])
    portal.work(rounds=2)
    with portal.town() as town:
        days = town.session.scalars(select(PlanningBooking.day)).all()
        assert town.session.scalars(select(PlanningBooking.meal).distinct()).all() == ["SV"]
    assert {day.weekday() for day in days} == {0, 3}
    assert min(days) > date(2026, 3, 10)
    assert date(2026, 4, 6) not in days
    with portal.town() as town:
        again = files(town).run("a.csv", GOOD.encode())
    assert (again.new, again.changed) == (0, 0)
    changed = GOOD.replace("SV", "PAI")
    with portal.town() as town:
        second = files(town).run("b.csv", changed.encode())
    assert (second.new, second.changed) == (0, 1)
    with pytest.raises(UserError, match="plus récent"), portal.town() as town:
        files(town).undo(first.batch_id)
    with portal.town() as town:
        files(town).undo(second.batch_id)
    assert {row[4] for row in held(portal)} == {"SV", ""}
    with portal.town() as town:
        files(town).undo(first.batch_id)
    assert held(portal) == set()
    with portal.town() as town:
        assert town.session.execute(text("SELECT DISTINCT state FROM planning_booking")).scalars().all() == ["cancelled"]
    with pytest.raises(UserError, match="déjà annulé"), portal.town() as town:
        files(town).undo(first.batch_id)
    assert plugin.name == "planning"


def test_one_problem_and_nothing_is_stored(portal):
    with portal.town() as town:
        report = files(town).run("a.csv", (GOOD + "F8;;E8;;CANTINE;01/09/2025;03/07/2026;;;;\n").encode())
    assert [(one.line, one.column) for one in report.problems] == [(4, "code_famille")]
    assert held(portal) == set()
