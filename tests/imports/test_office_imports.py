"""Files of invoices on the web: looked at, imported, published, taken back."""

from __future__ import annotations

import tempfile
from itertools import chain

import pytest
from sqlalchemy import text
from webtest import Upload

from core.api.invoices import SourceNotice
from core.domain.roles import Role
from core.imports import reading, uploads
from core.imports.format.writing import flat_rows
from core.testing.portal import record


def csv(*records):
    return "".join(flat_rows(records)).encode()


def send(office, content, name="factures.csv"):
    form = office.form(office.get("/regie/imports"), "file")
    form["file"] = Upload(name, content)
    return office.follow(form.submit(expect_errors=True))


def states(portal):
    with portal.town() as town:
        rows = town.session.execute(text("SELECT number, state FROM invoice ORDER BY number"))
        return {row.number: row.state for row in rows}


@pytest.fixture
def office(office):
    return office.enter()


def test_a_file_that_was_sent_is_closed_with_its_request(office, monkeypatch):
    made, make = [], tempfile.TemporaryFile
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda *args, **kw: made.append(make(*args, **kw)) or made[-1])
    assert "Nouvelles factures" in send(office, csv(*(record(str(number)) for number in range(200))))
    assert len(made) >= 2, "the body, and the file in it"
    assert [file for file in made if not file.closed] == []


def test_a_file_is_looked_at_imported_published_and_taken_back(office, portal):
    page = send(office, csv(record("1"), record("2", family="F002")))
    assert "Nouvelles factures" in page
    assert states(portal) == {}
    page = office.press(page, "import")
    assert states(portal) == {"1": "draft", "2": "draft"}
    page = office.press(page, "publish")
    assert "Factures publiées\u00a0: 2" in page
    assert states(portal) == {"1": "published", "2": "published"}
    page = office.press(page, "undo")
    assert "Import annulé" in page
    assert states(portal) == {}
    with portal.town() as town:
        actions = town.session.scalars(text("SELECT action FROM audit_entry WHERE actor LIKE 'agent:%'")).all()
    assert {"import.done", "import.published", "import.undone"} <= set(actions)


def test_a_dry_run_tells_sums_by_regie_and_what_changes(office, portal):
    portal.publish(record("1", label="Avant"), record("2"))
    page = send(office, csv(record("1", amount=1000), record("2"), record("3", regie="GARDERIE")))
    rows = [[cell.text.strip() for cell in row.select("th, td")] for row in page.html.select("tbody tr")]
    assert [row[1:3] for row in rows[:3]] == [["modifiées", "1"], ["inchangées", "1"], ["nouvelles", "1"]]
    assert rows[3][0].split() == ["1", "Avant", "→", "CANTINE", "février"]
    assert [text.replace("\xa0", " ") for text in rows[3][1:]] == ["56,87 €", "10,00 €"]
    assert page.html.select("tfoot td")[-1].text.strip().startswith("123,74")
    with portal.town() as town:
        assert town.invoices.by_number("1")[0].label == "Avant"


def test_bad_lines_are_told_and_nothing_comes_in(office, portal):
    content = csv(record("1"), record("2")).replace(b"56,87", b"56,8712", 1)
    page = send(office, content)
    assert "Rien n’a été importé" in page
    assert "factures.csv" in page
    assert page.html.select("table.rows tbody tr")
    assert states(portal) == {}
    office.get("/regie/imports")


@pytest.mark.parametrize(("content", "name"), [(b"", "vide.csv"), (b"\x00\x01\xff" * 99, "x.csv"), (b"PK\x03\x04rubbish", "x.zip"), (b"a;b\n", "../../etc/passwd")])
def test_rubbish_is_refused_with_a_word(office, portal, content, name):
    page = send(office, content, name)
    assert page.html.select("[role=alert]")
    assert "Fichiers en attente" not in page
    assert states(portal) == {}


def test_what_is_left_out_of_a_file_is_shown_before_and_after(office, monkeypatch):
    notices = [
        SourceNotice("Produits d’autres services", "f", 3, "", "833 – LOYER", left_out=True, amount=70000),
        SourceNotice("Cet avoir est seul.", "f", 9, "", "AV-1"),
    ]
    real = reading.read
    monkeypatch.setattr(reading, "read", lambda *given: chain(notices, real(*given)))
    page = send(office, csv(record("1")))
    for said in ("Laissé de côté", "Produits d’autres services", "700,00", "833 – LOYER", "AV-1"):
        assert said in page
    page = office.press(page, "import")
    assert "Éléments laissés de côté" in page


def test_a_file_for_nobody_here_says_so(office, monkeypatch):
    notice = SourceNotice("Produits d’autres services", left_out=True, amount=70000)
    monkeypatch.setattr(reading, "read", lambda *_given: iter([notice]))
    assert "Rien de ce fichier n’est pour vos régies" in send(office, csv(record("1")))


def test_no_file_at_all(office):
    page = office.form(office.get("/regie/imports"), "file").submit(expect_errors=True)
    assert page.status_int == 422
    assert "Choisissez un fichier" in page


