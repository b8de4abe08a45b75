"""The back office in the demonstration town: its main paths at a desk, with the keyboard alone.

Collected by `test_demo.py`, so that one worker serves one demonstration.
"""

from __future__ import annotations

import io
import re
from datetime import date, timedelta

from PIL import Image
from pyotp import TOTP
from visitor import DESK, PHONE, Demo, Visitor

from core.cli.demo import AGENT, AGENT_PASSWORD

__all__ = [
    "test_a_calendar_is_set_and_looked_at",
    "test_a_code_is_given_and_printed",
    "test_an_agent_signs_in_imports_publishes_and_collects",
    "test_news_are_written_with_a_picture",
    "test_office_pages_are_sound",
]

TOWN = "ville-de-demo"
HEADER = (
    "regie;numero;code_famille;debiteur;libelle;date_facture;date_echeance;montant;rang;enfant;"
    "activite;nature_fiscale;quantite;prix_unitaire;montant_ligne"
)
INVOICE = (
    "PERISCOLAIRE;NAV-1;F90777;CLAVIER Tabatha;GARDERIE DU SOIR;03/11/2026;25/12/2026;42,50;1;E9777;"
    "GARDERIE SOIR;garde;;;42,50"
)


def enter(visitor: Visitor, demo: Demo, code: str | None = None) -> Visitor:
    """Come in by the door; by default with a recovery code, since a telephone's works once."""
    agent = demo.agents[TOWN]
    visitor.page.goto(f"{demo.url}/{TOWN}/regie/connexion")
    visitor.type("Adresse e-mail", AGENT)
    visitor.type("Mot de passe", AGENT_PASSWORD)
    visitor.type("Code de votre téléphone", code or agent["codes"].pop())
    visitor.submit()
    assert visitor.page.url.endswith("/regie"), visitor.page.inner_text("main")
    visitor.sees("Déconnexion")
    return visitor


def test_an_agent_signs_in_imports_publishes_and_collects(demo, visit):
    visitor = visit(DESK)
    page = visitor.page
    enter(visitor, demo, TOTP(demo.agents[TOWN]["secret"]).now())
    visitor.picture("office-1-dashboard")
    visitor.choose("Factures", "Imports")
    visitor.sees("Imports de factures")
    content = f"{HEADER}\n{INVOICE}\n".encode("cp1252")
    # The system's dialog is not the page.
    page.get_by_label("Fichier").set_input_files(
        {"name": "clavier.csv", "mimeType": "text/csv", "buffer": content}
    )
    visitor.press("Vérifier le fichier")
    page.get_by_role("button", name="Importer ces factures").wait_for()
    visitor.sees("clavier.csv", "42,50")
    visitor.picture("office-2-upload")
    visitor.press("Importer ces factures")
    page.get_by_role("button", name="Publier maintenant").wait_for()
    visitor.sees("clavier.csv")
    visitor.press("Publier maintenant")
    visitor.sees("Publié")

    visitor.type("Famille, facture, reçu, référence ou montant", "clavier tab")
    visitor.submit()
    visitor.sees("CLAVIER Tabatha", "GARDERIE DU SOIR")
    visitor.picture("office-3-family")
    visitor.press("Encaisser au guichet")
    visitor.sees("Factures réglées")
    visitor.reach("GARDERIE DU SOIR")
    if not page.evaluate("document.activeElement.checked"):
        page.keyboard.press("Space")
    visitor.type("Montant reçu", "42,50")
    visitor.type("Réglé par", "Tabatha Clavier")
    visitor.picture("office-4-counter")
    visitor.submit()
    visitor.sees("Encaissé", "42,50", "PERISCOLAIRE-")
    visitor.picture("office-5-payment")


def test_a_code_is_given_and_printed(demo, visit):
    agent = enter(visit(DESK), demo)
    page = agent.page
    agent.choose("Familles", "Familles")
    agent.press(page.locator("tbody th a").first.inner_text())
    agent.sees("Code famille", "Donner un nouveau code")
    agent.type("Pour qui", "Mamie")
    agent.submit()
    agent.sees("Nouveau code", "Imprimer la lettre")
    agent.picture("office-6-code")
    secret = page.locator("input[name=secret]").input_value()
    agent.reach("Imprimer la lettre")
    form = page.locator("form", has=page.locator("input[name=secret]"))
    fields = dict(form.evaluate("form => [...new FormData(form).entries()]"))
    answer = page.request.post(form.evaluate("form => form.action"), form=fields)
    assert answer.headers["content-type"] == "application/pdf"
    assert re.fullmatch(r"[0-9A-Z-]{12,14}", secret)


