"""What a parent does in the demonstration town: on a phone, at a desk, and in a chat.

One file, so that one worker serves one demonstration.
"""

from __future__ import annotations

import io
import re
import time

import pytest
from office_paths import *  # noqa: F403 - collected here, for the one demonstration of this file
from paying import pay_by_card
from planning_paths import *  # noqa: F403 - for the same reason
from pypdf import PdfReader
from visitor import DESK, PATIENCE, PHONE

pytestmark = pytest.mark.browser


def choose(visitor, label):
    """Tick the invoice whose label is given, and no other."""
    visitor.page.locator("label.bill-tick", has_text=label).first.locator("input").check()
    visitor.page.get_by_role("button", name="Payer").click()


def pdf(visitor, link):
    """The document behind a link, fetched with the visitor's cookies."""
    address = visitor.page.locator("a", has_text=link).first.evaluate("link => link.href")
    answer = visitor.page.request.get(address)
    assert answer.headers["content-type"] == "application/pdf"
    return answer.body()


@pytest.mark.parametrize(
    ("size", "label", "amount"),
    [(PHONE, "CANTINE", "56,87"), (DESK, "GARDERIE B", "227,80")],
    ids=["phone", "desk"],
)
def test_from_the_printed_codes_to_the_receipt(demo, visit, size, label, amount):
    visitor = visit(size)
    page, email = visitor.page, f"{visitor.name}@famille.example"
    page.goto(f"{demo.url}/ville-de-demo/")
    visitor.sees("Bon à savoir")
    visitor.picture("1-home")
    visitor.sign_in(demo, "ville-de-demo", "F00007")
    visitor.sees("Déconnexion")
    visitor.picture("2-menu")
    page.goto(f"{demo.url}/ville-de-demo/factures")
    visitor.sees("Mes factures à régler")
    visitor.picture("3-invoices")
    choose(visitor, label)
    visitor.sees("Récapitulatif", amount)
    page.get_by_label("Adresse e-mail").fill(email)
    visitor.picture("4-checkout")
    page.get_by_role("button", name=re.compile("Procéder au paiement")).click()
    page.wait_for_url(f"{demo.simulator}/**")
    visitor.picture("5-payfip")
    pay_by_card(visitor)
    visitor.picture("6-payfip")
    visitor.link("Continuer")
    visitor.sees("Paiement confirmé, merci !", amount)
    visitor.picture("7-done")
    receipt = pdf(visitor, "Télécharger le reçu")
    assert amount in text_of(receipt)

    visitor.link("Mes factures déjà payées")
    visitor.sees("Mes factures déjà payées", label, amount)
    visitor.picture("8-paid")
    row = page.locator("tr, li", has_text=label).first
    authorisation = row.inner_text()
    assert "Paiement en ligne" in authorisation
    page.goto(f"{demo.url}/ville-de-demo/factures")
    assert amount not in page.inner_text("main")

    mail = demo.wait_for_mail(email, "Votre paiement est enregistré")
    assert label in mail["text"]
    assert any(item["name"].endswith(".pdf") for item in mail["attachments"])
    page.goto(demo.mailbox)
    visitor.picture("9-mailbox")

    page.goto(f"{demo.url}/ville-de-demo/")
    visitor.button("Déconnexion")
    page.goto(f"{demo.url}/ville-de-demo/factures/payees")
    assert page.url.split("?")[0].endswith("/connexion")


def test_a_fault_that_shows_on_the_screen_only_is_found(demo, visit):
    """The judges of pages look at a copy: of what the visitor sees, not of what the server sent."""
    visitor = visit(PHONE)
    page = visitor.page
    page.goto(f"{demo.url}/ville-de-demo/connexion")
    visitor.sees("Code famille")
    page.evaluate("document.querySelector('main').append(document.createElement('input'))")
    with pytest.raises(AssertionError, match="label"):
        visitor.sees()
    page.reload()
    page.evaluate("document.querySelector('main h1').style.color = '#ddd'")
    with pytest.raises(AssertionError, match="contrast"):
        visitor.sees()