def test_confirmed_twice_it_is_imported_once(office, portal):
    page = send(office, csv(record("1")))
    office.press(page, "import")
    office.press(page, "import")
    with portal.town() as town:
        assert len(town.imports.batches()) == 1
    assert "déjà été importé" in send(office, csv(record("1")))


def test_a_large_file_is_read_by_a_worker_while_the_page_waits(office, portal, monkeypatch):
    monkeypatch.setattr(uploads, "READ_AT_ONCE_BYTES", 10)
    monkeypatch.setattr(uploads, "_PART_BYTES", 64)
    page = send(office, csv(*(record(str(n)) for n in range(30))))
    assert "Lecture du fichier" in page
    state = page.html.select_one("[data-watch]")["data-watch"].removeprefix("/valmont")
    assert office.get(state).json == {"state": "checking", "final": False}
    portal.work()
    assert office.get(state).json == {"state": "checked", "final": True}
    page = office.get(state.removesuffix("/etat"))
    page = office.press(page, "import")
    assert "Import en cours" in page
    portal.work()
    assert len(states(portal)) == 30
    with portal.town() as town:
        assert town.session.scalar(text("SELECT count(*) FROM upload_part")) == 0
        assert town.session.scalar(text("SELECT actor FROM import_batch")).startswith("agent:")
        assert town.session.scalar(text("SELECT max(read) FROM upload")) == 30


def test_given_up_it_leaves_nothing(office, portal):
    page = send(office, csv(record("1")))
    page = office.press(page, "abandon")
    assert "abandonné" in page
    with portal.town() as town:
        assert town.session.scalar(text("SELECT count(*) FROM upload_part")) == 0


def test_publication_at_a_moment(office, portal):
    page = office.press(send(office, csv(record("1"))), "import")
    assert "à venir" in office.press(page, "later", at="2020-01-01T08:00")
    page = office.press(page, "later", at="2026-03-11T08:00")
    assert "sera publié le" in page
    portal.work()
    assert states(portal) == {"1": "draft"}
    portal.clock.pass_time(days=1)
    portal.work()
    assert states(portal) == {"1": "published"}


@pytest.mark.parametrize("at", ["", "0001-01-01T00:00", "9999-12-31T23:00", "2101-01-01T08:00", "demain"])
def test_publication_is_never_in_another_age(office, portal, at):
    page = office.press(office.press(send(office, csv(record("1"))), "import"), "later", at=at)
    assert page.status_int == 422
    assert "entre 2000 et 2100" in page or "à venir" in page
    assert office.get("/regie/imports").status_int == 200


def test_publication_can_be_called_off(office, portal):
    page = office.press(send(office, csv(record("1"))), "import")
    page = office.press(page, "later", at="2026-03-11T08:00")
    office.press(page, "unschedule")
    portal.clock.pass_time(days=2)
    portal.work()
    assert states(portal) == {"1": "draft"}


def test_what_was_paid_is_not_undone(work, portal):
    from core.api.payments import Means

    with portal.town() as town:
        invoice = town.invoices.by_number("1")[0]
        town.payments.record(
            regie="CANTINE", family_id=invoice.family_id, means=Means.CASH, amount=100,
            paid_at=town.clock.now(), payer="x", shares=[(invoice.id, 100)], key="k",
        )  # fmt: skip
    page = work.get("/regie/imports").click(href=r"imports/\d+$")
    page = work.press(page, "undo")
    assert page.status_int == 422
    assert "l’import reste" in page


def test_only_the_regisseur_undoes(work, make_office):
    agent = make_office().enter(Role.AGENT)
    page = agent.get("/regie/imports").click(href=r"imports/\d+$")
    assert "Annuler cet import" not in page
    path = page.request.path.removeprefix("/valmont")
    token = agent.form(agent.get(), "csrf_token")["csrf_token"].value
    answer = agent.app.post(f"/valmont{path}", {"action": "undo", "csrf_token": token}, expect_errors=True)
    assert answer.status_int == 422


def test_the_history_is_paged(office, portal):
    for number in range(5):
        portal.publish(record(str(number)))
    with portal.town() as town:
        # An import takes a tenth of a second, and a page has fifty of them.
        town.session.execute(text(
            "INSERT INTO import_batch (tenant_id, source, file_name, sha256, actor, counts, published_at, undone_at)"
            " SELECT 'valmont', 'csv', 'old-' || n, n, 'demo', '{\"created\": 3}', now(), CASE WHEN n % 2 = 0 THEN now() END"
            " FROM generate_series(1, 60) n"
        ))  # fmt: skip
    page = office.get("/regie/imports")
    seen = 0
    while True:
        seen += len(page.html.select("table.rows tbody tr"))
        if not page.html.select("a[rel=next]"):
            break
        page = page.click("Page suivante")
    assert seen == 65
    page = office.get("/regie/imports?etat=annule")
    assert "30 imports · 90 factures" in page.html.select_one(".list-total").text.replace("\xa0", " ")
    assert len(page.html.select("table.rows tbody tr")) == 30
    rows = office.get("/regie/imports.csv?etat=annule").text.splitlines()
    assert len(rows) == 31
    assert office.get("/regie/imports?regie=CANTINE").html.select_one(".list-total").text.startswith("5 imports")
    assert "Aucun import pour ce choix" in office.get("/regie/imports?etat=programme")
