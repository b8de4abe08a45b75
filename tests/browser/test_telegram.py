"""A parent's invoices in the chat: linked from the portal, paid from a button, paid in the chat."""

from __future__ import annotations

import re
import time

import pytest
from paying import pay_by_card
from visitor import DESK, PHONE

pytestmark = pytest.mark.browser
FAMILY = "F00451"


def wait_in_chat(phone, words, seconds=25):
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
    visitor.sign_in(demo, "ville-de-demo", FAMILY)
    page.goto(f"{demo.url}/ville-de-demo/+telegram_bot/")
    visitor.sees("Telegram")
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
