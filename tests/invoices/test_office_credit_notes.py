"""What an agent sees of an invoice that a credit note corrects."""

from __future__ import annotations

from core.api.invoices import InvoiceKind
from core.api.payments import Means
from core.domain.roles import Role
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
    assert "Avoirs −10,00" in words(page)
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
    assert "−10,00" in rows[0]


def test_where_there_is_nothing_to_give_back(work):
    assert "Aucune facture pour ce choix" in work.get("/regie/factures?etat=overpaid")


# --- What was paid before a credit note is given back --------------------------------------------


def give_back(work, invoice):
    return work.press(work.get(f"/regie/factures/{invoice}"), "free")


def test_what_was_paid_too_much_becomes_a_credit_that_pays_another_invoice(work, portal):
    portal.publish(record("N1"), record("N2"))
    paid = pay(portal, "N1", 5687)
    correct(portal, "N1")
    page = give_back(work, paid)
    assert "10,00\N{NO-BREAK SPACE}€ sont en avoir pour la famille" in page
    assert "sont à rendre" not in page
    assert "Aucune facture pour ce choix" in work.get("/regie/factures?etat=overpaid")
    credit = page.click("Avoir de 10,00")
    assert "Facture déjà réglée N1" in words(credit)
    with portal.town() as town:
        (other,) = town.invoices.by_number("N2")
    assert "L’avoir a payé la facture" in work.press(credit, "pay", invoice=str(other.id))
    with portal.town() as town:
        assert town.invoices.get(other.id).balance == 4687
        (first,) = town.invoices.by_number("N1")
        assert first.balance == 0


def test_it_is_given_back_once(work, portal):
    portal.publish(record("N1"))
    paid = pay(portal, "N1", 5687)
    correct(portal, "N1")
    page = work.get(f"/regie/factures/{paid}")
    work.press(page, "free")
    again = work.press(page, "free")
    assert again.status_int == 422
    assert "Rien n’est à rendre sur cette facture" in again
    with portal.town() as town:
        assert sum(row.left for row in town.credits.waiting()) == 1000


def test_the_payment_that_came_last_gives_back_first(work, portal):
    portal.publish(record("N1"))
    pay(portal, "N1", 5000)
    portal.clock.pass_time(minutes=1)
    with portal.town() as town:
        (invoice,) = town.invoices.by_number("N1")
        town.payments.record(
            regie="CANTINE", family_id=invoice.family_id, means=Means.CHEQUE, amount=687,
            paid_at=portal.clock.now(), payer="X", shares=[(invoice.id, 687)], key="second",
        )  # fmt: skip
    correct(portal, "N1")
    give_back(work, invoice.id)
    with portal.town() as town:
        found = [(row.Payment.means, row.left) for row in town.credits.waiting()]
    assert sorted(found) == [("cash", 313), ("cheque", 687)]


def test_a_payment_that_bounces_takes_what_was_given_back_too(work, portal):
    portal.publish(record("N1"))
    paid = pay(portal, "N1", 5687)
    correct(portal, "N1")
    give_back(work, paid)
    with portal.town() as town:
        ((payment, _given),) = town.payment_list.of_invoice(paid)
        town.payments.reverse(payment.id, reason="Sans provision")
        assert list(town.credits.waiting()) == []
        (invoice,) = town.invoices.by_number("N1")
        assert invoice.balance == 4687
    assert "mis en avoir le" not in work.get(f"/regie/factures/{paid}")


def test_a_use_whose_invoice_gave_some_of_it_back_is_not_undone(work, portal):
    portal.publish(record("N1", amount=2000), record("N2"))
    with portal.town() as town:
        (first,) = town.invoices.by_number("N1")
        (other,) = town.invoices.by_number("N2")
        payment = town.payments.record(
            regie="CANTINE", family_id=first.family_id, means=Means.CASH, amount=5000,
            paid_at=portal.clock.now(), payer="X", shares=[(first.id, 2000)], key="k",
        ).payment_id  # fmt: skip
        (credit,) = town.credits.of_payment(payment)
        town.credits.pay(credit.id, other.id, 3000, key="use")
    correct(portal, "N2", amount=-4000)
    give_back(work, other.id)
    page = work.get(f"/regie/avoirs/{credit.id}")
    answer = work.press(page, "undo", reason="x")
    assert answer.status_int == 422
    assert "a déjà été mise en avoir" in answer
    with portal.town() as town:
        assert [(row.Credit.invoice_id, row.left) for row in town.credits.waiting()] == [(other.id, 1313)]


def test_who_only_reads_gives_nothing_back(portal, make_office):
    portal.publish(record("N1"))
    paid = pay(portal, "N1", 5687)
    correct(portal, "N1")
    reader = make_office().enter(Role.READER)
    assert "en avoir</button>" not in reader.get(f"/regie/factures/{paid}")


# --- Credit notes that find no invoice ------------------------------------------------------------


def test_a_note_without_its_invoice_waits_on_the_dashboard_until_it_is_linked(work, portal):
    portal.publish(record("N1"), record("F2", family="F002"))
    correct(portal, "404")
    assert "1 avoir ou titre réémis à rattacher" in words(work.get("/regie"))
    page = work.get("/regie/factures?etat=to_link").click("^A404$")
    assert "ne se rattache avec certitude" in words(page)
    form = work.form(page, "origin")
    offered = {text.partition(" ")[0]: value for value, _chosen, text in form["origin"].options}
    assert "N1" in offered
    assert "F2" not in offered, "another family's"
    form["origin"] = offered["N1"]
    page = work.follow(form.submit("action", value="link"))
    assert "rattaché à sa facture" in words(page)
    assert "ne se rattache avec certitude" not in words(page)
    assert "à rattacher" not in words(work.get("/regie"))
    assert "Reste dû 46,87" in words(work.get("/regie/factures").click("^N1$"))


def test_a_note_is_set_aside_with_a_reason(work, portal):
    portal.publish(record("N1"))
    correct(portal, "404")
    page = work.get("/regie/factures?etat=to_link").click("^A404$")
    form = work.form(page, "reason")
    assert form.submit("action", value="set_aside", expect_errors=True).status_int == 422
    form["reason"] = "facture sur papier"
    page = work.follow(form.submit("action", value="set_aside"))
    assert "facture sur papier" in words(page)
    assert "Aucune facture pour ce choix" in work.get("/regie/factures?etat=to_link")


def test_a_wrong_choice_is_refused(work, portal):
    portal.publish(record("N1"))
    correct(portal, "404")
    page = work.get("/regie/factures?etat=to_link").click("^A404$")
    form = work.form(page, "origin")
    for wrong in ("", "x", "9" * 30, "999999"):
        form["origin"].force_value(wrong)
        answer = form.submit("action", value="link", expect_errors=True)
        assert answer.status_int == 422
