"""What a family reads of an invoice that its bank pays: there is nothing to do."""

from __future__ import annotations

from datetime import date
from io import BytesIO

import pytest
from pypdf import PdfReader

from core.messages.models import MessageRow
from core.platform.errors import NotPayableError
from core.testing.portal import record

DAY = date(2026, 12, 20)


@pytest.fixture
def debited(browser):
    browser.portal.publish(
        record("D", amount=2000, label="CANTINE prélevée", due_on=DAY, direct_debit=True)
    )
    browser.sign_in()


def test_it_is_shown_and_in_no_sum(browser, debited):
    page = browser.get("/factures")
    assert "prélevée le 20/12/2026" in page
    assert "rien à faire" in page
    line = next(li for li in page.html.select("ul.lines > li") if "CANTINE prélevée" in str(li))
    assert "avant le" not in line.get_text()
    assert line.find("input") is None
    assert "86,87" not in page
    assert "86,87" not in browser.get("/menu")


def test_a_family_with_nothing_else_has_nothing_to_do(another):
    other = another()
    other.portal.publish(record("E", family="F077", amount=2000, due_on=DAY, direct_debit=True))
    other.sign_in("F077")
    page = other.get("/factures")
    assert "Vous n’avez rien à faire" in page
    assert "Reste à régler" not in page
    assert "à régler, pour" not in other.get("/menu")


def test_it_cannot_be_checked_out(browser, debited):
    with browser.portal.town() as town:
        (info,) = town.invoices.by_number("D")
    page = browser.get(f"/factures/recapitulatif?invoice={info.id}", expect_errors=True)
    assert "Payer" not in page.html.find("h1").get_text()
    assert page.html.find("form", action=lambda url: url and url.endswith("/paiements")) is None


def test_the_code_on_the_paper_and_a_link_say_so(browser, debited):
    with browser.portal.town() as town:
        (info,) = town.invoices.by_number("D")
        bill = town.bills.url(info.id).removeprefix("http://localhost/valmont")
        link = town.invoices.payment_link([info.id], info.family_id).removeprefix("http://localhost/valmont")
    for path in (bill, link):
        page = browser.get(path)
        assert "prélevée le 20/12/2026" in page
        assert "rien à faire" in page
        assert "régler avant" not in page
        assert "mode de règlement" not in page
        assert "Payer cette facture" not in page


def test_a_payment_that_is_asked_for_all_the_same_says_why(browser, debited):
    with browser.portal.town() as town:
        (info,) = town.invoices.by_number("D")
        with pytest.raises(NotPayableError, match="prélevée le 20/12/2026"):
            town.attempts.check([info])


def test_another_day_of_the_debit_is_told(browser, debited):
    with browser.portal.town() as town:
        (info,) = town.invoices.by_number("D")
        town.debits.move("CANTINE", [info.id], to=date(2026, 12, 22))
        paper = town.invoices.document(info.id)
        said = _published(town, town.invoices.by_number("D"))
    assert "prélevée le 22/12/2026" in browser.get("/factures")
    assert "prélevée le 22/12/2026" in said
    assert "22 décembre 2026" in PdfReader(BytesIO(paper.content)).pages[0].extract_text()


def test_the_mail_says_so(browser):
    portal = browser.portal
    portal.publish(record("1b"), record("D", amount=2000, due_on=DAY, direct_debit=True))
    with portal.town() as town:
        invoices = [town.invoices.by_number(number)[0] for number in ("1b", "D")]
        text = _published(town, invoices)
    assert "20,00\N{NO-BREAK SPACE}€, prélevée le 20/12/2026, rien à faire" in text
    assert "à régler avant le" in text
    assert "Si vous avez réglé" in text
    with portal.town() as town:
        alone = _published(town, town.invoices.by_number("D"))
    assert "à régler" not in alone
    assert "Si vous avez réglé" not in alone


def _published(town, invoices):
    row = MessageRow(
        tenant_id=town.config.slug, family_id=invoices[0].family_id, kind="invoices_published",
        language="fr", address="a@exemple.fr", channel="email",
        payload={"invoice_ids": [invoice.id for invoice in invoices]},
    )  # fmt: skip
    return town.letters.render(row).text
