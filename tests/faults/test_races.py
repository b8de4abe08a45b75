"""Many at once, on one thing: threads over real transactions, started together."""

from __future__ import annotations

import random
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import text

from core.api.errors import UserError
from core.api.payments import Failed, FailureKind, Means
from core.api.work import Consumer
from core.platform.errors import ImportRefusedError, PaymentUnderWayError, TooManyAddressesError
from core.platform.outbox.deliver import deliver
from core.processes.consumers import all_consumers
from core.sign_in.service import LOST_CODES
from core.testing.portal import Records, record

pytestmark = pytest.mark.faults

THREADS = 12


def at_once(*works):
    """Run all `works` at the same moment; what each returned, or the exception it raised."""
    start = threading.Barrier(min(len(works), THREADS))

    def run(number, work):
        if number < start.parties:
            start.wait()
        try:
            return work()
        except Exception as error:  # noqa: BLE001 - it is looked at by the test
            return error

    with ThreadPoolExecutor(start.parties) as pool:
        return list(pool.map(run, range(len(works)), works))


def unexpected(outcomes, *allowed):
    return [o for o in outcomes if isinstance(o, Exception) and not isinstance(o, allowed)]


def rows(portal, statement, **values):
    with portal.town() as town:
        return [tuple(row) for row in town.session.execute(text(statement), values)]


@pytest.fixture
def invoice(portal):
    """One published invoice of 56,87 €."""
    portal.publish(record("1"))
    with portal.town() as town:
        return town.invoices.by_number("1")[0]


def create(portal, *invoices, key="k"):
    with portal.town() as town:
        return town.attempts.create(
            invoices[0].family_id, [i.id for i in invoices], email="p@a.fr", language="fr", key=key
        )


def under_way(portal, *invoices, key="k"):
    payment = create(portal, *invoices, key=key)
    with portal.town() as town:
        town.attempts.start(payment)
    return payment, portal.bank.last


def ask(portal, payment):
    with portal.town() as town:
        return str(town.attempts.poll(payment))


def settlements(portal):
    return rows(
        portal,
        "SELECT (SELECT count(*) FROM allocation), (SELECT count(*) FROM payment_answer"
        " WHERE outcome = 'settled'), (SELECT count(*) FROM outbox WHERE topic = 'notify'"
        " AND dedupe_key LIKE 'settled-%'), (SELECT max(value) FROM counter)",
    )[0]


def test_one_outbox_row_delivered_fifty_times_has_one_effect(portal, invoice):
    payment, reference = under_way(portal, invoice)
    portal.bank.pay(reference, portal.clock)
    consumers = all_consumers(portal.runtime.extensions)
    portal.clock.pass_time(minutes=2)
    for topic in ("payment.poll", "notify", "event"):
        ((row_id,),) = rows(
            portal,
            "SELECT id FROM outbox WHERE topic = :t ORDER BY created_at DESC LIMIT 1",
            t=topic,
        )
        outcomes = at_once(
            *[lambda r=row_id: deliver(portal.runtime, consumers, "valmont", r)] * 50
        )
        assert unexpected(outcomes) == []
    assert settlements(portal) == (1, 1, 1, 1)
    assert len(rows(portal, "SELECT id FROM message WHERE kind = 'payment_settled'")) == 1
    told = [event.payment_id for _town, hook, event in portal.plugin.events]
    assert told == [payment]


def test_fifty_notifications_and_returns_settle_once(portal, invoice):
    payment, reference = under_way(portal, invoice)
    portal.bank.pay(reference, portal.clock)

    def notify():
        with portal.town() as town:
            return town.payments.ask_again("fakepay", reference)

    outcomes = at_once(*[notify, lambda: ask(portal, payment)] * 25)
    assert unexpected(outcomes) == []
    assert len(rows(portal, "SELECT id FROM outbox WHERE topic = 'payment.ask'")) == 1
    assert settlements(portal) == (1, 1, 1, 1)
    portal.clock.pass_time(minutes=2)
    consumers = all_consumers(portal.runtime.extensions)
    for _wave in range(4):
        with portal.town() as town:
            found = town.session.execute(
                text("SELECT id FROM outbox WHERE topic <> 'message.send'")
            )
            due = [row.id for row in found] * 3
        at_once(*[partial(deliver, portal.runtime, consumers, "valmont", row) for row in due])
    assert settlements(portal) == (1, 1, 1, 1)
    assert len(rows(portal, "SELECT id FROM message WHERE kind = 'payment_settled'")) == 1


