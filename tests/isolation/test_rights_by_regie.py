"""Every page of the back office, asked by agents of one régie with what is another régie's.

The families here did all they did in the régie CANTINE: for an agent of GARDERIE nothing of it is
there. An agent of CANTINE finds it as an agent of the whole town does.
"""

from __future__ import annotations

import csv
import io
from urllib.parse import quote

import pytest
from isolation_towns import contents
from route_table import AGENT, KEYS, OFFICE, REGISSEUR, TABLE, Id
from sqlalchemy import delete, func, select, text, update
from sqlalchemy.orm import aliased
from test_routes import HERE, PATTERNS, application, filled, visitor  # noqa: F401 - a fixture

from core.domain.roles import Role
from core.invoices.models import Invoice
from core.payments.models import Allocation, Payment
from core.platform.db.limits import PastTheLimitError, limit
from core.testing.portal import Records, record

OF_THE_TOWN = {
    # Families, and what is told or planned, are the whole town's.
    "family", "second_contact", "access_code", "news", "picture", "planning_child", "agent", "dead",
    "invitation", "planning_request", "chat", "broadcast",
}  # fmt: skip
MINE, THEIRS = "GARDERIE", "CANTINE"
PERMISSIONS = {AGENT, OFFICE, REGISSEUR}


@pytest.fixture(scope="module")
def agents(full, application):  # noqa: F811 - the fixture
    """The cookies of a régisseur of each régie."""
    found = {}
    with full.town(HERE) as town:
        for regie in (MINE, THEIRS):
            agent = town.agents.create(f"{regie}@valmont.test".lower(), regie, Role.REGISSEUR, [regie])
            found[regie] = {"preau_agent": town.agent_sessions.open(agent)}
    full.publish(record("G-1", family="F001", regie=MINE, label="GARDERIE mars", amount=4200, lines=()))
    return found


@pytest.fixture(scope="module")
def browser(application):  # noqa: F811 - the fixture
    return visitor(application, "path")


def cases(chosen):
    return pytest.mark.parametrize(
        "case",
        [
            pytest.param((key, line), id=f"{key[0]}-{key[1]}-{number}")
            for key, found in TABLE.items()
            for number, line in enumerate(found)
            if line.permission in PERMISSIONS and chosen(key, line)
        ],
    )


def names_of(line):
    return {
        value.name for part in (line.path, line.query, line.form)
        for value in part.values() if isinstance(value, Id)
    }  # fmt: skip


@cases(lambda _key, line: names_of(line) - OF_THE_TOWN)
def test_what_is_another_regie_s_is_not_there(full, browser, agents, case):
    key, line = case
    before = contents(full, HERE)
    for family in ("F001", "F002"):
        them = full.families[HERE, family]
        path, form = filled(key, line, them.value)
        answer = browser.ask(key[1], path, form, agents[MINE])
        assert answer.status_int in {404, 422, *line.refusals}, (path, answer.status_int)
        tell_nothing(answer)
    assert contents(full, HERE) == before


def tell_nothing(answer):
    for theirs in ("valmont-F00", f"{THEIRS}-2026-00000", "CANTINE f", "V-2026", "T-2026", "66,87", "Restauration"):
        assert theirs not in answer.text, theirs


@cases(lambda key, line: key[1] == "GET" and not names_of(line) - {"family"})
def test_no_page_tells_of_another_regie(full, browser, agents, case):
    """What is shown, counted, searched and exported is of the agent's régies."""
    key, line = case
    path, form = filled(key, line, full.families[HERE, "F001"].value)
    answer = browser.ask("GET", path, form, agents[MINE])
    assert answer.status_int in {200, 303, 404}, path
    if answer.content_type.startswith("text/") and not path.startswith("/+planning"):
        tell_nothing(answer)


@pytest.mark.parametrize("typed", ["valmont-F001-1", "CANTINE-2026-000001", "66,87", "NOM valmont F001"])
def test_a_search_finds_nothing_of_it(browser, agents, typed):
    answer = browser.ask("GET", f"/regie/recherche?q={quote(typed)}", cookies=agents[MINE])
    if answer.status_int == 303:  # The family itself is the whole town's.
        answer = browser.ask("GET", answer.location.partition("/valmont")[2], cookies=agents[MINE])
    found = {link.text for link in answer.html.select("main tbody th a")}
    assert found <= {"G-1"}, found


@pytest.mark.parametrize("name", ["journal", "moyens", "impayes", "imputation", "caisse"])
@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_another_regie_is_none_to_export(browser, agents, name, kind):
    answer = browser.ask("GET", f"/regie/comptes/{name}.{kind}?regie={THEIRS}&mois=2026-03", cookies=agents[MINE])
    assert answer.status_int in {200, 404}
    if answer.status_int == 200 and kind == "csv":
        rows = list(csv.reader(io.StringIO(answer.text), delimiter=";"))
        assert not any(THEIRS in cell for row in rows for cell in row)


