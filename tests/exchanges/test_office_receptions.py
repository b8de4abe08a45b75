"""Invoices that came by themselves, in the back office: where from, what became of them, tried anew."""

from __future__ import annotations

from sqlalchemy import text

from core.messages.models import MessageRow

HEAD = "regie;numero;code_famille;debiteur;libelle;montant;date_facture;date_echeance;exercice\n"


def with_place(portal, folder, more=""):
    portal.configure("valmont", f'[exchanges.invoices.ciril]\nfolder = "{folder}"\n{more}')


def looks(portal):
    for _time in range(2):
        with portal.town() as town:
            town.intake.look("ciril")
        portal.clock.pass_time(minutes=2)


def test_places_and_files_are_shown_and_a_broken_one_is_tried_anew(portal, make_office, tmp_path):
    with_place(portal, tmp_path / "depot")
    work = make_office().enter()
    page = work.get("/regie/imports").click("Réceptions automatiques")
    assert "pas encore essayé" in page
    looks(portal)
    assert "n’existe pas" in work.get("/regie/imports/automatiques")
    assert "n’existe pas" in work.get("/regie/etat")
    (tmp_path / "depot").mkdir()
    file = tmp_path / "depot" / "mars.csv"
    file.write_text(HEAD + "NOUVELLE;1;F001;DURAND;CANTINE mars;56,87;01/03/2026;31/03/2026;2026\n")
    looks(portal)
    page = work.get("/regie/imports/automatiques")
    assert "en ordre" in page
    assert "Refusé" in page
    page = page.click("mars.csv")
    assert "Régie inconnue" in page
    page = work.press(page, "again")
    assert "Régie inconnue" in page
    assert "plus gardé" in work.app.post(
        page.request.path, {"action": "again", "csrf_token": page.forms[0]["csrf_token"].value}, expect_errors=True
    )
    file.write_text(HEAD + "CANTINE;1;F001;DURAND;CANTINE mars;56,87;01/03/2026;31/03/2026;2026\n")
    looks(portal)
    page = work.get("/regie/imports/automatiques")
    assert "Importé" in page
    assert "Échange automatique" in work.get("/regie/tracabilite")
    assert "1" in page.click("mars.csv")


def test_a_town_without_places_says_so(work):
    assert "Aucun lieu n’est surveillé" in work.get("/regie/imports/automatiques")
    assert "Échanges" not in work.get("/regie/etat").html.find("main").get_text()


def test_the_mail_says_what_came_in_words(portal, tmp_path):
    folder = tmp_path / "depot"
    folder.mkdir()
    with_place(portal, folder, 'publish = "always"\n')
    (folder / "a.csv").write_text(HEAD + "CANTINE;1;F001;DURAND;CANTINE;56,87;01/03/2026;31/03/2026;2026\n")
    (folder / "b.csv").write_text(HEAD + "CANTINE;2;F001;DURAND;CANTINE;x;01/03/2026;31/03/2026;2026\n")
    looks(portal)
    with portal.town() as town:
        rows = town.session.scalars(text("SELECT id FROM message WHERE kind = 'invoices_received' ORDER BY id")).all()
        first, second = (
            town.letters.render(town.session.get(MessageRow, ("valmont", number))) for number in rows
        )
    said = {message.subject: message.text for message in (first, second)}
    assert any("reçues et publiées" in subject and "a.csv" in subject for subject in said)
    (refused,) = (text for subject, text in said.items() if "refusé" in subject)
    assert "ligne 2" in refused
    assert "1 problème" in refused
    assert "/regie/imports/fichiers/" in refused
