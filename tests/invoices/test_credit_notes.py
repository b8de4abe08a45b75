"""Credit notes (*avoirs*): each takes off the invoice that it names, once, however it came."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import date, timedelta

import pytest
from sqlalchemy import text

from core.api.errors import UserError
from core.api.invoices import InvoiceKind, LineRecord, TaxKind
from core.api.payments import Means
from core.books.period import Period
from core.domain.tax import care_paid
from core.messages.models import MessageRow
from core.platform.errors import ImportRefusedError
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
    portal.publish(note("C", amount=-687))
    assert due(portal) == {}
    with portal.town() as town:
        (invoice,) = town.invoices.by_number("1")
        assert (invoice.balance, invoice.payable) == (0, False)


def refused(portal, *items):
    with portal.town() as town:
        report = town.imports.run(Records(*items), portal.file())
        return [problem.message for problem in report.problems]


def test_more_than_the_invoice_is_refused_however_it_comes(portal):
    (words,) = refused(portal, record("1"), note("A", amount=-6000))
    assert "60,00" in words
    assert "56,87" in words
    assert refused(portal, record("1"), note("A", amount=-5687)) == []  # a draft now
    assert len(refused(portal, note("B", amount=-1))) == 1
    assert len(refused(portal, note("A", amount=-5688))) == 1
    assert len(refused(portal, record("1", amount=5686))) == 1
    assert refused(portal, record("1", amount=5000), note("A", amount=-5000)) == []
    # Of the next file what counts is what it says, not what it replaces.
    assert refused(portal, record("1", amount=4000), note("A", amount=-1000), note("B", amount=-3000)) == []
    assert len(refused(portal, record("1", amount=4000), note("A", amount=-1000), note("C", amount=-1))) == 1


def test_a_note_that_waits_for_its_invoice_is_held_against_it_when_it_comes(portal):
    assert refused(portal, note("A", amount=-9000)) == []
    assert len(refused(portal, record("1"))) == 1
    assert refused(portal, record("1", amount=9000)) == []


def test_what_is_not_its_note_counts_for_nothing(portal):
    portal.publish(record("1"), record("2", family="F002"))
    assert refused(portal, note("A", amount=-9000, regie="GARDERIE")) == []
    assert refused(portal, note("B", amount=-9000, origin="")) == []
    assert refused(portal, note("C", amount=-9000, origin="unknown")) == []
    batch = portal.publish(note("D", amount=-5000))
    with portal.town() as town:
        town.imports.undo(batch)
    assert refused(portal, note("E", amount=-5687)) == []


def test_the_same_file_again_is_no_new_doubt(portal):
    portal.publish(record("1"), note("A", amount=-5687))
    assert refused(portal, record("1"), note("A", amount=-5687)) == []


def test_a_correction_below_the_credit_notes_is_refused(portal):
    from core.imports.corrections import Corrected

    portal.publish(record("1", lines=()), note("A", amount=-5000))
    with portal.town() as town:
        (known,) = town.invoices.by_number("1")
        seen = town.billing.get(known.id).content_hash
        with pytest.raises(UserError, match="50,00"):
            town.corrections.correct(known.id, Corrected("x", known.due_on, amount=4999), seen=seen, reason="y")


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


def test_what_was_made_before_the_note_is_not_announced(portal):
    """The provider was away, and the parent clicks again."""
    portal.publish(record("1"))
    with portal.town() as town:
        (invoice,) = town.invoices.by_number("1")
        payment = town.attempts.create(invoice.family_id, [invoice.id], email="", language="fr", key="k")
    portal.publish(note("A"))
    with portal.town() as town:
        assert town.attempts.start(payment).endswith(f"/paiements/{payment}")
        assert town.payments.row(payment).state == "cancelled"
    assert not portal.bank.intents
    with portal.town() as town:
        again = town.attempts.create(invoice.family_id, [invoice.id], email="", language="fr", key="l")
        town.attempts.start(again)
    assert [intent.amount for intent in portal.bank.intents.values()] == [4687]


def test_a_note_that_comes_while_its_invoice_is_paid_leaves_a_credit(portal):
    portal.publish(record("1"))
    with portal.town() as town:
        (invoice,) = town.invoices.by_number("1")
        payment = town.attempts.create(invoice.family_id, [invoice.id], email="", language="fr", key="k")
    with portal.town() as town:
        town.attempts.start(payment)
    portal.publish(note("A"))
    portal.bank.pay(portal.bank.last, portal.clock)
    with portal.town() as town:
        town.attempts.poll(payment)
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


# --- What taxes and accounts say ----------------------------------------------------------------

CARE = LineRecord(1, "Garderie", TaxKind.CARE, 6000, child="E001")
MEALS = LineRecord(2, "Repas", TaxKind.MEAL, 4000, child="E001")


def pay(portal, amount, number="1"):
    with portal.town() as town:
        (invoice,) = town.invoices.by_number(number)
        town.payments.record(
            regie="CANTINE", family_id=invoice.family_id, means=Means.CASH, amount=amount,
            paid_at=portal.clock.now(), payer="X", shares=[(invoice.id, amount)], key=f"{number}/{amount}",
        )  # fmt: skip


def certified(portal):
    with portal.town() as town:
        years = town.certificates.years(town.families.by_code("F001").id)
        return sum(year.total for year in years)


def by_activity(portal):
    with portal.town() as town:
        parts = town.accounts.statements.activities.parts(Period("CANTINE", date(2026, 3, 1)))
    sums = defaultdict(int)
    for part in parts:
        sums[part.activity] += part.amount
    return {activity: cents for activity, cents in sums.items() if cents}


def taken_off(portal, line):
    portal.publish(
        record("1", amount=10_000, lines=(CARE, MEALS)),
        record(
            "A", amount=-line.amount, kind=InvoiceKind.CREDIT_NOTE, origin_number="1",
            lines=(replace(line, rank=1, amount=-line.amount),),
        ),
    )  # fmt: skip


def test_care_that_was_taken_off_is_not_certified(portal):
    taken_off(portal, CARE)
    pay(portal, 4000)
    assert certified(portal) == 0
    assert by_activity(portal) == {"Repas": 4000}


def test_care_is_certified_whole_where_meals_were_taken_off(portal):
    taken_off(portal, MEALS)
    pay(portal, 6000)
    assert certified(portal) == 6000
    assert by_activity(portal) == {"Garderie": 6000}


def test_a_later_note_does_not_change_what_a_month_was_for(portal):
    portal.publish(record("1", amount=10_000, lines=(CARE, MEALS)))
    pay(portal, 5000)
    before = by_activity(portal)
    assert before == {"Garderie": 3000, "Repas": 2000}
    portal.clock.pass_time(hours=1)
    portal.publish(note("A", amount=-2000))
    assert by_activity(portal) == before


def test_a_note_without_lines_takes_off_in_proportion(portal):
    portal.publish(record("1", amount=10_000, lines=(CARE, MEALS)), note("A", amount=-5000))
    pay(portal, 5000)
    assert certified(portal) == 3000


def give_back(portal, number="1"):
    """Make a credit of what was paid too much; its cents."""
    with portal.town() as town:
        return town.credits.free(town.invoices.by_number(number)[0].id)


def test_what_is_given_back_comes_off_what_the_note_took_off(portal):
    portal.publish(record("1", amount=10_000, lines=(CARE, MEALS)))
    pay(portal, 10_000)
    portal.clock.pass_time(minutes=1)
    portal.publish(replace(note("A", amount=-1500), lines=(replace(MEALS, rank=1, amount=-1500),)))
    assert give_back(portal) == 1500
    assert by_activity(portal) == {"Garderie": 6000, "Repas": 2500, "Recettes à classer": 1500}


def test_what_is_given_back_comes_off_in_proportion_where_the_note_has_no_lines(portal):
    portal.publish(record("1", amount=10_000, lines=(CARE, MEALS)))
    pay(portal, 10_000)
    portal.clock.pass_time(minutes=1)
    portal.publish(note("A", amount=-1500))
    give_back(portal)
    assert by_activity(portal) == {"Garderie": 5100, "Repas": 3400, "Recettes à classer": 1500}


def test_what_was_given_back_is_certified_where_it_pays_care(portal):
    portal.publish(record("1", amount=10_000, lines=(CARE, MEALS)), record("2", amount=6000, lines=(CARE,)))
    pay(portal, 10_000)
    portal.clock.pass_time(minutes=1)
    portal.publish(note("A", amount=-1000))
    assert certified(portal) == 5400
    give_back(portal)
    assert certified(portal) == 5400
    with portal.town() as town:
        (row,) = town.credits.waiting()
        town.credits.pay(row.Credit.id, town.invoices.by_number("2")[0].id, 1000, key="k")
    assert certified(portal) == 6400


def test_nothing_is_given_back_of_what_was_not_paid(portal):
    portal.publish(record("1"), note("A", amount=-5687))
    with pytest.raises(UserError):
        give_back(portal)


def test_two_agents_give_back_once(portal):
    portal.publish(record("1"))
    pay(portal, 5687)
    portal.publish(note("A"))

    def press(_time):
        with suppress(UserError):
            return give_back(portal)
        return 0

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(press, range(4))) == [0, 0, 0, 1000]


def test_the_receipt_stays_what_was_given(portal):
    portal.publish(record("1"))
    pay(portal, 5687)
    portal.publish(note("A"))
    give_back(portal)
    with portal.town() as town:
        (row,) = town.credits.waiting()
        assert town.payments.excess(row.Payment.id) == 0
        sheet = town.receipts.sheet(row.Payment)
    assert sheet.excess == 0
    assert [share.amount for share in sheet.shares] == [5687]


def pay_as(portal, payer, amount, *, at=None, family="F001"):
    """Pay a part of invoice 1; the payment's id."""
    with portal.town() as town:
        (invoice,) = town.invoices.by_number("1")
        portal.clock.pass_time(minutes=1)
        return town.payments.record(
            regie="CANTINE", family_id=town.families.by_code(family).id, means=Means.CASH, amount=amount,
            paid_at=at or portal.clock.now(), payer=payer, shares=[(invoice.id, amount)], key=payer,
        ).payment_id  # fmt: skip


