"""The books: totals agree to the cent, files carry no formula, closings prove what they closed."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime

import pytest
from openpyxl import load_workbook
from sqlalchemy import text

from core.api.errors import UserError
from core.api.invoices import LineRecord, TaxKind
from core.api.payments import Means
from core.books.period import Period
from core.books.statements import labels
from core.domain.roles import Role
from core.platform.tabular.writing import Cents, Table
from core.testing.portal import record

MARCH = Period("CANTINE", date(2026, 3, 1))
APRIL = Period("CANTINE", date(2026, 4, 1))
ADDRESS = "/regie/comptes?regie=CANTINE&mois=2026-03"


def pay(portal, number, amount, means, key):
    with portal.town() as town:
        invoice = town.invoices.by_number(number)[0]
        return town.payments.record(
            regie=invoice.regie, family_id=invoice.family_id, means=means, amount=amount,
            paid_at=town.clock.now(), payer="=cmd|' /C calc'!A0", shares=[(invoice.id, amount)], key=key,
        ).payment_id  # fmt: skip


@pytest.fixture
def books(work, portal):
    """March: 4 payments, one of them with a credit, one taken back."""
    lines = (
        LineRecord(1, "Repas", TaxKind.MEAL, 1001), LineRecord(2, "Garderie", TaxKind.CARE, 333),
        LineRecord(3, "Remise", TaxKind.OTHER, -100),
    )  # fmt: skip
    portal.publish(record("7", amount=1234, lines=lines))
    pay(portal, "1", 2000, Means.CASH, "a")
    portal.clock.pass_time(minutes=1)
    pay(portal, "7", 1000, Means.CARD, "b")
    portal.clock.pass_time(minutes=1)
    back = pay(portal, "9", 5687, Means.CHEQUE, "c")
    portal.clock.pass_time(minutes=1)
    pay(portal, "2", 1500, Means.CASH, "d")
    portal.clock.pass_time(days=1)
    with portal.town() as town:
        town.payments.reverse(back, reason="Sans provision")
    return work.enter(email="tomorrow@valmont.fr")


def statements(portal, period=MARCH):
    with portal.town() as town:
        return {name: town.accounts.statements.make(name, period) for name in labels()}


def close(portal, period=MARCH):
    with portal.town() as town:
        town.accounts.closings.close(period)


def test_the_journal_has_no_gap_and_every_statement_agrees(books, portal):
    found = statements(portal)
    with portal.town() as town:
        entries = town.accounts.entries.read(MARCH)
        assert town.accounts.entries.chain_holds(MARCH)
    assert [entry.number for entry in entries] == [1, 2, 3, 4, 5]
    net = 2000 + 1000 + 1500
    assert sum(entry.amount for entry in entries) == net
    assert found["journal"].foot[11] == net
    assert found["moyens"].foot[-1] == net
    assert found["imputation"].foot[-1] == net
    assert found["arrete"].foot[-1] == net
    assert found["annulations"].foot[-1] == -5687
    assert found["cheques"].foot[-1] == 5687
    assert found["en-ligne"].foot[-1] == 1000
    assert found["avoirs"].foot[-1] == 500
    for table in found.values():
        for column, total in enumerate(table.foot):
            if isinstance(total, Cents):
                assert sum(row[column] or 0 for row in table.rows) == total


def test_every_figure_opens_the_rows_that_make_it(books):
    page = books.get(ADDRESS)
    for row in page.html.select("table.rows tbody tr"):
        shown = [cell.text.strip() for cell in row.select("td")]
        opened = page.click(href=row.select_one("a")["href"].replace("?", r"\?"))
        foot = [cell.text.strip() for cell in opened.html.select("tfoot td") if cell.text.strip()]
        assert [foot[-2], foot[-1]] == [shown[1], shown[2]]
        assert len(opened.html.select("tbody tr")) == int(shown[0])
    page = books.get("/regie/comptes/etats/imputation?regie=CANTINE&mois=2026-03")
    for row in page.html.select("tbody tr"):
        opened = page.click(href=row.select_one("a")["href"].replace("?", r"\?").replace("+", r"\+"))
        assert opened.html.select("tfoot td")[-1].text.strip() == row.select("td")[-1].text.strip()
        assert opened.html.select("tbody tr th a")[0]["href"].startswith("/valmont/regie/paiements/")


def test_the_unpaid_are_those_that_are_late(books, portal):
    assert not statements(portal)["impayes"].rows
    portal.clock.pass_time(days=40)
    rows = statements(portal, APRIL)["impayes"].rows
    assert {row[3]: row[12] for row in rows} == {"1": 3687, "7": 234, "9": 5687}
    page = books.enter(email="may@valmont.fr").get("/regie/comptes/etats/impayes?regie=CANTINE&mois=2026-04")
    heads = [cell.get_text(strip=True) for cell in page.html.find("thead").find_all("th")]
    assert heads[-2] == "Reste dû"
    assert heads[-1].startswith("Moins de 15")


def test_a_month_is_closed_once_and_proves_itself(books, portal):
    assert "quand il sera terminé" in books.get(ADDRESS)
    portal.clock.pass_time(days=25)
    page = books.enter(email="late@valmont.fr").get(ADDRESS)
    page = books.follow(next(f for f in page.forms.values() if f.method.lower() == "post" and "comptes" in f.action).submit())
    assert "Le mois est arrêté" in page
    assert "n’a pas changé depuis" in page
    pay(portal, "1", 100, Means.CASH, "later")
    assert "n’a pas changé depuis" in books.get(ADDRESS)
    with portal.town() as town:
        town.session.execute(text("UPDATE payment SET amount = amount + 1 WHERE key = 'a'"))
    assert "ne dit plus la même chose" in books.get(ADDRESS)


def test_a_closed_month_is_not_closed_again(books, portal):
    portal.clock.pass_time(days=40)
    close(portal)
    with pytest.raises(UserError):
        close(portal)
    for table in ("closing", "journal_entry"):
        with pytest.raises(Exception, match="permission denied"), portal.town() as town:
            town.session.execute(text(f"DELETE FROM {table}"))


def test_an_entry_that_is_changed_breaks_the_chain(books, portal, owner):
    for table in ("journal_entry",):
        owner.execute(text(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY"))
    owner.execute(text("UPDATE journal_entry SET means = 'cheque' WHERE number = 2"))
    owner.commit()
    with portal.town() as town:
        assert not town.accounts.entries.chain_holds(MARCH)


def test_erasing_names_keeps_the_proof(books, portal):
    portal.clock.pass_time(days=40)
    close(portal)
    with portal.town() as town:
        town.session.execute(text("UPDATE invoice SET state = 'handed_over'"))
        family = town.families.by_code("F001").id
        with pytest.raises(UserError, match="un avoir lui reste"):
            town.personal_data.erase(family)
        for row in town.credits.waiting(family_id=family):
            town.credits.refund(row.Credit.id, row.left, means=Means.CASH, note="x", key=str(row.Credit.id))
        town.personal_data.erase(family)
        assert town.accounts.closings.checked(MARCH).holds


def test_an_entry_says_who_made_it(books, portal):
    with portal.town() as town:
        assert {entry.actor for entry in town.accounts.entries.read(MARCH)} == {"system"}
    page = books.follow(books.get("/regie/recherche", params={"q": "F002"})).click("Encaisser au guichet")
    books.follow(books.form(page, "amount").submit())
    with portal.town() as town:
        assert town.accounts.entries.read(MARCH)[-1].actor.startswith("agent:")
    assert "Claude regisseur" in books.get("/regie/comptes/etats/journal?regie=CANTINE&mois=2026-03")


def test_files_carry_no_formula(books):
    answer = books.get("/regie/comptes/journal.csv?regie=CANTINE&mois=2026-03")
    rows = list(csv.reader(io.StringIO(answer.body.decode("utf-8-sig")), delimiter=";"))
    assert rows[1][5].startswith("'=cmd")
    assert rows[1][11] == "20,00"
    assert rows[5][11] == "-56,87"
    answer = books.get("/regie/comptes/journal.xlsx?regie=CANTINE&mois=2026-03")
    sheet = load_workbook(io.BytesIO(answer.body)).active
    assert sheet["F2"].data_type == "s"
    assert sheet["L2"].value == 20
    assert sheet.max_row == 8


@pytest.mark.parametrize("kind", ["csv", "xlsx", "pdf"])
def test_every_statement_is_a_file(books, kind):
    for name in labels():
        answer = books.get(f"/regie/comptes/{name}.{kind}?regie=CANTINE&mois=2026-03")
        assert answer.status_int == 200
        assert answer.headers["Content-Disposition"].startswith("attachment")


def test_one_day_is_a_journal_too(books, portal):
    rows = []
    for day in ("2026-03-10", "2026-03-11"):
        answer = books.get(f"/regie/comptes/journal.csv?regie=CANTINE&jour={day}")
        rows.append(len(answer.text.splitlines()) - 2)
    assert rows == [4, 1]


def test_an_empty_month_is_a_page_and_files_too(work):
    assert "0 écriture" in work.get("/regie/comptes?mois=2025-01")
    for name in labels():
        assert "Rien" in work.get(f"/regie/comptes/etats/{name}?mois=2025-01")
        for kind in ("csv", "xlsx"):
            work.get(f"/regie/comptes/{name}.{kind}?mois=2025-01")
    work.get("/regie/comptes/journal.pdf?mois=2025-01")
    work.get("/regie/comptes/nothing.csv", status=404)
    work.get("/regie/comptes/etats/nothing", status=404)
    work.get("/regie/comptes?mois=0001-01&regie=CRECHE")


def test_entries_are_paged_by_number(books, monkeypatch):
    from core.books import office as views

    monkeypatch.setattr(views, "ROWS_PER_PAGE", 2)
    for address in ("/regie/comptes/ecritures", "/regie/comptes/etats/journal"):
        page = books.get(f"{address}?regie=CANTINE&mois=2026-03")
        seen = []
        while True:
            seen += [int(cell.text) for cell in page.html.select("tbody th")]
            if not page.html.select("a[rel=next]"):
                break
            page = page.click("Page suivante")
        assert seen == [1, 2, 3, 4, 5]


def test_only_the_regisseur_closes(make_office, portal):
    agent = make_office().enter(Role.AGENT)
    token = agent.form(agent.get(), "csrf_token")["csrf_token"].value
    agent.app.post("/valmont/regie/comptes?mois=2025-01", {"csrf_token": token}, status=403)


@pytest.mark.parametrize("value", ["=1+1", "+1", "-1", "@x", "\t=1", "normal", 'é;"\n', ""])
def test_texts_of_any_kind_pass(value):
    table = Table("t", "T", ("a", "b"), [(value, Cents(-5))], ("x", Cents(-5)))
    row = next(iter(list(csv.reader(io.StringIO(table.csv().content.decode("utf-8-sig"), newline=""), delimiter=";"))[1:]))
    assert not row[0].startswith(("=", "+", "-", "@", "\t"))
    assert row[1] == "-0,05"
    load_workbook(io.BytesIO(table.xlsx().content))


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("DE LA TOUR\u00a0Zoé", "DE LA TOUR Zoé"),
        ("N°\u202fet\u2009banque\u3000x", "N° et banque x"),
        ("un\u2028deux\r\ntrois\rquatre", "un\ndeux\ntrois\nquatre"),
        ("MAR\x1bTIN\ud800\uffff", "MARTIN"),
        ("soft\u00adhyphen, زهرا\u200cسادات", "soft\u00adhyphen, زهرا\u200cسادات"),
    ],
)
def test_a_workbook_keeps_every_space_of_a_text(value, cell):
    table = Table("t", "T", (value, "b"), [(value, Cents(1))])
    sheet = load_workbook(io.BytesIO(table.xlsx().content)).active
    assert [sheet["A1"].value, sheet["A2"].value] == [cell, cell]


@pytest.mark.parametrize(
    "value", ["0001234", "12345678901234567890", "12E4", "1,5e3", "3-1", "2026-03", "01/02/2026"]
)
def test_references_stay_as_they_are_in_a_spreadsheet(value):
    """A tab before what it would read as a figure or a day makes it a text, and trims away."""
    table = Table("t", "T", ("a",), [(value,)])
    (_head, row) = csv.reader(io.StringIO(table.csv().content.decode("utf-8-sig")), delimiter=";")
    assert row == [f"\t{value}"]
    assert load_workbook(io.BytesIO(table.xlsx().content)).active["A2"].data_type == "s"


@pytest.mark.parametrize("value", ["1234", "MARTIN", "2025-010-000314", "F01207", "0", "12 rue"])
def test_other_texts_are_written_as_they_are(value):
    table = Table("t", "T", ("a",), [(value,)])
    assert table.csv().content.decode("utf-8-sig") == f"a\r\n{value}\r\n"


def test_no_figure_of_a_workbook_is_too_wide_for_its_column():
    """A spreadsheet shows ``###`` where a number or a date does not fit; texts are cut only when long."""
    rows = [["DE LA TOUR Zoé", Cents(123456789), datetime(2026, 3, 1, tzinfo=UTC), date(2026, 3, 1), "x" * 500]]
    table = Table("t", "T", ["Nom", "Montant", "Le", "Jour", "Note"], rows, foot=["", Cents(-99999999999), "", "", ""])
    sheet = load_workbook(io.BytesIO(table.xlsx().content)).active
    widths = {letter: sheet.column_dimensions[letter].width for letter in "ABCDE"}
    assert widths["A"] >= len("DE LA TOUR Zoé")
    assert widths["B"] >= len("-999 999 999,99 €")
    assert widths["C"] >= len("01/03/2026 00:00")
    assert widths["D"] >= len("01/03/2026")
    assert widths["E"] <= 60
