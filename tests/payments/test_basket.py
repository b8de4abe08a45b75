"""One basket for all régies, without JavaScript: chosen once, paid one payment after the other."""

from __future__ import annotations

from decimal import Decimal

import pytest

from core.api.invoices import LineRecord, TaxKind
from core.api.payments import Failed, FailureKind
from core.testing.portal import record


@pytest.fixture
def two_regies(browser):
    """F001 owes 56,87 and 10,00 to the canteen, and 30,00 to the nursery."""
    browser.portal.publish(record("G", regie="CRECHE", amount=3000, label="CRÈCHE mars"))
    browser.sign_in()
    return browser


def choose(browser, *labels, everything=False):
    """Tick, and press the button; the page that follows."""
    page = browser.get("/factures")
    form = browser.form(page, "panier")
    if everything:
        form["tout"] = True
    ticks = page.html.select("input[name=invoice]")
    for field, tick in zip(form.fields["invoice"], ticks, strict=True):
        field.checked = any(label in tick.find_parent("label").get_text() for label in labels)
    return form.submit()


def pay(browser, page):
    """Pay what the page of step 2 says; the page that the parent comes back to."""
    answer = browser.fill(page, email="camille@exemple.fr")
    bank = browser.portal.bank
    assert answer.location == f"https://bank.invalid/{bank.last}", answer
    bank.pay(bank.last, browser.portal.clock)
    return browser.app.get(bank.intents[bank.last].return_url).follow()


def chain_of(page):
    found = page.html.select_one(".chain")
    return " ".join(found.get_text().split()) if found else None


def test_signing_in_leads_to_the_invoices(browser):
    page = browser.sign_in()
    assert page.request.path == "/valmont/factures"
    assert page.html.h1.text == "Mes factures à régler"


def test_everything_is_one_tick_and_a_guided_chain(two_regies):
    browser, bank = two_regies, two_regies.portal.bank
    page = choose(browser, everything=True)
    assert chain_of(page).startswith("Paiement 1 sur 2")
    page = pay(browser, page)
    assert bank.intents[bank.last].amount == 6687
    assert chain_of(page).startswith("1 sur 2 réglée")
    page = page.click("Payer la suite")
    assert chain_of(page).startswith("Paiement 2 sur 2")
    page = pay(browser, page)
    assert bank.intents[bank.last].amount == 3000
    assert "Payer la suite" not in page
    assert "Tout est réglé" in browser.get("/factures")


def test_what_was_left_out_is_in_no_payment(two_regies):
    browser, bank = two_regies, two_regies.portal.bank
    page = pay(browser, choose(browser, "CANTINE mars", "CRÈCHE"))
    assert bank.intents[bank.last].amount == 1000
    page = pay(browser, page.click("Payer la suite"))
    assert bank.intents[bank.last].amount == 3000
    assert "56,87" in browser.get("/factures")


def test_one_regie_alone_has_no_chain(two_regies):
    browser = two_regies
    page = choose(browser, "CANTINE février", "CANTINE mars")
    assert chain_of(page) is None
    assert "Payer la suite" not in pay(browser, page)


def test_a_new_basket_forgets_the_one_before(two_regies):
    browser = two_regies
    assert chain_of(choose(browser, everything=True))
    assert chain_of(choose(browser, "CRÈCHE")) is None


def test_a_payment_that_failed_is_tried_again_within_its_chain(two_regies):
    browser = two_regies
    page = choose(browser, everything=True)
    browser.fill(page, email="camille@exemple.fr")
    bank = browser.portal.bank
    first = bank.intents[bank.last]
    bank.outcomes[bank.last] = Failed(FailureKind.REFUSED)
    page = browser.app.get(first.return_url).follow().click("Réessayer")
    assert chain_of(page).startswith("Paiement 1 sur 2")


def test_what_was_settled_meanwhile_is_passed(two_regies):
    """The basket was filled, then the canteen's invoices were paid at another screen."""
    browser, bank = two_regies, two_regies.portal.bank
    link = choose(browser, everything=True).request.path_qs.removeprefix("/valmont")
    pay(browser, choose(browser, "CANTINE février", "CANTINE mars"))
    page = pay(browser, browser.get(link))
    assert bank.intents[bank.last].amount == 3000
    assert "Payer la suite" not in page


def test_nothing_ticked_is_told(two_regies):
    page = two_regies.get("/factures/recapitulatif?panier=1", status=422)
    assert "Choisissez une facture" in page


def test_an_invoice_that_cannot_be_paid_here_stops_nobody(two_regies):
    """Its reference is none that the service takes: it is shown, and not in the basket."""
    browser = two_regies
    browser.portal.bank.reference_pattern = "R[0-9]+"
    browser.portal.runtime.answers.forget()
    browser.portal.publish(record("R", amount=500, label="CANTINE avril", payment_reference="R123"))
    page = browser.get("/factures")
    (tick,) = page.html.select("input[name=invoice]")
    assert "CANTINE avril" in tick.find_parent("label").get_text()
    assert tick.has_attr("checked")
    assert page.html.select_one("input[name=tout]") is None
    assert page.text.count("ne se règle pas ici") == 3


def test_another_familys_invoices_never_enter_a_basket(two_regies, another):
    browser = two_regies
    page = choose(browser, everything=True)
    with browser.portal.town() as town:
        (foreign,) = [invoice.id for invoice in town.invoices.by_number("9")]
    assert browser.get(f"/factures/recapitulatif?invoice={foreign}", status="*").status_int == 404
    other = another()
    other.sign_in("F002")
    assert chain_of(choose(other, "CANTINE février")) is None
    assert "56,87" in chain_of(page) or "66,87" in chain_of(page)


def test_the_lines_stand_on_the_page(browser):
    lines = (
        LineRecord(1, "Repas", TaxKind.MEAL, 4332, child="E001", quantity=Decimal(12), unit_price=361),
        LineRecord(2, "Arrondi", TaxKind.OTHER, 68),
    )
    browser.portal.publish(record("L", amount=4400, label="CANTINE avril", lines=lines))
    browser.sign_in()
    bill = next(
        li for li in browser.get("/factures").html.select(".bills > li") if "CANTINE avril" in li.get_text()
    )
    told = [" ".join(line.get_text().split()) for line in bill.select("details > ul > li")]
    assert told == ["Repas E001 12 × 3,61 € 43,32 €", "Arrondi 0,68 €"]
