"""What an agent sees of an invoice that a credit note corrects."""

from __future__ import annotations

from core.api.invoices import InvoiceKind
from core.api.payments import Means
from core.testing.portal import record


def correct(portal, number, amount=-1000):
    portal.publish(
        record(f"A{number}", amount=amount, kind=InvoiceKind.CREDIT_NOTE, origin_number=number, lines=())
    )


def pay(portal, number, amount):
    with portal.town() as town:
        (invoice,) = town.invoices.by_number(number)
        town.payments.record(
            regie="CANTINE", family_id=invoice.family_id, means=Means.CASH, amount=amount,
            paid_at=portal.clock.now(), payer="X", shares=[(invoice.id, amount)], key=number,
        )  # fmt: skip
        return invoice.id


def words(page):
    return " ".join(page.html.find("main").get_text(" ").split())


def test_the_invoice_shows_what_is_left_and_the_list_too(work, portal):
    portal.publish(record("N1"))
    correct(portal, "N1")
    page = work.get("/regie/factures").click("^N1$")
    assert "Avoirs -10,00" in words(page)
    assert "Reste dû 46,87" in words(page)
    assert "à rendre" not in words(page)


def test_what_was_paid_before_is_to_be_given_back(work, portal):
    portal.publish(record("N1"), record("N2"), record("N3", amount=1000))
    paid = pay(portal, "N1", 5687)
    pay(portal, "N2", 4687)
    for number in ("N1", "N2", "N3"):
        correct(portal, number)
    correct(portal, "N3B")
    assert "10,00\N{NO-BREAK SPACE}€ sont à rendre" in work.get(f"/regie/factures/{paid}").text
    page = work.get("/regie/factures?etat=overpaid")
    rows = [row.get_text(" ") for row in page.html.find("tbody").find_all("tr")]
    assert len(rows) == 1, "N2 is paid to the cent, and of N3 nothing was paid"
    assert "N1" in rows[0]
    assert "-10,00" in rows[0]


def test_where_there_is_nothing_to_give_back(work):
    assert "Aucune facture pour ce choix" in work.get("/regie/factures?etat=overpaid")