def test_what_is_its_own_is_there(full, browser, agents):
    page = browser.ask("GET", "/regie/factures", cookies=agents[MINE])
    assert "G-1" in page.text
    assert "42,00" in browser.ask("GET", "/regie", cookies=agents[MINE]).text.replace("\u202f", " ")
    family = full.families[HERE, "F001"].value("family")
    assert "GARDERIE mars" in browser.ask("GET", f"/regie/familles/{family}", cookies=agents[MINE]).text
    other = browser.ask("GET", "/regie/factures", cookies=agents[THEIRS])
    assert "G-1" not in other.text
    assert "valmont-F001-1" in other.text


@cases(lambda _key, line: names_of(line) & {"invoice", "settled", "remittance", "handover", "credit", "cheque"})
def test_an_agent_of_the_regie_is_not_refused(full, browser, agents, case):
    """Those that only look: the acts are tried by the tests of the routes."""
    key, line = case
    if key[1] == "GET" and key[0] != "office_correction":
        path, form = filled(key, line, full.families[HERE, "F001"].value)
        assert browser.ask("GET", path, form, agents[THEIRS]).status_int == line.own, path


def test_nobody_of_a_regie_hands_out_keys(browser, agents):
    for path in ("/regie/agents", "/regie/tracabilite", "/regie/tracabilite.csv"):
        assert browser.ask("GET", path, cookies=agents[MINE]).status_int == 403, path
    assert TABLE["office_agents", "GET"][0].permission == KEYS


def test_acts_on_a_whole_family_are_the_whole_town_s(full, browser, agents):
    me = full.families[HERE, "F001"].value("family")
    for path, form in (
        (f"/regie/familles/{me}/donnees.json", {}),
        (f"/regie/familles/{me}", {"action": "erase"}),
        (f"/regie/familles/{me}/fusion", {"code": "F002"}),
    ):
        answer = browser.ask("POST", path, form, agents[THEIRS])
        if answer.status_int == 303:
            answer = browser.ask("GET", "/regie", cookies=agents[THEIRS] | cookies_of(answer))
        assert "Vos droits portent sur certaines régies" in answer.text, path
    refused = browser.ask("GET", "/regie/conservation", cookies=agents[THEIRS])
    assert refused.status_int == 303


def cookies_of(answer):
    """What the answer sets: the word that the next page says is in it."""
    return dict(value.partition(";")[0].split("=", 1) for value in answer.headers.getall("Set-Cookie"))


def test_a_file_with_another_regie_is_refused(full):
    """The import's own check says that the régie is unknown: to this agent it is."""
    with full.town(HERE) as town:
        town.limit([MINE])
        report = town.imports.run(Records(record("X-1", regie=THEIRS)), full.file())
        assert report.refused
        assert "Régies connues" in report.problems[0].message
        assert report.problems[0].message.endswith(f"{MINE}.")


# --- Below the pages -----------------------------------------------------------------------------


@pytest.fixture
def limited(full, agents):
    with full.town(HERE) as town:
        limit(town.session, [MINE])
        yield town.session


def test_sums_joins_subqueries_and_aliases_are_limited(limited):
    other = aliased(Invoice)
    assert limited.scalar(select(func.count()).select_from(Payment)) == 0
    assert limited.scalar(select(func.coalesce(func.sum(Allocation.amount), 0))) == 0
    assert limited.scalars(select(Invoice.regie).distinct()).all() == [MINE]
    assert set(limited.scalars(select(other.regie))) == {MINE}
    inside = select(Invoice.id).subquery()
    assert limited.scalar(select(func.count()).select_from(inside)) == 1
    assert limited.scalar(select(Invoice.id).where(Invoice.number.startswith("valmont"))) is None


def test_changes_are_limited(limited):
    changed = limited.execute(update(Invoice).values(label="x").returning(Invoice.regie)).all()
    assert {regie for (regie,) in changed} == {MINE}
    assert limited.execute(delete(Allocation).returning(Allocation.id)).all() == []
    limited.rollback()


def test_a_statement_past_the_orm_is_refused(limited):
    with pytest.raises(PastTheLimitError, match="invoice"):
        limited.execute(select(Invoice.__table__.c.id))
    assert limited.execute(text("SELECT 1")).scalar_one() == 1


def test_a_regie_that_is_gone_leaves_nothing(full):
    """An agent whose only régie the town's file lost sees none, not all."""
    with full.town(HERE) as town:
        town.limit(["GONE"])
        assert not town.town.regies
        assert town.session.scalar(select(Invoice.id)) is None


def test_all_regies_named_is_the_whole_town(full):
    with full.town(HERE) as town:
        town.limit(["CANTINE", "GARDERIE", "CRECHE"])
        assert town.session.scalar(select(Payment.id)) is not None


@pytest.mark.usefixtures("agents")
def test_the_limit_goes_along_to_a_standby_and_to_guests(full):
    with full.town(HERE) as town:
        town.limit([MINE])
        with full.runtime.sessions(info={"tenant": HERE}) as session:
            read = town.on(session)
            assert set(read.session.scalars(select(Invoice.regie))) == {MINE}
            assert [regie.key for regie in read.town.regies] == [MINE]
        apart = town._apart(5, True)
        with apart.session as session:
            assert set(session.scalars(select(Invoice.regie))) == {MINE}