def test_a_calendar_is_set_and_looked_at(demo, visit):
    agent = enter(visit(DESK), demo)
    page = agent.page
    agent.choose("Factures", "Rappels")
    agent.sees("Rappels et clôture")
    agent.type("Jours avant l’échéance", "5, 1")
    agent.type("Jours après l’échéance", "8, 20")
    agent.type("Clôture", "45")
    agent.submit()
    agent.sees("Le calendrier est enregistré")
    agent.picture("office-7-reminders")
    agent.press("Voir qui serait prévenu")
    agent.sees("Qui serait prévenu", "Ce qui passerait à la trésorerie")
    # A day on which the demonstration's own invoices are reminded of.
    page.goto(f"{demo.url}/{TOWN}/regie/rappels/apercu?jour={due_day(agent, demo)}")
    agent.sees("de l’échéance", "Familles")
    agent.picture("office-8-preview")


def due_day(agent: Visitor, demo: Demo) -> str:
    """The eve of the due date of an unpaid invoice of the régie whose calendar was set."""
    page = agent.page
    page.goto(f"{demo.url}/{TOWN}/regie/factures?etat=unpaid&regie=EXTRASCOLAIRE")
    day, month, year = page.locator("td[data-label=Échéance]").first.inner_text().strip().split("/")
    page.go_back()
    return str(date(int(year), int(month), int(day)) - timedelta(days=1))


def test_news_are_written_with_a_picture(demo, visit):
    agent = enter(visit(DESK), demo)
    page = agent.page
    agent.choose("Familles", "Actualités")
    agent.press("Écrire une actualité")
    agent.type("Titre", "Portes ouvertes")
    agent.type("Texte", "Venez **nombreux** samedi.")
    agent.press("Aperçu")
    page.locator("section.prose strong").wait_for()
    agent.sees("nombreux")
    agent.press("Enregistrer")
    agent.sees("Le texte est enregistré")
    out = io.BytesIO()
    Image.new("RGB", (1200, 500), "#1d5c57").save(out, "JPEG")
    page.get_by_label("Image", exact=True).set_input_files(
        {"name": "preau.jpg", "mimeType": "image/jpeg", "buffer": out.getvalue()}
    )
    agent.type("Ce que montre l’image", "Le préau fraîchement peint en vert")
    agent.press("Enregistrer avec cette image")
    agent.sees("L’image est à la fin du texte")
    agent.picture("office-9-news")
    agent.press("Publier")
    agent.sees("L’actualité est publiée")
    page.goto(f"{demo.url}/{TOWN}/")
    agent.press("Portes ouvertes")
    picture = page.get_by_role("img", name="Le préau fraîchement peint en vert")
    picture.wait_for()
    assert picture.evaluate("image => image.complete && image.naturalWidth") == 1200
    agent.sees("nombreux")


def test_office_pages_are_sound(demo, visit):
    """Each page of the menu: axe at a desk, no sideways scroll on a telephone, no complaint."""
    visitor = enter(visit(DESK), demo)
    page = visitor.page
    addresses = page.locator(".main-nav a").evaluate_all("links => links.map(a => a.href)")
    assert len(addresses) > 8
    more = ("rappels/apercu", "conservation", "etat", "mon-acces", "envois",
            "actualites/nouvelle", "familles/nouvelle", "comptes/versements", "comptes/transmissions",
            "comptes/regisseur", "comptes/etats/caisse", "comptes/exports",
            "comptes/exports/colonnes", "imports/automatiques", "messages/nouveau",
            "prelevements/fichier", "prelevements/demandes", "prelevements/formulaire",
            "factures?tri=montant&regie=CANTINE", "guichet?q=a")  # fmt: skip
    for address in [*addresses, *(f"{demo.url}/{TOWN}/regie/{path}" for path in more)]:
        name = "office-page" + re.sub(r"\W+", "-", address.partition("/regie")[2])
        page.goto(address)
        visitor.sees()
        visitor.picture(name)
        if visitor.pictures:
            page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
            visitor.picture(f"{name}-phone")
            page.set_viewport_size({"width": DESK[0], "height": DESK[1]})