def care_by_payer(portal):
    with portal.town() as town:
        invoices, shares = town.certificates._paid(town.families.by_code("F001").id)
        sums = defaultdict(int)
        for year in {share.paid_on.year for share in shares}:
            for row in care_paid(year, invoices, shares):
                sums[row.payer] += row.amount
        return dict(sums)


ALL_CARE = replace(CARE, amount=10_000)


def test_what_was_given_back_is_never_certified_again_where_it_was(portal):
    portal.publish(record("1", amount=10_000, lines=(ALL_CARE,)), record("2", amount=10_000, lines=(ALL_CARE,)))
    bounces = pay_as(portal, "MERE", 6000)
    pay_as(portal, "PERE", 4000)
    portal.publish(note("A", amount=-4000))
    give_back(portal)
    with portal.town() as town:
        (row,) = town.credits.waiting()
        town.credits.pay(row.Credit.id, town.invoices.by_number("2")[0].id, 4000, key="k")
        town.payments.reverse(bounces, reason="x")
    assert care_by_payer(portal) == {"PERE": 4000}


def test_what_was_refunded_is_not_certified(portal):
    portal.publish(record("1", amount=10_000, lines=(ALL_CARE,)))
    bounces = pay_as(portal, "MERE", 6000)
    pay_as(portal, "PERE", 4000)
    portal.publish(note("A", amount=-4000))
    give_back(portal)
    with portal.town() as town:
        (row,) = town.credits.waiting()
        town.credits.refund(row.Credit.id, 4000, means=Means.CASH, note="x", key="k")
        town.payments.reverse(bounces, reason="x")
    assert care_by_payer(portal) == {}
    pay_as(portal, "TANTE", 6000)
    assert care_by_payer(portal) == {"TANTE": 6000}