@pytest.mark.parametrize("seed", range(3))
def test_outcomes_in_any_order_and_at_once_end_settled(portal, invoice, seed):
    payment, reference = under_way(portal, invoice)
    chance = random.Random(seed)
    said = [Failed(FailureKind.REFUSED), Failed(FailureKind.EXPIRED)]

    def contrary():
        portal.bank.outcomes[reference] = chance.choice(said)
        return ask(portal, payment)

    at_once(*[contrary] * 10)
    portal.bank.pay(reference, portal.clock)
    outcomes = at_once(*[lambda: ask(portal, payment)] * 12)
    assert set(outcomes) == {"settled"}
    assert settlements(portal) == (1, 1, 1, 1)


def test_one_form_sent_many_times_is_one_payment(portal, invoice):
    outcomes = at_once(*[lambda: create(portal, invoice, key="same")] * 12)
    assert unexpected(outcomes) == []
    assert len(set(outcomes)) == 1
    assert rows(portal, "SELECT state FROM payment") == [("created",)]


def test_many_forms_leave_one_live_attempt(portal, invoice):
    outcomes = at_once(*[lambda n=n: create(portal, invoice, key=str(n)) for n in range(12)])
    assert unexpected(outcomes, PaymentUnderWayError) == []
    assert len(rows(portal, "SELECT id FROM payment_item WHERE live")) == 1
    assert len(rows(portal, "SELECT id FROM payment WHERE state = 'created'")) == 1


def test_many_forms_and_their_clicks_send_one_parent_to_the_bank(portal, invoice):
    def pay(key):
        payment = create(portal, invoice, key=key)
        with portal.town() as town:
            return town.attempts.start(payment)

    outcomes = at_once(*[lambda n=n: pay(str(n)) for n in range(12)])
    assert unexpected(outcomes, PaymentUnderWayError) == []
    sent = {o for o in outcomes if isinstance(o, str) and "bank.invalid" in o}
    assert len(sent) == 1
    assert len(rows(portal, "SELECT id FROM payment WHERE state = 'pending'")) == 1


def test_paying_and_settling_the_same_invoices_never_block_each_other(portal):
    """Both lock payments and invoices: in one order, or one of them is a victim now and then."""
    numbers = [str(n) for n in range(4)]
    portal.publish(*(record(n, amount=1000) for n in numbers))
    with portal.town() as town:
        invoices = [town.invoices.by_number(n)[0] for n in numbers]
    for turn in range(8):
        payment, reference = under_way(portal, *invoices, key=f"first-{turn}")
        portal.bank.pay(reference, portal.clock)
        backwards = list(reversed(invoices))
        outcomes = at_once(
            *[partial(ask, portal, payment)] * 4,
            *[partial(create, portal, *backwards, key=f"{turn}-{n}") for n in range(4)],
            *[partial(cash, portal, backwards[n], f"{turn}-{n}", 500) for n in range(4)],
        )
        assert unexpected(outcomes, UserError) == []
        for (settled,) in rows(portal, "SELECT id FROM payment WHERE state = 'settled'"):
            with portal.town() as town:
                town.payments.reverse(settled, reason="again")
        for (left,) in rows(portal, "SELECT id FROM payment WHERE state = 'created'"):
            with portal.town() as town:
                town.attempts.give_up(left)


def cash(portal, invoice, key, amount):
    with portal.town() as town:
        return town.payments.record(
            regie=invoice.regie, family_id=invoice.family_id, means=Means.CASH, amount=amount,
            paid_at=portal.clock.now(), payer="x", shares=[(invoice.id, amount)], key=key,
        )  # fmt: skip


