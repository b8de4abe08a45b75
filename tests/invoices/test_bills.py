"""The QR code of a paper bill: that invoice, for whoever holds the paper, and nothing else."""

from __future__ import annotations

import pytest

from core.invoices import papers
from core.invoices.bills import Bills


@pytest.fixture
def paper(browser):
    """The path on the paper of invoice 1, as a browser follows it."""
    with browser.portal.town() as town:
        (invoice,) = town.invoices.by_number("1")
        return town.bills.url(invoice.id).removeprefix("http://localhost/valmont")


def pay(browser, page):
    form = next(f for f in page.forms.values() if "Payer cette facture" in f.text)
    page = form.submit().follow()
    answer = browser.fill(page, email="voisin@exemple.fr")
    bank = browser.portal.bank
    assert answer.location == f"https://bank.invalid/{bank.last}"
    bank.pay(bank.last, browser.portal.clock)
    return bank.intents[bank.last]


def test_the_paper_shows_its_invoice_and_pays_it_without_codes(browser, another, paper):
    stranger = another()
    page = stranger.get(paper)
    assert "Facture n°\N{NO-BREAK SPACE}1" in page.html.h1.text
    assert "Repas" in page
    assert "CANTINE mars" not in page, "the family's other invoices are nobody else's business"
    assert pay(stranger, page).amount == 5687
    for closed in ("/factures", "/factures/payees", "/menu", "/compte"):
        assert stranger.get(closed, status="*").status_int in {303, 403}


def test_a_paid_bill_says_so_for_good(browser, another, paper):
    intent = pay(browser, browser.get(paper))
    browser.app.get(intent.return_url)
    browser.portal.clock.pass_time(days=300)
    page = another().get(paper)
    assert "Cette facture est payée" in page
    assert "Payer cette facture" not in page


def test_the_familys_own_session_stays(browser, paper):
    browser.sign_in()
    page = browser.get(paper)
    next(f for f in page.forms.values() if "Payer cette facture" in f.text).submit().follow()
    assert "Mes factures à régler" in browser.get("/factures")


def test_the_printed_bill_carries_the_address(browser, paper, monkeypatch):
    seen, made = [], papers.render_invoice
    monkeypatch.setattr(papers, "render_invoice", lambda sheet: seen.append(sheet) or made(sheet))
    with browser.portal.town() as town:
        (invoice,) = town.invoices.by_number("1")
        town.invoices.document(invoice.id)
    assert seen[0].payment_url == f"http://localhost/valmont{paper}"


@pytest.mark.parametrize("change", [lambda t: t[:-1] + ("A" if t[-1] != "A" else "B"), lambda t: "2" + t, lambda t: t.partition(".")[0], lambda t: t.replace(".", "..")])
def test_no_other_address_opens_anything(browser, paper, change):
    token = paper.rpartition("/")[2]
    assert browser.get(f"/f/{change(token)}", status="*").status_int == 404


def test_a_seal_holds_in_its_town_only():
    here, there = Bills("k" * 40, "valmont", ""), Bills("k" * 40, "brumes", "")
    assert here.invoice_id(here.token(12)) == 12
    assert there.invoice_id(here.token(12)) is None
    assert here.invoice_id("12") is None
    assert here.invoice_id("\N{ARABIC-INDIC DIGIT THREE}.x") is None