def test_of_two_who_paid_on_one_day_the_certificate_and_the_credit_mean_the_same_one(portal):
    portal.publish(record("1", amount=10_000, lines=(ALL_CARE,)))
    noon = portal.clock.now()
    pay_as(portal, "MERE", 5000, at=noon)
    pay_as(portal, "PERE", 5000, at=noon - timedelta(hours=1))
    portal.publish(note("A", amount=-4000))
    before = care_by_payer(portal)
    give_back(portal)
    assert care_by_payer(portal) == before
    with portal.town() as town:
        (row,) = town.credits.waiting()
    assert before[row.Payment.payer] == 1000


def test_each_time_what_is_given_back_is_what_the_last_note_took_off(portal):
    portal.publish(record("1", amount=10_000, lines=(CARE, MEALS)))
    pay(portal, 10_000)
    portal.clock.pass_time(minutes=1)
    portal.publish(replace(note("A", amount=-6000), lines=(replace(CARE, amount=-6000),)))
    give_back(portal)
    assert by_activity(portal) == {"Repas": 4000, "Recettes à classer": 6000}
    portal.clock.pass_time(minutes=1)
    portal.publish(replace(note("B", amount=-1000), lines=(replace(MEALS, rank=1, amount=-1000),)))
    give_back(portal)
    assert by_activity(portal) == {"Repas": 3000, "Recettes à classer": 7000}