def text_of(document):
    reader = PdfReader(io.BytesIO(document))
    return " ".join(page.extract_text() for page in reader.pages).replace("\u202f", " ")


def test_a_mail_that_comes_back_shows(demo, visit):
    """The mailbox takes the mail and returns it afterwards, as mail servers do."""
    visitor = visit(PHONE)
    page = visitor.page
    visitor.sign_in(demo, "ville-de-demo", "F00452")
    page.goto(f"{demo.url}/ville-de-demo/alertes")
    page.get_by_label("Adresse e-mail").fill("retour-camille@famille.example")
    page.locator("main form", has=page.get_by_label("Adresse e-mail")).get_by_role("button").click()
    deadline = time.monotonic() + PATIENCE
    while "refuse nos messages" not in page.inner_text("main"):
        assert time.monotonic() < deadline, page.inner_text("main")
        time.sleep(1)
        page.reload()
    visitor.sees("No such mailbox")
    visitor.picture("returned")


# --- In the chat ---------------------------------------------------------------------------------

CHAT_FAMILY = "F00451"


def wait_in_chat(phone, words, seconds=PATIENCE):
    """Look at the chat until it says `words`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        phone.reload()
        if re.search(words, phone.inner_text("body")):
            return
        time.sleep(0.5)
    raise AssertionError(f"no {words!r} in the chat:\n{phone.inner_text('body')}")


def write(phone, words):
    phone.locator("input[name=texte]").fill(words)
    with phone.expect_navigation():
        phone.keyboard.press("Enter")


def tap(phone, name):
    with phone.expect_navigation():
        phone.get_by_role("button", name=name).last.click()


def test_linked_read_and_paid(demo, visit):
    visitor = visit(DESK)
    page = visitor.page
    visitor.sign_in(demo, "ville-de-demo", CHAT_FAMILY)
    page.goto(f"{demo.url}/ville-de-demo/alertes")
    visitor.sees("Être averti autrement")
    page.get_by_role("main").get_by_role("button", name="Telegram").click()
    visitor.sees("Être averti sur Telegram")
    visitor.picture("telegram-1-link")
    link = page.locator("main a[href*='start=']").get_attribute("href")

    chat = visit(PHONE)
    phone = chat.page
    phone.goto(link)
    tap(phone, "Camille")
    wait_in_chat(phone, "Relier cette discussion au dossier")
    tap(phone, "Oui, relier")
    wait_in_chat(phone, "cette discussion est reliée")
    write(phone, "mes factures")
    wait_in_chat(phone, r"Payer [\d,\s]+€")
    chat.picture("telegram-2-invoices")
    first = phone.locator("a", has_text="Payer").first
    address = first.get_attribute("href")
    amount = re.search(r"[\d\s]+,\d\d", first.inner_text())[0].strip()
    due = phone.locator("a", has_text="Payer").count()

    # The link is opened by somebody else's browser, who has signed in nowhere.
    payer = visit(PHONE)
    payer.page.goto(address)
    payer.sees("Payer une facture", amount)
    payer.picture("telegram-3-link")
    payer.button("Payer cette facture")
    payer.page.get_by_label("Adresse e-mail").fill("chat@famille.example")
    payer.button("Procéder au paiement")
    pay_by_card(payer)
    payer.link("Continuer")
    payer.sees("Paiement confirmé, merci !", amount)
    payer.page.goto(f"{demo.url}/ville-de-demo/factures")
    payer.page.get_by_role("heading", level=1).wait_for()
    assert amount not in payer.page.inner_text("main")

    wait_in_chat(phone, "(?i)payée")
    wait_in_chat(phone, r"\.pdf")  # The receipt arrives by itself.
    chat.picture("telegram-4-paid")
    write(phone, "factures")
    wait_in_chat(phone, "(?i)à payer")
    phone.reload()
    assert phone.locator("a", has_text="Payer").count() < 2 * due

    # Used once: useless to anyone.
    stranger = visit(PHONE)
    stranger.page.goto(address)
    stranger.page.get_by_text("Ce lien a déjà servi").wait_for()
