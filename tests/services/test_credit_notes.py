"""Credit notes (*avoirs*): each takes off the invoice that it names, once, however it came."""

from __future__ import annotations

import threading

import pytest

from core.api.invoices import InvoiceKind
from core.api.payments import Means
from core.testing.portal import Records, record


def note(number, origin="1", amount=-1000, **changes):
    return record(
        number, amount=amount, kind=InvoiceKind.CREDIT_NOTE, origin_number=origin, label="AVOIR", lines=(),
        **changes,
    )  # fmt: skip


def due(portal, family="F001"):
    """What the family still owes, by number."""
    with portal.town() as town:
        found = town.invoices.unpaid(town.families.by_code(family).id)
        return {invoice.number: invoice.balance for invoice in found}


def left(portal, number="1"):
    with portal.town() as town:
        (invoice,) = town.invoices.by_number(number)
        return invoice.amount - invoice.credited, invoice.balance


def test_a_published_note_takes_off_its_invoice(portal):
    portal.publish(record("1"), record("2"))
    with portal.town() as town:
        batch = town.imports.run(Records(note("A")), portal.file()).batch_id
    assert due(portal) == {"1": 5687, "2": 5687}, "a draft takes nothing off"
    with portal.town() as town:
        town.imports.publish(batch)
    assert due(portal) == {"1": 4687, "2": 5687}
    with portal.town() as town:
        (invoice,) = town.invoices.by_number("1")
        assert (invoice.amount, invoice.credited) == (5687, 1000)
        notes = town.invoices.credit_notes(invoice.family_id)
        assert [(n.number, n.amount, n.origin_number) for n in notes] == [("A", -1000, "1")]


def test_with_its_invoice_in_one_file_before_or_after_it(portal):
    portal.publish(note("A"), record("1"))
    assert due(portal) == {"1": 4687}
    portal.publish(note("B", origin="2"))
    portal.publish(record("2"))
    assert due(portal) == {"1": 4687, "2": 4687}


def test_several_add_up_and_an_invoice_owes_nothing_less_than_nothing(portal):
    portal.publish(record("1"), note("A"), note("B", amount=-4000))
    assert due(portal) == {"1": 687}
    portal.publish(note("C", amount=-5000))
    assert due(portal) == {}
    with portal.town() as town:
        (invoice,) = town.invoices.by_number("1")
        assert (invoice.balance, invoice.payable) == (0, False)


def test_it_takes_off_no_other_invoice(portal):
    portal.publish(record("1"), record("2"), note("A", origin=""), note("B", origin="unknown"))
    portal.publish(note("C", regie="GARDERIE"))
    assert due(portal) == {"1": 5687, "2": 5687}


def test_what_is_taken_back_takes_nothing_off(portal):
    portal.publish(record("1"))
    with portal.town() as town:
        batch = town.imports.run(Records(note("A")), portal.file()).batch_id
        town.imports.publish(batch)
    assert left(portal) == (4687, 4687)
    with portal.town() as town:
        town.imports.undo(batch)
    assert left(portal) == (5687, 5687)


def test_a_payment_asks_for_what_is_left(portal):
    portal.publish(record("1"), note("A"))
    with portal.town() as town:
        (invoice,) = town.invoices.by_number("1")
        payment = town.attempts.create(invoice.family_id, [invoice.id], email="", language="fr", key="k")
        assert town.payments.row(payment).amount == 4687


def test_a_note_that_comes_while_its_invoice_is_paid_leaves_a_credit(portal):
    portal.publish(record("1"))
    with portal.town() as town:
        (invoice,) = town.invoices.by_number("1")
        payment = town.attempts.create(invoice.family_id, [invoice.id], email="", language="fr", key="k")
    with portal.town() as town:
        town.attempts.go(payment)
    portal.publish(note("A"))
    portal.bank.pay(portal.bank.last, portal.clock)
    with portal.town() as town:
        town.attempts.ask(payment)
        assert town.payments.excess(payment) == 1000
    assert left(portal) == (4687, 0)


@pytest.mark.parametrize("paid", [5687, 4687])
def test_what_was_paid_stays_paid(portal, paid):
    portal.publish(record("1"))
    with portal.town() as town:
        (invoice,) = town.invoices.by_number("1")
        town.payments.record(
            regie="CANTINE", family_id=invoice.family_id, means=Means.CASH, amount=paid,
            paid_at=portal.clock.now(), payer="X", shares=[(invoice.id, paid)], key="k",
        )  # fmt: skip
    portal.publish(note("A"))
    assert left(portal) == (4687, 0)


def test_two_that_are_published_at_once_both_count(portal):
    portal.publish(record("1"))
    with portal.town() as town:
        batches = [
            town.imports.run(Records(note(number)), portal.file()).batch_id for number in ("A", "B", "C", "D")
        ]
    start = threading.Barrier(len(batches))

    def publish(batch):
        start.wait()
        with portal.town() as town:
            town.imports.publish(batch)

    threads = [threading.Thread(target=publish, args=(batch,)) for batch in batches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert due(portal) == {"1": 1687}
