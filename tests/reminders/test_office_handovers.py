"""Lists for the trésorerie: previewed, confirmed, numbered, kept, taken back until they leave."""

from __future__ import annotations

import csv
import io
from concurrent.futures import ThreadPoolExecutor

import pytest
from office_waiting import until_somebody_waits
from sqlalchemy import text
from trail_clock import trail_day

from core.api.errors import UserError
from core.api.invoices import InvoiceKind
from core.api.payments import Means
from core.books.period import Period
from core.domain.roles import Role
from core.testing.portal import record
from core.testing.waiting import PATIENCE_SECONDS

PAGE = "/regie/comptes/transmissions?regie=CANTINE"


@pytest.fixture
def late(work, portal, make_office):
    """The end of April: three invoices are late, one of them alone below 15 €."""
    portal.publish(record("small", family="F003", amount=900, debtor="PETIT Zoé"))
    portal.clock.pass_time(days=50)
    return make_office().enter(email="april@valmont.fr")


def ids(portal, *numbers):
    with portal.town() as town:
        return [town.invoices.by_number(number)[0].id for number in numbers]


def make(portal, *numbers, **options):
    wanted = ids(portal, *numbers)
    with portal.town() as town:
        return town.handovers.make("CANTINE", wanted, **options)


def handed_over(portal, number):
    with portal.town() as town:
        return town.invoices.by_number(number)[0].handed_over


def test_a_list_is_chosen_shown_confirmed_and_kept(late, portal):
    page = late.get("/regie/comptes?regie=CANTINE").click("Transmission à la trésorerie", index=-1)
    form = late.form(page, "invoice")
    ticked = {box._value: box.checked for box in form.fields["invoice"]}
    assert ticked == dict(zip(map(str, ids(portal, "1", "2", "9", "small")), [True, True, True, False], strict=True))
    page = form.submit("action", value="preview")
    assert "Transmettre 3 factures" in page
    assert not handed_over(portal, "1"), "a preview does nothing"
    page = late.follow(late.form(page, "montant").submit("action", value="confirm"))
    assert "T-2026-CANTINE-0001" in page
    assert handed_over(portal, "1")
    assert not handed_over(portal, "small")
    path = page.request.path.removeprefix("/valmont")
    rows = list(csv.reader(io.StringIO(late.get(path + ".csv").body.decode("utf-8-sig")), delimiter=";"))
    assert [(row[4], row[-1]) for row in rows[1:]] == [("1", "56,87"), ("2", "10,00"), ("9", "56,87"), ("", "123,74")]
    assert rows[1][1] == "DURAND Camille"
    assert late.get(path + ".pdf").content_type == "application/pdf"
    assert late.get(path + ".xlsx").status_int == 200
    with portal.town() as town:  # What is paid at the trésorerie, or erased, changes nothing of the list.
        assert town.handovers.get(int(path.rpartition("/")[2])).total == 12374


def test_what_changed_since_it_was_shown_is_shown_again(late, portal):
    page = late.form(late.get(PAGE), "invoice").submit("action", value="preview")
    with portal.town() as town:
        invoice = town.invoices.by_number("1")[0]
        town.payments.record(
            regie="CANTINE", family_id=invoice.family_id, means=Means.CASH, amount=100, paid_at=town.clock.now(),
            payer="x", shares=[(invoice.id, 100)], key="meanwhile",
        )  # fmt: skip
    page = late.form(page, "montant").submit("action", value="confirm", expect_errors=True)
    assert page.status_int == 422
    assert "ont changé entre-temps" in page
    assert not handed_over(portal, "1")


def test_a_list_is_taken_back_until_it_leaves(late, portal):
    made = make(portal, "1", "2")
    page = late.get(f"/regie/comptes/transmissions/{made.id}")
    assert late.press(page, "cancel", reason="").status_int == 422
    page = late.press(page, "cancel", reason="Oubli")
    assert "Oubli" in page
    assert not handed_over(portal, "1")
    again = make(portal, "1")
    assert again.number == 2
    page = late.press(late.get(f"/regie/comptes/transmissions/{again.id}"), "leave")
    assert "Reprendre cette liste" not in page
    for act in (lambda town: town.handovers.cancel(again.id, reason="x"), lambda town: town.handovers.leave(again.id)):
        with pytest.raises(UserError, match="déjà partie"), portal.town() as town:
            act(town)
    assert handed_over(portal, "1")