def test_what_a_note_took_off_before_the_payment_is_not_given_back(portal):
    portal.publish(
        record("1", amount=10_000, lines=(CARE, MEALS)),
        replace(note("A", amount=-6000), lines=(replace(CARE, amount=-6000),)),
    )
    portal.clock.pass_time(minutes=1)
    pay(portal, 4000)
    portal.clock.pass_time(minutes=1)
    portal.publish(replace(note("B", amount=-1000), lines=(replace(MEALS, rank=1, amount=-1000),)))
    give_back(portal)
    assert by_activity(portal) == {"Repas": 3000, "Recettes à classer": 1000}


def test_the_same_money_is_shown_as_paid_once(portal):
    portal.publish(record("1"), record("2"))
    pay(portal, 5687)
    portal.clock.pass_time(minutes=1)
    portal.publish(note("A"))
    give_back(portal)
    with portal.town() as town:
        (row,) = town.credits.waiting()
        town.credits.pay(row.Credit.id, town.invoices.by_number("2")[0].id, 1000, key="k")
        rows = town.paid_invoices.of(row.Family.id)
        assert [(r.number, r.paid, r.released) for r in rows] == [("2", 1000, 0), ("1", 5687, 1000)]
        _median, delays = town.figures._delays(date(2026, 1, 1), date(2027, 1, 1))
        assert sum(part.cents for part in delays) == 5687


def test_a_note_that_the_books_go_by_stays(portal):
    portal.publish(record("1", amount=10_000, lines=(CARE, MEALS)))
    with portal.town() as town:
        batch = town.imports.run(Records(note("A", amount=-3000)), portal.file()).batch_id
        town.imports.publish(batch)
    pay(portal, 7000)
    with portal.town() as town:
        (found,) = town.invoices.by_number("A")
        with pytest.raises(UserError, match="réglée d’après cet avoir"):
            town.billing.cancel(found.id, reason="x")
        with pytest.raises(ImportRefusedError, match="La facture 1 a été payée"):
            town.imports.undo(batch)
        changed = town.imports.run(Records(note("A", amount=-2000)), portal.file())
    assert "réglée d’après lui" in changed.problems[0].message
    assert left(portal) == (7000, 0)


def test_a_note_that_came_after_the_payment_may_go_until_money_was_given_back(portal):
    portal.publish(record("1"))
    pay(portal, 5687)
    portal.clock.pass_time(minutes=1)
    portal.publish(note("A"), note("B", amount=-500))
    with portal.town() as town:
        town.billing.cancel(town.invoices.by_number("B")[0].id, reason="x")
    assert give_back(portal) == 1000
    with portal.town() as town, pytest.raises(UserError):
        town.billing.cancel(town.invoices.by_number("A")[0].id, reason="x")


def test_a_bounce_asks_for_nothing_that_a_note_covers(portal):
    portal.publish(record("1"))
    payment = pay_as(portal, "MERE", 5687)
    portal.publish(note("A", amount=-5687))
    give_back(portal)
    with portal.town() as town:
        town.payments.reverse(payment, reason="x")
        (invoice,) = town.invoices.by_number("1")
        row = MessageRow(
            kind="payment_reversed", language="fr", family_id=invoice.family_id, address="a@exemple.fr",
            payload={"invoice_ids": [invoice.id], "payment_id": payment, "amount": 5687, "reason": "x"},
        )  # fmt: skip
        words = town.letters.render(row).text
    assert "56,87" in words
    assert "de nouveau à régler" not in words


# --- Whose invoice, and who waits for whom ------------------------------------------------------


def test_another_familys_invoice_is_no_ones_to_correct(portal):
    portal.publish(record("1"))
    with portal.town() as town:
        report = town.imports.run(Records(note("A", family="F002")), portal.file())
    assert report.batch_id is None
    assert "autre famille" in report.problems[0].message
    portal.publish(note("B", family="F002", origin="2"), record("2"))
    assert due(portal)["2"] == 5687, "in one file, it takes nothing off"


