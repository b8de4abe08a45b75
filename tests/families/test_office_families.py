"""Families' files: codes and letters, addresses, households, their data."""

from __future__ import annotations

import io
import json
import re

import pytest
from pypdf import PdfReader
from sqlalchemy import text

from core.domain.roles import Role
from core.testing.portal import record

CODE = r"\w{4}-\w{4}-\w{4}"


def file_of(work, code="F001"):
    return work.follow(work.get("/regie/recherche", params={"q": code}))


def opens(portal, secret, code="F001"):
    from core.platform.errors import WrongCodesError

    with portal.town() as town:
        try:
            return bool(town.sign_in.by_codes(code, secret, "127.0.0.9"))
        except WrongCodesError:
            return False


def test_a_file_shows_the_whole_family(work):
    page = file_of(work)
    for said in ("DURAND Camille", "CANTINE février", "CANTINE mars", "66,87", "E001", "Aucun paiement"):
        assert said in page


def test_a_code_is_shown_once_and_printed(work, portal):
    page = work.fill(file_of(work), holder="Papa")
    secret = re.search(CODE, page.text)[0]
    assert opens(portal, secret)
    answer = work.form(page, "secret").submit()
    assert answer.content_type == "application/pdf"
    printed = PdfReader(io.BytesIO(answer.body)).pages[0].extract_text()
    assert secret in printed
    assert "F001" in printed
    assert secret not in file_of(work)
    page = work.press(file_of(work), "revoke")
    assert not opens(portal, secret)


def test_on_paper_the_codes_stand_beside_where_to_type_them(portal, work):
    """Below one another they once left half of their frame empty, and drew rules through it."""
    secret = portal.codes("F001")
    with portal.town() as town:
        letter = town.files.letter(town.families.by_code("F001").id, secret)
    (page,) = PdfReader(io.BytesIO(letter.content)).pages
    lines = page.extract_text(extraction_mode="layout").splitlines()
    assert any("Code famille" in line and "Rendez-vous" in line for line in lines), lines


def test_a_letter_needs_the_code_that_opens(work):
    page = work.fill(file_of(work), holder="")
    form = work.form(page, "secret")
    form["secret"] = "2222-2222-2222"
    assert form.submit(expect_errors=True).status_int == 404


def test_letters_come_in_batches_for_those_without_a_code(work, portal):
    page = work.get("/regie/familles")
    assert "2 familles" in page
    form = next(f for f in page.forms.values() if "courriers" in f.action)
    answer = form.submit()
    assert len(PdfReader(io.BytesIO(answer.body)).pages) == 2
    assert "Toutes les familles ont déjà un code" in work.follow(form.submit())


def test_a_file_is_opened_and_corrected(work):
    page = work.get("/regie/familles/nouvelle")
    page = work.fill(page, code="f-900", name="PETIT Jo", address="1 rue du Lac\n01000 Valmont")
    assert "F900" in page
    again = work.get("/regie/familles/nouvelle")
    assert "déjà celui d’une famille" in work.fill(again, code="F900", name="X")
    assert "Saisissez le nom" in work.press(page, "change", name="")
    page = work.press(page, "change", name="PETIT Joséphine", language="en")
    assert "PETIT Joséphine" in page


def test_addresses_are_added_and_removed(work):
    page = work.press(file_of(work), "address", email="mamie@exemple.fr")
    assert "mamie@exemple.fr" in page
    assert work.press(page, "address", email="pas une adresse").status_int == 422
    page = work.press(page, "remove")
    assert "Aucune adresse" in page


def test_a_child_is_shared_between_households(work):
    page = work.press(file_of(work, "F002"), "share", child_code="E999")
    assert "Aucun enfant n’a ce code" in page
    page = work.press(file_of(work, "F002"), "share", child_code="E001", sees_all=True)
    assert "voit les factures de l’autre foyer" in page
    assert "aussi chez" in file_of(work)


def test_the_data_of_a_family_are_given_to_it(work):
    page = file_of(work)
    form = next(f for f in page.forms.values() if f.action.endswith("donnees.json"))
    data = json.loads(form.submit().body)
    assert data["famille"]["code"] == "F001"
    assert [row["number"] for row in data["factures"]] == ["1", "2"]


def test_a_family_is_erased_when_nothing_is_due(work, portal):
    assert "doit encore quelque chose" in work.press(file_of(work), "erase")
    with portal.town() as town:
        town.session.execute(text("UPDATE invoice SET state = 'handed_over'"))
    portal.codes("F001")
    page = work.press(file_of(work), "erase")
    assert "DURAND" not in page
    assert "Aucun code" in page
    assert "CANTINE mars" in page


def test_a_reader_sees_no_button(work, make_office):
    reader = make_office().enter(Role.READER)
    page = file_of(reader)
    assert [f.action for f in page.forms.values() if f.method.lower() == "post"] == ["/valmont/regie/deconnexion"]


def test_another_towns_family_does_not_exist(work, portal, make_office):
    portal.publish(record("77", family="B001"), slug="brumes")
    with portal.town("brumes") as town:
        number = town.families.by_code("B001").id
    with portal.town() as town:
        known = {town.families.by_code(code).id for code in ("F001", "F002")}
    if number not in known:
        work.get(f"/regie/familles/{number}", status=404)
    assert "B001" not in work.get("/regie/familles")


@pytest.mark.parametrize("name", ["dur", "DURAND", "Camille"])
def test_the_list_is_narrowed_by_name(work, name):
    page = work.get("/regie/familles", params={"nom": name})
    assert "F001" in page
    assert "F002" not in page


def test_accounts_that_open_a_file_are_seen_and_removed(work):
    with work.portal.town() as town:
        town.sign_in.create_account(town.families.by_code("F001").id, "ex@exemple.fr", "une phrase de passe")
    page = file_of(work, "F001")
    assert "ex@exemple.fr" in page
    page = work.press(page, "unlink")
    assert "Ce compte n’ouvre plus le dossier" in page
    with work.portal.town() as town:
        assert not town.access.accounts(town.families.by_code("F001").id)