def test_one_invoice_of_a_list_that_left_comes_back_by_the_regisseur_alone(late, portal, make_office):
    made = make(portal, "1", "2")
    with portal.town() as town:
        town.handovers.leave(made.id)
    (first, second) = ids(portal, "1", "2")
    agent = make_office().enter(Role.AGENT, email="agent@valmont.fr")
    page = agent.press(agent.get(f"/regie/factures/{first}"), "take_back")
    assert page.status_int == 422
    assert "est partie" in page
    assert "de nouveau payable" in late.press(late.get(f"/regie/factures/{first}"), "take_back")
    page = late.get(f"/regie/comptes/transmissions/{made.id}")
    assert page.html.find("tfoot").get_text().count("10,00") == 1
    assert handed_over(portal, "2")
    assert make(portal, "1").number == 2
    assert second


def test_what_went_over_by_itself_waits_for_its_list(late, portal):
    (one,) = ids(portal, "9")
    with portal.town() as town:
        town.billing.hand_over(one)
    page = late.get().click("Préparer la liste")
    assert "déjà passée" in page
    assert make(portal, "9").count == 1
    with portal.town() as town:
        assert town.handovers.waiting() == {}
    with pytest.raises(UserError, match="ont changé"):
        make(portal, "9")
    with pytest.raises(UserError, match="Cochez"):
        make(portal)


def pay(portal, number, cents, key, means=Means.CHEQUE):
    with portal.town() as town:
        invoice = town.invoices.by_number(number)[0]
        return town.payments.record(
            regie="CANTINE", family_id=invoice.family_id, means=means, amount=cents, paid_at=town.clock.now(),
            payer="x", shares=[(invoice.id, cents)], key=key,
        ).payment_id  # fmt: skip


@pytest.fixture
def bounced(late, portal):
    """Half of an invoice was paid by a cheque, the rest is on a list that left; the cheque came back."""
    payment = pay(portal, "1", 3000, "cheque")
    made = make(portal, "1")
    with portal.town() as town:
        town.handovers.leave(made.id)
        town.payments.reverse(payment, reason="Sans provision")
    return late


def transmitted(portal):
    """The amounts of the statement, whose dates are those of the database."""
    with portal.town() as town:
        table = town.accounts.statements.make("transmis", Period("CANTINE", trail_day(town), whole_year=True))
        return [(row[2], row[-1]) for row in table.rows]


def test_what_bounces_after_a_list_left_is_on_the_next_one_alone(bounced, portal):
    page = bounced.get().click("Préparer la liste")
    assert "complément" in page
    form = bounced.form(page, "invoice")
    for box in form.fields["invoice"]:
        box.checked = box._value == str(ids(portal, "1")[0])
    page = form.submit("action", value="preview")
    page = bounced.follow(bounced.form(page, "montant").submit("action", value="confirm"))
    assert "T-2026-CANTINE-0002" in page
    assert page.html.find("tfoot").get_text().count("30,00") == 1
    assert transmitted(portal) == [("Transmission", 2687), ("Complément", 3000)]
    page = bounced.get(f"/regie/factures/{ids(portal, '1')[0]}")
    assert "T-2026-CANTINE-0001" in page
    assert "T-2026-CANTINE-0002" in page
    with portal.town() as town:
        assert town.handovers.waiting() == {}


def test_taking_back_the_next_list_leaves_with_the_tresorerie_what_it_has(bounced, portal):
    second = make(portal, "1")
    with portal.town() as town:
        town.handovers.cancel(second.id, reason="x")
        assert town.handovers.waiting() == {"CANTINE": 1}
    assert handed_over(portal, "1")
    assert make(portal, "1").total == 3000


