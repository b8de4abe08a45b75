"""What a family reads of an invoice that its bank pays: there is nothing to do."""

from __future__ import annotations

from datetime import date
from io import BytesIO

import pytest
from pypdf import PdfReader

from core.api.payments import Means
from core.domain.direct_debits import RejectReason
from core.messages.models import MessageRow
from core.platform.errors import NotPayableError
from core.testing.portal import record
from core.testing.statements import statements

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


def test_a_debit_that_came_back_is_told_in_the_same_words_everywhere(browser):
    portal = browser.portal
    portal.publish(record("R", amount=2000, label="CANTINE prélevée", due_on=date(2026, 3, 10), direct_debit=True))
    with portal.town() as town:
        invoice = town.billing.hold([town.invoices.by_number("R")[0].id]).popitem()[1]
        town.debits.send_back(invoice, "AM04", date(2026, 3, 12))
    browser.sign_in()
    with statements(portal) as said:
        page = browser.get("/factures")
    assert len(said) <= 3
    line = next(li for li in page.html.select("ul.lines > li") if "CANTINE prélevée" in str(li))
    assert "prélèvement rejeté le 12/03/2026" in line.get_text()
    assert line.find("input"), "it may be paid here"
    with portal.town() as town:
        found = town.invoices.by_number("R")
        assert found[0].debit_rejected_on == date(2026, 3, 12)
        for kind in ("invoices_published", "invoice_due"):
            assert "prélèvement rejeté le 12/03/2026" in _published(town, found, kind)
        bill = town.bills.url(found[0].id).removeprefix("http://localhost/valmont")
    assert "Prélèvement rejeté le 12/03/2026" in browser.get(bill)
    with portal.town() as town:  # Debited anew: nothing is to be done again.
        town.billing.set_debit(found[0].id, debit=True, on=date(2026, 12, 20))
        assert town.invoices.by_number("R")[0].debit_rejected_on is None
    assert "rejeté" not in browser.get("/factures")


def test_what_is_paid_after_a_rejection_says_nothing_of_it(browser):
    portal = browser.portal
    portal.publish(record("R", amount=2000, due_on=date(2026, 3, 10), direct_debit=True))
    with portal.town() as town:
        info = town.invoices.by_number("R")[0]
        town.debits.settle("CANTINE", [info.id], debited_on=date(2026, 3, 10))
        (row,) = town.payment_list.of_invoice(info.id)
        town.debits.reject(row.Payment.id, RejectReason("AM04"))
        assert town.invoices.by_number("R")[0].debit_rejected_on == date(2026, 3, 10)
        town.payments.record(
            regie="CANTINE", family_id=info.family_id, means=Means.CASH, amount=2000, paid_at=town.clock.now(),
            payer="x", shares=[(info.id, 2000)], key="paid",
        )  # fmt: skip
        assert town.invoices.by_number("R")[0].debit_rejected_on is None


def _published(town, invoices, kind="invoices_published"):
    row = MessageRow(
        tenant_id=town.config.slug, family_id=invoices[0].family_id, kind=kind,
        language="fr", address="a@exemple.fr", channel="email",
        payload={"invoice_ids": [invoice.id for invoice in invoices]},
    )  # fmt: skip
    return town.letters.render(row).text