def test_a_draft_locks_nothing(portal):
    """Parents pay while an agent looks at what a file would do."""
    portal.publish(record("1"))
    with portal.town() as agent:
        agent.imports.run(Records(note("A")), portal.file())
        with portal.town() as parent:
            parent.session.execute(text("SET LOCAL lock_timeout = '1s'"))
            (invoice,) = parent.invoices.by_number("1")
            parent.attempts.create(invoice.family_id, [invoice.id], email="", language="fr", key="k")


def test_payments_and_credit_notes_of_the_same_invoices_never_block_each_other(portal):
    portal.publish(*(record(str(n)) for n in range(8)))
    with portal.town() as town:
        family = town.families.by_code("F001").id
        batches = [
            town.imports.run(Records(*(note(f"{letter}{n}", origin=str(n)) for n in order)), portal.file()).batch_id
            for letter, order in (("A", range(8)), ("B", reversed(range(8))))
        ]  # fmt: skip
    failed = []

    def work(action):
        try:
            with portal.town() as town:
                action(town)
        except Exception as error:  # noqa: BLE001 - told below
            failed.append(error)

    def paying(number):
        def action(town):
            ids = [i.id for n in range(8) for i in town.invoices.by_number(str(n))]
            town.attempts.create(family, ids, email="", language="fr", key=f"k{number}")

        return action

    actions = [lambda town, b=batch: town.imports.publish(b) for batch in batches]
    actions += [paying(1)]
    for _round in range(2):
        threads = [threading.Thread(target=work, args=(action,)) for action in actions]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        actions = [lambda town, b=batches[0]: town.imports.undo(b), paying(1)]
    assert not [error for error in failed if "deadlock" in str(error)], failed


def merging(portal, gone, errors, *, before=None, after=None, at_payments=None):
    """A thread that merges `gone` into F003, and calls these on its way."""

    def run():
        try:
            with portal.town() as town:
                ids = [town.families.by_code(code).id for code in ("F003", gone)]
                if before:
                    before()
                execute = town.session.execute

                def watched(statement, *rest, **options):
                    result = execute(statement, *rest, **options)
                    if at_payments and str(statement).startswith("UPDATE payment"):
                        at_payments()
                    return result

                town.session.execute = watched
                town.merging.merge(*ids)
                if after:
                    after()
        except Exception as error:  # noqa: BLE001 - whatever it is, the test fails
            errors.append(error)

    return threading.Thread(target=run)


def lingering():
    """An event, and what sets it and stays there for the others to come."""
    reached = threading.Event()

    def linger():
        reached.set()
        time.sleep(0.5)

    return reached, linger


def test_merging_who_paid_and_giving_back_never_block_each_other(portal):
    portal.publish(record("1"), record("3", family="F003"))
    pay(portal, 5687)
    portal.publish(note("A"))
    errors, locked = [], threading.Event()
    merge = merging(portal, "F001", errors, before=locked.wait)
    merge.start()
    with portal.town() as town:
        given = town.credits._given

        def slow(invoice_id):
            locked.set()
            time.sleep(0.5)
            return given(invoice_id)

        town.credits._given = slow
        assert town.credits.free(town.invoices.by_number("1")[0].id) == 1000
    merge.join()
    assert errors == []


def test_what_is_given_back_while_who_paid_is_merged_belongs_to_who_stays(portal):
    portal.publish(record("1"), record("2", family="F002"), record("3", family="F003"))
    pay_as(portal, "X", 5687, family="F002")
    portal.publish(note("A"))
    errors, (merged, linger) = [], lingering()
    merge = merging(portal, "F002", errors, after=linger)
    merge.start()
    merged.wait()
    give_back(portal)
    merge.join()
    assert errors == []
    with portal.town() as town:
        assert [row.Family.code for row in town.credits.waiting()] == ["F003"]


def test_merging_who_paid_and_a_bounce_never_block_each_other(portal):
    portal.publish(record("1"), record("2", family="F002"), record("3", family="F003"))
    payment = pay_as(portal, "X", 5687, family="F002")
    portal.publish(note("A"))
    give_back(portal)
    errors, (moved, linger) = [], lingering()
    merge = merging(portal, "F002", errors, at_payments=linger)
    merge.start()
    moved.wait()
    with portal.town() as town:
        town.payments.reverse(payment, reason="x")
    merge.join()
    assert errors == []
    with portal.town() as town:
        assert town.payments.row(payment).state == "reversed"
        assert town.invoices.by_number("1")[0].balance == 4687