def test_what_is_recalled_and_paid_again_goes_over_for_what_is_left(bounced, portal):
    make(portal, "1")
    with pytest.raises(UserError, match="CANTINE-0001"), portal.town() as town:
        town.handovers.take_back(*ids(portal, "1"), recalled=False)
    with portal.town() as town:
        town.handovers.take_back(*ids(portal, "1"), recalled=True)
    assert not handed_over(portal, "1")
    again = pay(portal, "1", 5000, "again")
    assert make(portal, "1").total == 687
    with portal.town() as town:
        town.payments.reverse(again, reason="Sans provision")
    assert make(portal, "1").total == 5000
    signed = [("Transmission", 2687), ("Complément", 3000), ("Reprise", -5687), ("Transmission", 687), ("Complément", 5000)]
    assert transmitted(portal) == signed


def test_a_credit_note_after_a_list_left_is_a_reduction_on_the_next_one(late, portal):
    made = make(portal, "9")
    with portal.town() as town:
        town.handovers.leave(made.id)
    portal.publish(record("A", family="F002", debtor="MARTIN Léa", amount=-1000, kind=InvoiceKind.CREDIT_NOTE, origin_number="9", lines=()))
    page = late.get(PAGE)
    assert "réduction" in page
    form = late.form(page, "invoice")
    for box in form.fields["invoice"]:
        box.checked = box._value == str(ids(portal, "9")[0])
    page = form.submit("action", value="preview")
    assert "de moins en tout" in page
    page = late.follow(late.form(page, "montant").submit("action", value="confirm"))
    assert "-10,00" in page.html.find("tfoot").get_text().replace("−", "-")
    assert transmitted(portal) == [("Transmission", 5687), ("Réduction", -1000)]


def test_a_cheque_that_bounces_while_the_next_list_is_made_is_whole_on_it_or_waits(bounced, portal):
    """The list holds the invoice: a bounce is before it, or after."""
    (one,) = ids(portal, "1")
    with portal.town() as town:
        town.handovers.take_back(one, recalled=True)
    payment = pay(portal, "1", 1000, "second")

    def back():
        with portal.town() as town:
            town.payments.reverse(payment, reason="x")

    with ThreadPoolExecutor(1) as pool:
        with portal.town() as town:
            made = town.handovers.make("CANTINE", [one])
            waiting = pool.submit(back)
            until_somebody_waits(town)
            assert made.total == 4687
        waiting.result(timeout=PATIENCE_SECONDS)
    with portal.town() as town:
        ((row, told),) = [(row.left, row.told) for row in town.handovers.unlisted("CANTINE")]
    assert (row, told) == (1000, 4687)


def test_no_invoice_is_on_two_lists_made_at_once(late, portal):
    def one(_at):
        try:
            return make(portal, "1", "2").number
        except UserError:
            return None

    with ThreadPoolExecutor(4) as pool:
        made = [number for number in pool.map(one, range(4)) if number]
    assert made == [1]
    assert make(portal, "9").number == 2


@pytest.mark.parametrize("listed_first", [True, False])
def test_what_is_taken_back_while_a_list_is_made_is_on_it_or_payable_and_never_both(late, portal, listed_first):
    (one,) = ids(portal, "9")
    with portal.town() as town:
        town.billing.hand_over(one)

    def put(town):
        town.handovers.make("CANTINE", [one])

    def back(town):
        town.handovers.take_back(one, recalled=True)

    first, second = (put, back) if listed_first else (back, put)

    def other():
        with portal.town() as town:
            second(town)

    with ThreadPoolExecutor(1) as pool:
        with portal.town() as town:
            first(town)
            town.session.flush()
            waiting = pool.submit(other)
            until_somebody_waits(town)
        waiting.result(timeout=PATIENCE_SECONDS)
    with portal.town() as town:
        listed = town.session.scalar(text("SELECT count(*) FROM handover_line WHERE taken_back_at IS NULL"))
    assert bool(listed) == handed_over(portal, "9") == (not listed_first)
