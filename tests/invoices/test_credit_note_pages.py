"""What a family sees of its credit notes: less to pay, and the paper."""

from __future__ import annotations

from core.api.invoices import InvoiceKind
from core.api.payments import Means
from core.testing.portal import record


def publish_note(browser, **changes):
    fields = {"amount": -1000, "kind": InvoiceKind.CREDIT_NOTE, "label": "AVOIR cantine", "lines": ()}
    browser.portal.publish(record("A", **(fields | changes)))


def test_the_invoice_asks_for_less_and_says_why(browser):
    publish_note(browser, origin_number="1")
    browser.sign_in()
    page = browser.get("/factures")
    assert "avoir déduit" in page
    assert "46,87" in page
    assert "sur 56,87" in page
    assert "AVOIR cantine" not in page, "it is nothing to choose"
    assert "56,87" in browser.get("/menu"), "46,87 and 10,00"


def test_it_stands_beside_what_was_paid_with_its_paper(browser):
    browser.sign_in()
    assert "Rien encore" in browser.get("/factures/payees")
    publish_note(browser, origin_number="1")
    page = browser.get("/factures/payees")
    assert "Mes avoirs" in page
    assert "sur la facture n°\N{NO-BREAK SPACE}1" in page
    assert "Aucune facture payée" in page
    paper = page.click("Avoir .PDF.")
    assert paper.content_type == "application/pdf"


def test_another_familys_is_nobody_elses(browser, another):
    publish_note(browser, origin_number="9", family="F002")
    browser.sign_in()
    assert "Mes avoirs" not in browser.get("/factures/payees")
    other = another()
    other.sign_in("F002")
    page = other.get("/factures/payees")
    assert "Mes avoirs" in page
    address = next(a["href"] for a in page.html.find_all("a") if "Avoir (PDF)" in a.get_text())
    assert browser.app.get(address, expect_errors=True).status_int == 404


def test_what_the_regie_holds_for_a_family_is_told(browser, portal):
    browser.sign_in()
    with portal.town() as town:
        (invoice,) = town.invoices.by_number("1")
        town.payments.record(
            regie="CANTINE", family_id=invoice.family_id, means=Means.CASH, amount=invoice.balance,
            paid_at=portal.clock.now(), payer="X", shares=[(invoice.id, invoice.balance)], key="k",
        )  # fmt: skip
    publish_note(browser, origin_number="1")
    assert "Vous avez" not in browser.get("/factures/payees")
    with portal.town() as town:
        town.credits.free(invoice.id)
    page = browser.get("/factures/payees")
    assert "Vous avez 10,00\N{NO-BREAK SPACE}€ en avoir (" in page
    assert "dont 10,00\N{NO-BREAK SPACE}€ mis en avoir" in page
    assert "46,87" in page.html.select_one("details.year > summary").text
    with portal.town() as town:
        (row,) = town.credits.waiting()
        town.credits.refund(row.Credit.id, 1000, means=Means.CASH, note="x", key="b")
    assert "Vous avez" not in browser.get("/factures/payees")