def test_receipts_taken_at_once_have_no_gap(portal):
    portal.publish(*(record(str(n)) for n in range(24)))
    with portal.town() as town:
        invoices = [town.invoices.by_number(str(n))[0] for n in range(24)]

    def pay(number):
        recorded = cash(portal, invoices[number], str(number), 5687)
        if number % 4 == 0:
            raise RuntimeError(recorded)  # After the commit: nothing is taken back.

    def fail(number):
        with portal.town() as town:
            town.ledger.next_number("receipt/CANTINE/2026")
            raise RuntimeError(number)  # Before it: the number is not used.

    works = [w for n in range(24) for w in (lambda n=n: pay(n), lambda n=n: fail(n))]
    assert unexpected(at_once(*works), RuntimeError) == []
    numbers = [n for (n,) in rows(portal, "SELECT receipt_number FROM payment ORDER BY 1")]
    assert numbers == [f"CANTINE-2026-{n:06d}" for n in range(1, 25)]


def test_one_invoice_paid_by_many_at_once_gets_what_it_owes(portal, invoice):
    outcomes = at_once(*[lambda n=n: cash(portal, invoice, str(n), 5687) for n in range(10)])
    assert unexpected(outcomes) == []
    assert rows(portal, "SELECT sum(amount) FROM allocation") == [(5687,)]
    assert rows(portal, "SELECT sum(amount), count(*) FROM credit") == [(9 * 5687, 9)]


def test_one_cheque_recorded_many_times_is_one(portal, invoice):
    outcomes = at_once(*[lambda: cash(portal, invoice, "same", 5687)] * 10)
    assert unexpected(outcomes) == []
    assert len({o.payment_id for o in outcomes}) == 1
    assert rows(portal, "SELECT count(*) FROM payment") == [(1,)]


def load(portal, *records):
    with portal.town() as town:
        return town.imports.run(Records(*records), portal.file())


def test_one_file_imported_many_times_at_once_is_one_batch(portal):
    records = [record(str(n), family=f"F{n:03d}") for n in range(10)]
    outcomes = at_once(*[lambda: load(portal, *records)] * 6)
    assert unexpected(outcomes) == []
    assert sorted(o.counts["created"] for o in outcomes) == [0] * 5 + [10]
    assert rows(portal, "SELECT count(*) FROM import_batch") == [(1,)]


def test_files_that_share_families_all_come_in(portal):
    outcomes = at_once(
        *[
            lambda n=n: load(portal, *(record(f"{n}-{i}", family=f"F{i:03d}") for i in range(5)))
            for n in range(6)
        ]
    )
    assert unexpected(outcomes) == []
    assert rows(portal, "SELECT count(*) FROM invoice") == [(30,)]
    assert rows(portal, "SELECT count(*) FROM family") == [(5,)]


@pytest.mark.parametrize("turn", range(5))
def test_an_import_is_undone_or_paid_never_both(portal, turn):
    batch = portal.publish(record("1"))
    changed = load(portal, record("1", amount=6000, label=f"Changée {turn}")).batch_id
    with portal.town() as town:
        invoice = town.invoices.by_number("1")[0]

    def undo(number):
        with portal.town() as town:
            return town.imports.undo(number)

    outcomes = at_once(
        lambda: undo(changed), lambda: create(portal, invoice), lambda: undo(batch),
        lambda: cash(portal, invoice, "cash", 6000), lambda: publish(portal, batch),
    )  # fmt: skip
    assert unexpected(outcomes, UserError, ImportRefusedError) == []
    paid = rows(
        portal,
        "SELECT i.state, i.amount, a.amount FROM allocation a JOIN invoice i ON i.id = a.invoice_id",
    )
    assert all(state == "published" and got <= owes for state, owes, got in paid)
    assert rows(
        portal,
        "SELECT p.id FROM payment_item p JOIN invoice i ON i.id = p.invoice_id"
        " WHERE p.live AND (i.state <> 'published' OR i.amount <> p.amount)",
    ) == []  # fmt: skip


