"""Layouts of files: made once with a régie's own file, kept, used, forgotten."""

from __future__ import annotations

import pytest
from webtest import Upload

from core.imports.layouts import INVOICES

LIST = (
    "Liste des factures\n\nDate d'édition;N° facture;Famille;Code client;Total;Lot\n"
    "01/03/2026;P-314;MARTIN;F001;56,87 €;Mars 2026\n;;TOTAL;;56,87 €;\n"
).encode("cp1252")


@pytest.fixture
def work(office):
    return office.enter()


def titles(work, content=LIST):
    form = work.form(work.get("/regie/imports/modeles"), "file")
    form["file"] = Upload("liste.csv", content)
    return work.follow(form.submit("action", value="titles", expect_errors=True))


def keep(work, page, **changes):
    values = {
        "name": "Logiciel X", "titre-numero": "n_facture", "titre-code_famille": "code_client", "titre-libelle": "lot",
        "titre-date_facture": "date_d_edition", "titre-montant": "total", "valeur-regie": "CANTINE",
        "valeur-date_echeance": "31/03/2026", "leave_out": "Total",
    } | changes  # fmt: skip
    form = work.form(page, "titre-numero")
    for name, value in values.items():
        form[name] = value
    return work.follow(form.submit("action", value="keep", expect_errors=True))


def test_a_list_is_shown_once_and_enters_from_then_on(work, portal):
    page = keep(work, titles(work))
    assert "Logiciel X" in page
    form = work.form(work.get("/regie/imports"), "file")
    form["source"] = next(value for value, _chosen, text in form["source"].options if text == "Logiciel X")
    form["file"] = Upload("mars.csv", LIST)
    page = work.follow(form.submit(expect_errors=True))
    work.press(work.press(page, "import"), "publish")
    with portal.town() as town:
        (found,) = town.invoices.by_number("P-314")
        assert found.amount == 5687
    page = work.get("/regie/imports/modeles")
    work.follow(work.form(page, "name").submit("action", value="remove"))
    with portal.town() as town:
        assert town.layouts.all(INVOICES) == []
        assert town.invoices.by_number("P-314")


def test_a_layout_is_its_towns(work, portal):
    keep(work, titles(work))
    with portal.town() as town:
        assert [layout.name for layout in town.layouts.all(INVOICES)] == ["Logiciel X"]
    with portal.town("brumes") as town:
        assert town.layouts.all(INVOICES) == []
        assert not any(key.startswith("layout-") for key in town.sources)


def test_what_is_missing_is_told_and_what_was_chosen_stays(work, portal):
    page = keep(work, titles(work), **{"valeur-regie": "", "titre-montant": ""})
    assert page.status_int == 422
    assert "regie, montant" in page
    assert work.form(page, "titre-numero")["titre-numero"].value == "n_facture"
    with portal.town() as town:
        assert town.layouts.all(INVOICES) == []


@pytest.mark.parametrize("content", [b"", b"\x81", b"PK\x03\x04"])
def test_what_is_no_table_is_told(work, content):
    assert titles(work, content).status_int == 422


