"""Recurring direct debits: told to nobody as to be paid, noted in bulk once, rejected and paid anew."""

from __future__ import annotations

from contextlib import suppress
from datetime import date, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.api.errors import UserError
from core.api.payments import Means
from core.books.period import Period
from core.debits.reasons import reject_words
from core.domain.direct_debits import MARGIN_DAYS, RejectReason, may_be_handed_over
from core.domain.figures import Sum
from core.domain.roles import Role
from core.platform.audit.models import AuditEntry
from core.platform.clock import today
from core.testing.portal import record


@pytest.fixture
def debited(work, portal):
    """F001 owes two more by a debit of today, beside what `work` has."""
    day = today(portal.clock.now())
    portal.publish(
        record("20", amount=2000, label="CANTINE prélevée", due_on=day, direct_debit=True),
        record("21", family="F002", amount=3000, label="ALSH prélevé", due_on=day,
               direct_debit=True),
    )  # fmt: skip
    return day


def address(day):
    return f"/regie/prelevements?regie=CANTINE&jour={day.isoformat()}"


def found(portal, number):
    with portal.town() as town:
        return town.invoices.by_number(number)[0]


def entries(portal, day):
    with portal.town() as town:
        return [
            (entry.kind, entry.means, entry.amount)
            for entry in town.accounts.entries.read(Period("CANTINE", day.replace(day=1)))
        ]


def test_a_debit_is_nothing_to_pay(work, portal, debited):
    info = found(portal, "20")
    assert (info.payable, info.debited_on, info.balance) == (False, debited, 2000)
    assert found(portal, "1").debited_on is None
    unpaid = work.get("/regie/factures?etat=unpaid")
    assert "CANTINE prélevée" not in unpaid
    assert "CANTINE prélevée" in work.get("/regie/factures?etat=debit")
    assert "2 prélèvements à constater" in work.get("/regie")
    with portal.town() as town:
        assert town.figures.waiting().due == 5687 + 1000 + 5687


def test_it_is_not_late_nor_handed_over_while_its_bank_may_answer(work, portal, debited):
    portal.clock.pass_time(days=40)
    day = today(portal.clock.now())
    with portal.town() as town:
        owed = town.accounts.statements.owed.late(Period("CANTINE", day.replace(day=1)))
        assert {row.Invoice.number for row in owed} == {"1", "2", "9"}


def test_the_hand_over_waits_for_the_bank(work, portal, debited):
    invoice = found(portal, "20").id
    page = work.press(work.get(f"/regie/factures/{invoice}"), "hand_over")
    assert page.status_int == 422
    assert "peut encore aboutir" in page
    portal.clock.pass_time(days=MARGIN_DAYS + 1)
    with portal.town() as town:
        town.billing.hand_over(invoice)
    assert found(portal, "20").debited_on is None


def test_the_margin():
    day = date(2026, 12, 20)
    assert not may_be_handed_over(day, day + timedelta(days=MARGIN_DAYS))
    assert may_be_handed_over(day, day + timedelta(days=MARGIN_DAYS + 1))


def test_every_reason_has_words():
    assert set(reject_words()) == set(RejectReason)


def test_a_day_is_noted_in_bulk_once(work, portal, debited):
    assert "à constater" in work.get("/regie/prelevements")
    page = work.get(address(debited))
    form = work.form(page, "debited_on")
    after = work.follow(form.submit())
    assert "2 prélèvements constatés, pour 50,00" in after.text
    assert "Rien n’est à constater" in after
    again = work.follow(form.submit())
    assert "2 étaient déjà réglés" in again.text
    assert sorted(entries(portal, debited)) == [
        ("settled", "direct_debit", 2000), ("settled", "direct_debit", 3000),
    ]  # fmt: skip
    assert found(portal, "20").balance == found(portal, "21").balance == 0
    with portal.town() as town:
        noted = town.session.query(AuditEntry).filter_by(action="debits.settled").all()
        assert [entry.details["amount"] for entry in noted] == [5000]
        receipts = {row.Payment.receipt_number for row in town.debits.noted("CANTINE", debited)}
        assert len(receipts) == 2
        assert "" not in receipts


def test_one_that_is_not_ticked_stays(work, portal, debited):
    form = work.form(work.get(address(debited)), "debited_on")
    for field in form.fields["invoice"]:
        field.checked = field._value == str(found(portal, "21").id)
    assert "1 prélèvement constaté, pour 30,00" in work.follow(form.submit()).text
    assert found(portal, "20").balance == 2000


def test_what_cannot_be_noted_is_refused(work, portal, debited):
    page = work.get(address(debited))
    form = work.form(page, "debited_on")
    form["debited_on"] = (debited + timedelta(days=1)).isoformat()
    answer = form.submit(expect_errors=True)
    assert answer.status_int == 422
    assert "pas encore venue" in answer
    form["debited_on"] = "2001-01-01"
    assert "pas encore émise" in form.submit(expect_errors=True)
    for field in form.fields["invoice"]:
        field.checked = False
    assert "Cochez les prélèvements" in form.submit(expect_errors=True)
    assert entries(portal, debited) == []