def publish(portal, batch):
    with portal.town() as town:
        return town.imports.publish(batch)


@pytest.mark.parametrize("turn", range(3))
def test_a_change_by_import_and_a_payment_exclude_each_other(portal, turn):
    portal.publish(record("1"))
    with portal.town() as town:
        invoice = town.invoices.by_number("1")[0]
    outcomes = at_once(
        lambda: load(portal, record("1", amount=6000 + turn)), lambda: create(portal, invoice)
    )
    assert unexpected(outcomes, UserError) == []
    ((amount,),) = rows(portal, "SELECT amount FROM invoice")
    assert rows(portal, "SELECT amount FROM payment WHERE state = 'created'") == [(amount,)]


def test_a_family_never_registers_a_fourth_address(portal, invoice):
    def add(number):
        with portal.town() as town:
            town.alerts.add(invoice.family_id, f"a{number}@exemple.fr")

    outcomes = at_once(*[lambda n=n: add(n) for n in range(10)])
    assert unexpected(outcomes, TooManyAddressesError) == []
    assert rows(portal, "SELECT count(*) FROM contact_email") == [(3,)]


def test_a_link_works_once_whoever_is_first(portal, invoice):
    with portal.town() as town:
        end = portal.clock.now() + timedelta(hours=1)
        token = town.sign_in.one_time_token(LOST_CODES, invoice.family_id, end, {})

    def use():
        with portal.town() as town:
            return town.sign_in.new_code(token)

    drawn = [o for o in at_once(*[use] * 8) if o is not None]
    assert len(drawn) == 1
    assert isinstance(drawn[0], tuple)


def test_an_effect_asked_for_many_times_is_one_row(portal):
    def add():
        with portal.town() as town:
            town.outbox.add("event", {"n": str(uuid.uuid4())}, key="same")

    assert unexpected(at_once(*[add] * 20)) == []
    assert len(rows(portal, "SELECT id FROM outbox")) == 1


def test_what_a_worker_takes_along_no_other_one_does(portal):
    """Thirty effects, delivered by many at once who each take others along: each is done once."""
    now = portal.clock.now()

    def do(ctx, payload):
        if payload["n"] % 7 == 0:
            ctx.outbox.take_along("test.one", 3)
            raise ArithmeticError("what it took is to be done all the same")
        for each in (payload, *ctx.outbox.take_along("test.one", 3)):
            ctx.outbox.add("test.done", each, key=str(uuid.uuid4()), after=now + timedelta(days=9))

    with portal.town() as town:
        for n in range(30):
            town.outbox.add("test.one", {"n": n}, key=str(n))
        town.outbox.add("test.one", {"n": 100}, key="later", after=now + timedelta(days=9))
    with portal.town("brumes") as town:
        town.outbox.add("test.one", {"n": 200}, key="another town's")
    consumers = {"test.one": ("", Consumer("test.one", do))}
    waiting = (
        "SELECT id, last_error FROM outbox WHERE topic = 'test.one' AND state = 'ready' AND payload->>'n' <> '100'"
    )
    for _round in range(30):
        found = rows(portal, waiting)
        # What was taken along by one that failed comes again, however often that happens.
        if all(error for _id, error in found):
            break
        ids = [row_id for row_id, _error in found]
        works = [partial(deliver, portal.runtime, consumers, "valmont", row_id) for row_id in ids]
        assert unexpected(at_once(*works)) == []
    failed = {n for (n,) in rows(portal, "SELECT (payload->>'n')::int FROM outbox WHERE last_error <> ''")}
    done = [n for (n,) in rows(portal, "SELECT (payload->>'n')::int FROM outbox WHERE topic = 'test.done'")]
    assert len(done) == len(set(done))
    assert set(done) | failed == set(range(30))
    assert failed <= {n for n in range(30) if n % 7 == 0}
