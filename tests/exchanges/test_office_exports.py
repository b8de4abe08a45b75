"""Exports for the billing software, in the back office: made, looked at, handed over, their columns."""

from __future__ import annotations

import re

import pytest

from core.api.payments import Means
from core.domain.roles import Role

PAGE = "/regie/comptes/exports?regie=CANTINE"
COLUMNS = "/regie/comptes/exports/colonnes?regie=CANTINE"


@pytest.fixture
def paid(work, portal):
    """A payment of 56,87 € that no export told yet."""
    with portal.town() as town:
        invoice = town.invoices.by_number("1")[0]
        town.payments.record(
            regie="CANTINE", family_id=invoice.family_id, means=Means.CHEQUE, amount=5687, paid_at=town.clock.now(),
            payer="x", shares=[(invoice.id, 5687)], key="k",
        )  # fmt: skip
    return work


def left(portal):
    with portal.town() as town:
        return town.payment_exports.numbered("CANTINE", 1).left_by


def test_an_export_is_made_looked_at_and_handed_over(paid, portal, make_office):
    page = paid.get("/regie/comptes?regie=CANTINE").click("Règlements pour le logiciel de facturation")
    page = paid.press(page, "make")
    assert "Export n°\N{NO-BREAK SPACE}1" in page
    assert "À remettre" in page
    path = paid.path_of(page)
    reader = make_office().enter(Role.READER)
    assert reader.get(path).status_int == 200
    file = reader.get(path + ".csv")
    assert not left(portal), "who may only look hands nothing over"
    assert paid.get(path + ".csv").body == file.body
    assert left(portal).startswith("agent:")
    assert "56,87" in file.body.decode("utf-8-sig")
    page = paid.get(path)
    assert "Claude regisseur" in page
    page = paid.press(page, "again")
    assert not left(portal)
    page = paid.get(PAGE)
    assert "déjà exporté" in page
    assert 'value="make"' not in page
    assert "Règlements exportés" in paid.get("/regie/tracabilite")


def test_the_columns_are_chosen_shown_and_kept(paid):
    form = paid.form(paid.get(COLUMNS), "rang-facture")
    for name in form.fields:
        if name and name.startswith("rang-"):
            form[name] = ""
    page = form.submit("action", value="keep", expect_errors=True)
    assert page.status_int == 422
    assert "un rang" in page
    chosen = {"rang-fixe_1": "1", "titre-fixe_1": "Code", "texte-fixe_1": "V01", "rang-facture": "2", "titre-facture": "Pièce",
              "rang-montant_sans_signe": "3", "titre-montant_sans_signe": "Montant", "amounts": "cents",
              "dates": "compact", "separator": "tab", "encoding": "windows-1252", "moyen-1": "CHQ"}  # fmt: skip
    form = paid.form(page, "rang-facture")
    for name, value in chosen.items():
        form[name] = value
    page = form.submit("action", value="keep", expect_errors=True)
    assert "colonne du sens" in page
    form = paid.form(page, "rang-facture")
    form["rang-sens"], form["titre-sens"], form["rang-moyen"] = "4", "S", "5"
    page = form.submit("action", value="show")
    assert "V01\t2026-0417\t5687\tD\tCHQ" in page
    page = paid.follow(paid.form(page, "rang-facture").submit("action", value="keep"))
    page = paid.press(page, "make")
    file = paid.get(paid.path_of(page) + ".csv")
    assert file.body.decode("windows-1252").splitlines() == ["Code\tPièce\tMontant\tS\tmoyen", "V01\t1\t5687\tC\tCHQ"]
    assert 'value="V01"' in paid.get(COLUMNS)


@pytest.mark.parametrize("place", ["0", "x", "41", "-1", "²"])
def test_a_place_is_a_number(paid, place):
    assert paid.fill(paid.get(COLUMNS), **{"rang-facture": place}).status_int == 422


def test_titles_have_to_be_writable(paid):
    form = paid.form(paid.get(COLUMNS), "rang-facture")
    form["titre-facture"], form["encoding"] = "№", "latin-9"
    page = form.submit("action", value="keep", expect_errors=True)
    assert page.status_int == 422
    assert "UTF-8" in page


def test_the_token_is_shown_once_and_only_the_regisseur_makes_it(paid, portal, make_office):
    page = paid.press(paid.get(PAGE), "renew")
    (token,) = re.findall(r'class="secret">([\w-]{43})<', page.text)
    assert token not in paid.get(PAGE)
    answer = paid.app.get("/valmont/echanges/reglements/CANTINE", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_int == 200
    assert "Dernier retrait" in paid.get(PAGE)
    agent = make_office().enter(Role.AGENT)
    assert 'value="renew"' not in agent.get(PAGE)
    csrf = agent.form(agent.get(COLUMNS), "csrf_token")["csrf_token"].value
    assert agent.app.post(f"/valmont{PAGE}", {"action": "renew", "csrf_token": csrf}, expect_errors=True).status_int == 422
    page = paid.press(paid.get(PAGE), "end")
    assert "supprimé" in page
    assert "Aucun jeton" in page


def test_the_place_that_exports_go_to_is_shown(paid, portal, tmp_path):
    assert "Remise automatique" not in paid.get(PAGE)
    portal.configure("valmont", f'[exchanges.payments.CANTINE]\nfolder = "{tmp_path}/absent"\n')
    with portal.town() as town:
        town.sending.send("CANTINE")
    page = paid.get(PAGE)
    assert "Remise automatique" in page
    assert "n’existe pas" in page
    assert "Remise automatique" not in paid.get("/regie/comptes/exports?regie=GARDERIE")