def test_a_rejection_makes_it_payable_and_says_why(work, portal, debited):
    after = work.follow(work.form(work.get(address(debited)), "debited_on").submit())
    with portal.town() as town:
        (paid,) = [
            row.Payment.id for row in town.debits.noted("CANTINE", debited)
            if row.Payment.amount == 2000
        ]  # fmt: skip
    page = work.get(f"/regie/paiements/{paid}")
    assert after.status_int == 200
    page = work.press(page, "reject", code="AM04")
    assert "Le rejet est constaté" in page
    assert "provision insuffisante (AM04)" in page
    info = found(portal, "20")
    assert (info.balance, info.payable, info.debited_on) == (2000, True, None)
    assert sum(amount for _kind, _means, amount in entries(portal, debited)) == 3000
    # Debited anew, it is another payment.
    page = work.get(f"/regie/factures/{info.id}")
    assert "de nouveau prélevée" in work.press(page, "debit")
    after = work.follow(work.form(work.get(address(debited)), "debited_on").submit())
    assert "1 prélèvement constaté, pour 20,00" in after.text
    assert found(portal, "20").balance == 0


def test_a_family_that_left_the_debit_pays_as_others(work, portal, debited):
    page = work.get(f"/regie/factures/{found(portal, '20').id}")
    assert "n’est plus prélevée" in work.press(page, "withdraw")
    assert found(portal, "20").payable
    assert "CANTINE prélevée" not in work.get(address(debited))


def test_a_reader_notes_nothing(make_office, portal, debited):
    reader = make_office().enter(Role.READER)
    page = reader.get(address(debited))
    assert "Constater les prélèvements" not in page
    with portal.town() as town:
        (run,) = town.debits.runs()
        assert (run.waiting, run.total) == (Sum(2, 5000), Sum(2, 5000))


def test_the_counter_lists_it_and_does_not_propose_it(work, portal, debited):
    family = found(portal, "20").family_id
    page = work.get(f"/regie/familles/{family}/encaisser")
    ticked = {field._value: field.checked for field in work.form(page, "means").fields["invoice"]}
    assert ticked[str(found(portal, "20").id)] is False
    assert ticked[str(found(portal, "1").id)] is True
    assert work.form(page, "means")["amount"].value == "66,87"


ACTS = st.lists(
    st.tuples(
        st.sampled_from(["bulk", "counter", "reject", "withdraw", "debit", "error"]),
        st.integers(0, 2),
    ),
    max_size=14,
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[*settings().suppress_health_check, HealthCheck.function_scoped_fixture]
)
@given(acts=ACTS)
def test_no_order_of_acts_pays_twice_or_loses_a_cent(portal, acts):
    """Bulk, counter, rejection, correction and debiting anew, in any order, twice or not at all."""
    test_no_order_of_acts_pays_twice_or_loses_a_cent.serial += 1
    serial = test_no_order_of_acts_pays_twice_or_loses_a_cent.serial
    day = today(portal.clock.now())
    amounts = [1001, 2002, 3003]
    numbers = [f"P{serial}-{rank}" for rank in range(3)]
    portal.publish(
        *(
            record(number, family="F009", amount=amount, due_on=day, direct_debit=True)
            for number, amount in zip(numbers, amounts, strict=True)
        )
    )
    ids = [found(portal, number).id for number in numbers]
    for step, (act, rank) in enumerate(acts):
        with suppress(UserError), portal.town() as town:
            if act == "bulk":
                town.debits.settle("CANTINE", [*ids[rank:], *ids[rank:]], debited_on=day)
            elif act == "counter":
                info = town.invoices.get(ids[rank])
                town.payments.record(
                    regie="CANTINE", family_id=info.family_id, means=Means.CASH,
                    amount=min(700, max(info.balance, 1)), paid_at=town.clock.now(), payer="x",
                    shares=[(info.id, min(700, max(info.balance, 1)))],
                    key=f"counter/{serial}/{step}", excess=0,
                )  # fmt: skip
            elif act in {"withdraw", "debit"}:
                town.billing.set_debit(ids[rank], debit=act == "debit")
            else:
                for row in town.payment_list.of_invoice(ids[rank]):
                    if row.Payment.state != "settled":
                        continue
                    if act == "reject":
                        town.debits.reject(row.Payment.id, RejectReason.INSUFFICIENT_FUNDS)
                    else:
                        town.payments.reverse(row.Payment.id, reason="x")
                    break
        with portal.town() as town:
            for invoice_id, amount in zip(ids, amounts, strict=True):
                rows = town.payment_list.of_invoice(invoice_id)
                force = [row for row in rows if row.Payment.state == "settled"]
                paid = sum(row.Payment.amount for row in force)
                assert 0 <= paid <= amount
                assert town.invoices.get(invoice_id).balance == amount - paid
                assert sum(row.Payment.means == "direct_debit" for row in force) <= 1


test_no_order_of_acts_pays_twice_or_loses_a_cent.serial = 0
