"""Long lists: narrowed, sorted, added up and exported by one piece."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime, timedelta

import pytest
from openpyxl import load_workbook

from core.api.payments import Means
from core.domain.roles import Role
from core.platform.db import paging
from core.platform.web import listing
from core.testing.portal import record


@pytest.fixture
def listed(work, portal):
    """Beside the 66,87 €, 10,00 € and 56,87 € of March, three of another régie and other days."""
    portal.publish(
        record("g1", regie="GARDERIE", family="F003", debtor="ÉLOI Zoé", amount=1000, issued_on=date(2026, 1, 5), lines=()),
        record("g2", regie="GARDERIE", family="F003", debtor="ÉLOI Zoé", amount=123456, issued_on=date(2026, 1, 6), lines=()),
        record("g3", regie="GARDERIE", family="F002", amount=500, issued_on=date(2026, 2, 1), lines=()),
    )  # fmt: skip
    return work


def numbers(page):
    return [link.text for link in page.html.select("table.rows tbody th a")]


def rows_of(answer):
    return list(csv.DictReader(io.StringIO(answer.body.decode("utf-8-sig")), delimiter=";"))


@pytest.mark.parametrize(
    ("query", "found"),
    [("regie=GARDERIE", ["g3", "g2", "g1"]),
     ("famille=F003", ["g2", "g1"]), ("famille=f-003", ["g2", "g1"]), ("famille=NOBODY", []),
     ("du=2026-01-06&au=2026-02-01", ["g3", "g2"]),
     ("min=1000", ["g2"]), ("min=5&max=10,00", ["g1", "2", "g3"]), ("min=xx&regie=GARDERIE", ["g3", "g2", "g1"]),
     ("min=0&regie=GARDERIE", ["g2", "g1", "g3"]),
     ("regie=GARDERIE&tri=montant", ["g2", "g1", "g3"]), ("regie=GARDERIE&tri=emission", ["g3", "g2", "g1"]),
     ("famille=F002&regie=GARDERIE", ["g3"]), ("etat=draft", [])],
)  # fmt: skip
def test_invoices_are_narrowed_and_sorted(listed, query, found):
    page = listed.get(f"/regie/factures?{query}")
    assert sorted(numbers(page)) == sorted(found)
    if "tri" in query or "min=5" not in query:
        assert numbers(page) == found
    # What was asked for stays in the fields, and the file has the same rows.
    for name, value in (part.split("=") for part in query.split("&") if part.partition("=")[0] in {"famille", "min"}):
        assert page.html.find(id=name)["value"] == value
    if found:
        file = listed.get(f"/regie/factures.csv?{query}")
        assert [row["Facture"] for row in rows_of(file)] == numbers(page)


def test_the_total_is_that_of_all_pages(listed, portal):
    portal.publish(*(record(f"p{n}", family="F004", amount=100 + n, lines=()) for n in range(60)))
    page = listed.get("/regie/factures?famille=F004")
    assert len(numbers(page)) == 50
    total = page.html.select_one(".list-total").text
    assert "60 factures" in total
    assert "77,70" in total  # 60 × 1,00 € and 0 + 1 + … + 59 cents
    links = {a.text.strip(): a["href"] for a in page.html.select(".list-total a")}
    rows = rows_of(listed.app.get(links["CSV"]))
    assert len(rows) == 60
    assert sum(int(row["Montant"].replace(",", "")) for row in rows) == 7770
    sheet = load_workbook(io.BytesIO(listed.app.get(links["XLSX"]).body)).active
    assert sheet.max_row == 61
    assert sum(row[7].value for row in list(sheet.rows)[1:]) == pytest.approx(77.70)
    second = page.click("Page suivante")
    assert len(numbers(second)) == 10
    assert "60 factures" in second.html.select_one(".list-total").text


def test_pages_by_amount_leave_nothing_out(listed, portal):
    portal.publish(*(record(f"p{n}", family="F004", amount=100 + n % 3, lines=()) for n in range(120)))
    page, seen = listed.get("/regie/factures?famille=F004&tri=montant"), []
    for _page in range(3):
        seen += numbers(page)
        if "Page suivante" in page:
            page = page.click("Page suivante")
    assert sorted(seen) == sorted(f"p{n}" for n in range(120))


def test_too_long_a_list_says_so(listed, monkeypatch):
    monkeypatch.setattr(paging, "MAX_SUMMED", 2)
    monkeypatch.setattr(listing, "EXPORTED_ROWS", 2)
    page = listed.get("/regie/factures")
    assert "filtrez pour avoir leur total" in page
    answer = listed.follow(listed.get("/regie/factures.csv?regie=GARDERIE"))
    assert "filtrez-la avant de l’exporter" in answer
    assert numbers(answer) == ["g3", "g2", "g1"]
    assert len(rows_of(listed.get("/regie/factures.csv?famille=F003"))) == 2


def test_payments_are_narrowed_added_up_and_exported(listed, portal):
    with portal.town() as town:
        for number, amount, means in (("g1", 1000, Means.CASH), ("g2", 123456, Means.CHEQUE), ("g3", 500, Means.CASH)):
            (invoice,) = town.invoices.by_number(number)
            town.payments.record(
                regie="GARDERIE", family_id=invoice.family_id, means=means, amount=amount,
                paid_at=portal.clock.now(), payer="=A1", shares=[(invoice.id, amount)], key=number,
            )  # fmt: skip
    page = listed.get("/regie/paiements?regie=GARDERIE")
    assert "3 paiements" in page.html.select_one(".list-total").text
    assert "1\u202f249,56" in page.html.select_one(".list-total").text
    page = listed.get("/regie/paiements?famille=F003&tri=montant&moyen=cheque")
    assert "1\u202f234,56" in page.html.select_one(".list-total").text
    (row,) = rows_of(listed.get("/regie/paiements.csv?famille=F003&moyen=cheque"))
    assert row["Montant"] == "1234,56"
    assert row["Réglé par"] == "'=A1"
    assert len(numbers(listed.get("/regie/paiements?min=5,00&max=10"))) == 2
    assert len(numbers(listed.get("/regie/paiements?du=2026-03-10&au=2026-03-10"))) == 3
    assert numbers(listed.get("/regie/paiements?du=2026-03-11")) == []


# --- The counter, from anywhere -------------------------------------------------------------------


def test_the_counter_is_one_click_away_and_finds_the_family(listed):
    page = listed.get("/regie/imports").click("^Guichet$", index=0)
    form = next(form for form in page.forms.values() if not form.action and "q" in form.fields)
    form["q"] = "ÉLOI"
    page = listed.follow(form.submit())
    assert "/encaisser" in listed.path_of(page)
    page = listed.follow(listed.get("/regie/guichet?q=g3"))  # The number on the paper.
    assert "MARTIN" in page.html.find("p", class_="back").text
    page = listed.get("/regie/guichet?q=10,00")
    due = {row.th.text: row.find("td", class_="number").text for row in page.html.select("tbody tr")}
    assert due["ÉLOI Zoé"] == "1\u202f244,56\xa0€"
    assert "Rien ne correspond" in listed.get("/regie/guichet?q=zzz")


def test_a_reader_is_not_led_to_the_counter(make_office, listed):
    reader = make_office().enter(Role.READER)
    assert not reader.get().html.select("a.at-desk")


def test_the_balance_of_a_family_stays_in_sight(listed):
    page = listed.follow(listed.get("/regie/recherche?q=F003"))
    assert "1\u202f244,56" in page.html.select_one(".in-sight").text
    assert page.html.select_one(".in-sight a")["href"].endswith("/encaisser")


# --- The same piece under other lists -------------------------------------------------------------


def listed_total(page):
    return page.html.select_one(".list-total span").text.replace("\xa0", " ").replace("\u202f", " ")


@pytest.mark.parametrize(
    ("query", "found"),
    [("", ["DURAND Camille", "ÉLOI Zoé", "MARTIN Léa"]), ("nom=eloi", ["ÉLOI Zoé"]),
     ("tri=reste", ["ÉLOI Zoé", "DURAND Camille", "MARTIN Léa"]), ("etat=doit&tri=reste", ["ÉLOI Zoé", "DURAND Camille", "MARTIN Léa"]),
     ("regie=GARDERIE", ["ÉLOI Zoé", "MARTIN Léa"]), ("regie=GARDERIE&tri=reste&max=10", ["MARTIN Léa"]),
     ("min=62", ["DURAND Camille", "ÉLOI Zoé"]), ("min=61,88&max=66,87", ["DURAND Camille"]), ("famille=F002", ["MARTIN Léa"])],
)  # fmt: skip
def test_families_are_narrowed_and_sorted_by_what_they_owe(listed, query, found):
    page = listed.get(f"/regie/familles?{query}")
    assert numbers(page) == found
    assert listed_total(page).startswith(f"{len(found)} famille")
    assert [row["Famille"] for row in rows_of(listed.get(f"/regie/familles.csv?{query}"))] == found


def test_what_families_owe_adds_up(listed):
    page = listed.get("/regie/familles")
    due = {row.th.text: row.find("td", class_="number").text for row in page.html.select("tbody tr")}
    assert due["MARTIN Léa"] == "61,87\xa0€"  # 56,87 + 5,00
    assert "1 373,30 €" in listed_total(page)  # 66,87 + 1 244,56 + 61,87
    assert "1 249,56 €" in listed_total(listed.get("/regie/familles?regie=GARDERIE"))


@pytest.mark.parametrize("sort", ["", "reste"])
def test_pages_of_families_leave_nobody_out(listed, portal, sort):
    portal.publish(
        *(record(f"p{n}", family=f"X{n:03}", debtor=f"ROUX {n % 7}", amount=100 + n % 3, lines=()) for n in range(110))
    )
    page, seen = listed.get(f"/regie/familles?nom=roux&tri={sort}"), []
    for _page in range(3):
        seen += [cell.text for cell in page.html.select("td[data-label=Code]")]
        if "Page suivante" in page:
            page = page.click("Page suivante")
    assert sorted(seen) == [f"X{n:03}" for n in range(110)]


def test_credits_are_narrowed_added_up_and_exported(listed, portal):
    with portal.town() as town:
        for number, extra in (("g1", 500), ("g2", 1234_00), ("1", 300)):
            (invoice,) = town.invoices.by_number(number)
            town.payments.record(
                regie=invoice.regie, family_id=invoice.family_id, means=Means.CHEQUE, amount=invoice.balance + extra,
                paid_at=portal.clock.now(), payer="P", shares=[(invoice.id, invoice.balance)], key=number,
            )  # fmt: skip
    page = listed.get("/regie/avoirs")
    assert listed_total(page) == "3 avoirs · 1 242,00 € · reste 1 242,00 €"
    left = [row.select("td.number")[1].text for row in listed.get("/regie/avoirs?tri=reste").html.select("tbody tr")]
    assert left == ["1\u202f234,00\xa0€", "5,00\xa0€", "3,00\xa0€"]
    assert listed_total(listed.get("/regie/avoirs?regie=CANTINE")).startswith("1 avoir · 3,00")
    assert listed_total(listed.get("/regie/avoirs?famille=F003&max=100")).startswith("1 avoir · 5,00")
    assert listed_total(listed.get("/regie/avoirs?du=2026-03-11")).startswith("0 avoir")
    (row,) = rows_of(listed.get("/regie/avoirs.csv?famille=F003&min=6"))
    assert (row["Reste"], row["Code famille"]) == ("1234,00", "F003")


def test_days_of_debits_are_narrowed_added_up_and_exported(listed, portal):
    for number, day, amount in (("d1", date(2026, 3, 9), 2000), ("d2", date(2026, 3, 9), 1000), ("d3", date(2026, 4, 2), 50000)):
        portal.publish(record(number, amount=amount, due_on=day, direct_debit=True, lines=()))
    portal.publish(record("d4", regie="GARDERIE", amount=700, due_on=date(2026, 3, 9), direct_debit=True, lines=()))
    page = listed.get("/regie/prelevements")
    assert listed_total(page) == "3 jours de prélèvement depuis un an · 537,00 € · à constater 537,00 €"
    assert numbers(listed.get("/regie/prelevements?regie=CANTINE&tri=montant")) == ["02/04/2026", "09/03/2026"]
    assert numbers(listed.get("/regie/prelevements?du=2026-03-10")) == ["02/04/2026"]
    rows = rows_of(listed.get("/regie/prelevements.csv?au=2026-03-10"))
    assert sorted((row["Régie"], row["Prélèvements"], row["En tout"]) for row in rows) == [
        ("Accueil périscolaire", "1", "7,00"), ("Restauration scolaire", "2", "30,00"),
    ]  # fmt: skip


def test_lesser_filters_are_folded_until_one_is_used(listed):
    assert not listed.get("/regie/factures?etat=unpaid&regie=GARDERIE").html.select_one("form.filter > details").has_attr("open")
    assert listed.get("/regie/factures?min=5").html.select_one("form.filter > details").has_attr("open")


def test_the_trail_is_narrowed_by_days_and_exported(listed):
    now = datetime.now(UTC).date()  # The database's own clock dates the trail.
    before, after = now - timedelta(days=1), now + timedelta(days=2)
    page = listed.get(f"/regie/tracabilite?du={before}&au={after}")
    assert len(page.html.select("table.rows tbody tr")) > 0
    links = [a["href"] for a in page.html.select(".list-total a")]
    rows = rows_of(listed.app.get(links[0]))
    assert len(rows) == len(page.html.select("table.rows tbody tr"))
    assert load_workbook(io.BytesIO(listed.app.get(links[1]).body)).active.max_row == len(rows) + 1
    assert "Rien ici" in listed.get(f"/regie/tracabilite?du={after}")
    assert rows_of(listed.get(f"/regie/tracabilite.csv?au={before - timedelta(days=1)}")) == []
