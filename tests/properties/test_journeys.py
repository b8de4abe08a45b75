"""Random walks over import, undo, sign-in and payment, held against the invariants of DESIGN.md.

The rules do what parents, the régie, the provider and bad luck do, in any order: an outcome comes
late, twice or never, a worker dies before its commit, the clock jumps. The model is what happened at
the bank; everything else is asked of the database after every step.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from functools import partial

import pytest
from hypothesis import HealthCheck, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
)
from redis import Redis
from sqlalchemy import make_url, text

from core.api.errors import RetryableError, UserError
from core.api.invoices import InvoiceKind
from core.api.payments import Failed, FailureKind, Means
from core.messages.service import SEND
from core.platform.errors import (
    ImportRefusedError,
    NotFoundError,
    NotPayableError,
    PaymentUnderWayError,
    ThrottledError,
    WrongCodesError,
)
from core.platform.outbox.deliver import deliver
from core.processes.consumers import all_consumers
from core.testing.portal import Records, due_rows, make_portal, record

FAMILIES = ("F001", "F002")
NUMBERS = tuple(f"{family}-{n}" for family in FAMILIES for n in range(4))
AMOUNTS = (1, 999, 5687, 100_000)
STORY = (
    "paid", "paid", "ask", "ask", "refused", "expired", "notify", "work", "time", "again", "comes back",
)  # fmt: skip
EXPECTED = (NotPayableError, PaymentUnderWayError, RetryableError, NotFoundError)


class PowerCut(BaseException):
    """A process dies: nothing of its transaction stays. No handler of errors may catch it."""


def dying(consumer):
    """The consumer on a machine that fails once the work is done, and before it is committed."""

    def handler(ctx, payload):
        consumer.handler(ctx, payload)
        raise PowerCut

    return replace(consumer, handler=handler)


@pytest.fixture(scope="module", autouse=True)
def shared(module_database, stock, tmp_path_factory):
    """One portal for all walks; each walk starts from an empty town."""
    with Redis.from_url(module_database.redis_url) as redis:
        redis.flushall()
    name = make_url(module_database.database_url).database
    Walk.forget_rows = staticmethod(partial(stock.empty, name, but={"tenant"}))
    Walk.portal = make_portal(module_database, tmp_path_factory.mktemp("walk"))
    yield
    Walk.portal.runtime.close()


class Walk(RuleBasedStateMachine):
    """One town, two families, one bank."""

    portal = None
    forget_rows = None
    reader = None

    @initialize()
    def empty(self):
        portal = self.portal
        self.forget_rows()
        portal.runtime.redis.flushall()
        portal.bank.intents.clear()
        portal.bank.outcomes.clear()
        portal.bank.questions.clear()
        portal.bank.down = None
        portal.plugin.events.clear()
        self.paid_at_bank: set[str] = set()
        self.undone: set[int] = set()
        self.batches: list[int] = []
        self.secrets: dict[str, str] = {}
        self.counter_payments: dict[str, int] = {}
        self.sent: list[int] = []
        self.receipts: dict[int, str] = {}
        self.settled: set[int] = set()
        self.reversed: set[int] = set()
        for number in range(3):
            portal.clock.pass_time(days=1)
            self._import([f"{family}-{number}" for family in FAMILIES], 5687)

    # --- The régie ---------------------------------------------------------------------------

    @rule(
        numbers=st.lists(st.sampled_from(NUMBERS), min_size=1, max_size=3, unique=True),
        amount=st.sampled_from(AMOUNTS),
        publish=st.booleans(),
        cut=st.booleans(),
    )
    def import_invoices(self, numbers, amount, publish, cut):
        with suppress(PowerCut):
            self._import(numbers, amount, publish=publish, cut=cut)

    def _import(self, numbers, amount, *, publish=True, cut=False):
        records = [
            record(n, family=n[:4], amount=amount, regie="GARDERIE" if n[-1] == "3" else "CANTINE")
            for n in numbers
        ]
        with self.portal.town() as town:
            report = town.imports.run(Records(*records), self.portal.file())
            if report.batch_id and publish:
                town.imports.publish(report.batch_id)
            if cut:
                raise PowerCut
        if report.batch_id:
            self.batches.append(report.batch_id)

    @rule(data=st.data())
    def undo(self, data):
        batch = data.draw(st.sampled_from(self.batches))
        try:
            with self.portal.town() as town:
                town.imports.undo(batch)
        except ImportRefusedError:
            return
        self.undone.add(batch)

    @rule(data=st.data())
    def publish(self, data):
        with self.portal.town() as town:
            town.imports.publish(data.draw(st.sampled_from(self.batches)))

    @rule(
        number=st.sampled_from(NUMBERS),
        amount=st.sampled_from(AMOUNTS),
        key=st.sampled_from(["c1", "c2", "c3"]),
    )
    def pay_at_the_counter(self, number, amount, key):
        invoice = self._invoice(number)
        if invoice is None:
            return
        with self.portal.town() as town:
            recorded = town.payments.record(
                regie=invoice.regie, family_id=invoice.family_id, means=Means.CASH, amount=amount,
                paid_at=self.portal.clock.now(), payer="x", shares=[(invoice.id, amount)], key=key,
            )  # fmt: skip
        # One key, one payment: the first.
        assert self.counter_payments.setdefault(key, recorded.payment_id) == recorded.payment_id

    @rule(
        data=st.data(),
        cents=st.sampled_from(AMOUNTS),
        give_back=st.sampled_from([True, True, False]),
        cut=st.booleans(),
    )
    def credit_note(self, data, cents, give_back, cut):
        """On what was paid, if anything was; it comes back out of the invoice, or waits."""
        paid = [n for (n,) in self._rows("SELECT number FROM invoice WHERE paid > 0 ORDER BY 1")]
        number = data.draw(st.sampled_from(paid or NUMBERS))
        invoice = self._invoice(number)
        if invoice is None:
            return
        note = record(
            f"{number}/A", family=number[:4], amount=-cents, regie=invoice.regie,
            kind=InvoiceKind.CREDIT_NOTE, origin_number=number, lines=(),
        )  # fmt: skip
        with suppress(PowerCut), self.portal.town() as town:
            report = town.imports.run(Records(note), self.portal.file())
            if report.batch_id:
                town.imports.publish(report.batch_id)
                self.batches.append(report.batch_id)
        with suppress(PowerCut, UserError), self.portal.town() as town:
            if give_back:
                town.credits.free(invoice.id)
            if cut:
                raise PowerCut

    @rule(data=st.data(), cut=st.booleans())
    def take_back(self, data, cut):
        payments = self._payments("state = 'settled'")
        if not payments:
            return
        chosen = data.draw(st.sampled_from(payments))
        try:
            with self.portal.town() as town:
                town.payments.reverse(chosen, reason="impayé")
                if cut:
                    raise PowerCut
        except PowerCut:
            pass

    # --- Parents -----------------------------------------------------------------------------

    @rule(family=st.sampled_from(FAMILIES), wrong=st.booleans())
    def sign_in(self, family, wrong):
        with self.portal.town() as town:
            known = town.families.by_code(family)
            if known is None:
                return
            if family not in self.secrets:
                self.secrets[family] = town.families.issue_code(known.id)
        given = "2222-2222-2222" if wrong else self.secrets[family]
        with self.portal.town() as town:
            try:
                found = town.sign_in.by_codes(family, given, "10.0.0.1")
            except WrongCodesError:
                assert wrong
            except ThrottledError as error:
                assert error.seconds <= 300  # noqa: PT017 - one of three ways it may go
            else:
                assert not wrong
                assert found == known.id

    @rule(
        family=st.sampled_from(FAMILIES),
        picks=st.lists(st.integers(0, 3), min_size=1, max_size=3, unique=True),
        key=st.integers(1, 6),
        story=st.lists(st.sampled_from(STORY), max_size=6),
        leaves=st.sampled_from([True, True, True, False]),
    )
    def pay_online(self, family, picks, key, story, leaves):
        """A parent pays, and as much of the rest happens at once as `story` says."""
        invoices = [found for n in picks if (found := self._invoice(f"{family}-{n}"))]
        if not invoices:
            return
        with suppress(*EXPECTED):
            with self.portal.town() as town:
                payment = town.attempts.create(
                    invoices[0].family_id, [i.id for i in invoices],
                    email="p@exemple.fr", language="fr", key=str(key),
                )  # fmt: skip
            if leaves:
                with self.portal.town() as town:
                    town.attempts.start(payment)
                for what in story:
                    self._happens(what, payment)

    def _happens(self, what, payment):
        (reference,) = self._rows(
            "SELECT provider_reference FROM payment WHERE id = :id", id=payment
        )[0]
        if what == "ask":
            self._ask(payment, cut=False)
        elif what == "notify":
            with self.portal.town() as town:
                assert town.payments.ask_again("fakepay", reference) is bool(reference)
        elif what == "work":
            self.work(0)
        elif what == "time":
            self.portal.clock.pass_time(minutes=16)
        elif what == "comes back":
            with self.portal.town() as town:
                town.payments.reverse(payment, reason="rejet")
        elif what == "again":
            with suppress(*EXPECTED), self.portal.town() as town:
                town.attempts.give_up(payment)
        elif reference:
            self._at_the_bank(reference, what)

    def _at_the_bank(self, reference, kind):
        """What was paid there stays paid."""
        if reference in self.paid_at_bank:
            return
        if kind == "paid":
            self.portal.bank.pay(reference, self.portal.clock)
            self.paid_at_bank.add(reference)
        elif kind == "other amount":
            self.portal.bank.pay(reference, self.portal.clock, amount=7)
        else:
            self.portal.bank.outcomes[reference] = Failed(FailureKind(kind))

    @rule(data=st.data(), cut=st.booleans())
    def go(self, data, cut):
        payments = self._payments("provider <> ''")
        if not payments:
            return
        chosen = data.draw(st.sampled_from(payments))
        try:
            with self.portal.town() as town:
                town.attempts.start(chosen)
                if cut:
                    raise PowerCut
        except (PowerCut, *EXPECTED):
            pass

    @rule(data=st.data())
    def give_up(self, data):
        payments = self._payments("provider <> ''")
        if not payments:
            return
        try:
            with self.portal.town() as town:
                town.attempts.give_up(data.draw(st.sampled_from(payments)))
        except EXPECTED:
            pass

    # --- The provider ------------------------------------------------------------------------

    @rule(
        data=st.data(),
        kind=st.sampled_from(["paid", "paid", "paid", *FailureKind, "other amount"]),
        then=st.sampled_from(["come back", "notify", "notify twice", "nothing", "die"]),
    )
    def outcome(self, data, kind, then):
        """Something happens at the bank, at last."""
        references = self._references()
        if not references:
            return
        reference = data.draw(st.sampled_from(references))
        self._at_the_bank(reference, kind)
        if then.startswith("notify"):
            for _time in range(1 + (then == "notify twice")):
                with self.portal.town() as town:
                    assert town.payments.ask_again("fakepay", reference)
        elif then != "nothing":
            self._ask(int(reference.split("-")[1]), cut=then == "die")

    @rule(data=st.data(), cut=st.booleans())
    def come_back(self, data, cut):
        payments = self._payments("provider <> ''")
        if payments:
            self._ask(data.draw(st.sampled_from(payments)), cut=cut)

    def _ask(self, payment, *, cut):
        with suppress(PowerCut, RetryableError), self.portal.town() as town:
            town.attempts.poll(payment)
            if cut:
                raise PowerCut

    @rule(down=st.sampled_from([False, False, True]))
    def provider_goes_or_comes(self, down):
        self.portal.bank.down = RetryableError("away") if down else None

    # --- Time and work -----------------------------------------------------------------------

    @rule(minutes=st.sampled_from([0.02, 1, 16, 60 * 25]))
    def time_passes(self, minutes):
        self.portal.clock.pass_time(minutes=minutes)

    @rule(cut=st.integers(0, 2))
    def work(self, cut):
        """Workers do what is due; one of them may die in the middle, after its effect."""
        consumers = dict(all_consumers(self.portal.runtime.extensions))
        plugin, consumer = consumers[SEND]
        consumers[SEND] = plugin, replace(consumer, handler=self._send)
        fragile = {topic: (name, dying(it)) for topic, (name, it) in consumers.items()}
        for _round in range(
            3
        ):  # What is done asks for more: an event, its messages, their sending.
            with self.portal.town() as town:
                due = due_rows(town)
            for number, (tenant, row_id) in enumerate(due):
                if cut and number % 3 == cut:
                    with suppress(PowerCut):
                        deliver(self.portal.runtime, fragile, tenant, row_id)
                    self.portal.clock.pass_time(minutes=11)  # Longer than any lease.
                for _copy in range(2):  # Celery may hand an id out twice.
                    deliver(self.portal.runtime, consumers, tenant, row_id)

    def _send(self, town, payload):
        """Instead of a mail server: at most one repetition, of a message whose sender died."""
        self.sent.append(payload["message_id"])

    # --- What always holds -------------------------------------------------------------------

    @invariant()
    def the_invariants_hold(self):
        """In one transaction: it is asked after every step."""
        with self.portal.town() as town:
            self.reader = town.session
            try:
                for check in (
                    self.money_is_conserved,
                    self.one_live_attempt_an_invoice,
                    self.states_only_go_forward,
                    self.only_what_was_paid_is_settled,
                    self.receipts_are_numbered_without_a_gap,
                    self.what_settled_is_told_once,
                    self.an_undone_import_leaves_nothing,
                    self.nothing_is_dead,
                    self.nobody_is_told_twice,
                ):
                    check()
            finally:
                self.reader = None

    def money_is_conserved(self):
        over = self._rows(
            "SELECT i.id FROM invoice i JOIN allocation a USING (tenant_id)"
            " WHERE a.invoice_id = i.id AND a.reversed_at IS NULL"
            " GROUP BY i.id, i.amount HAVING sum(a.amount) > i.amount"
        )
        assert over == [], "an invoice got more than it owes"
        wrong = self._rows(
            "SELECT p.id FROM payment p WHERE p.state IN ('settled', 'reversed') AND p.amount <>"
            " (SELECT coalesce(sum(amount), 0) FROM allocation a WHERE a.payment_id = p.id)"
            " + (SELECT coalesce(sum(amount), 0) FROM credit c"
            " WHERE c.payment_id = p.id AND c.invoice_id IS NULL)"
        )
        assert wrong == [], "cents were lost or made"
        drifted = self._rows(
            "SELECT i.id FROM invoice i WHERE i.paid < 0 OR i.paid <>"
            " (SELECT coalesce(sum(amount), 0) FROM allocation a"
            " WHERE a.invoice_id = i.id AND a.reversed_at IS NULL)"
            " - (SELECT coalesce(sum(amount), 0) FROM credit c"
            " WHERE c.invoice_id = i.id AND c.reversed_at IS NULL)"
        )
        assert drifted == [], "an invoice does not say what it was paid"
        early = self._rows(
            "SELECT p.id FROM payment p JOIN allocation a ON a.payment_id = p.id"
            " WHERE p.state NOT IN ('settled', 'reversed')"
        )
        assert early == [], "something is paid by what is not settled"
        mixed = self._rows(
            "SELECT p.id FROM payment p JOIN allocation a ON a.payment_id = p.id"
            " WHERE (p.state = 'reversed') <> (a.reversed_at IS NOT NULL)"
        )
        assert mixed == [], "a payment came back in part"

    def one_live_attempt_an_invoice(self):
        assert self._rows(
            "SELECT invoice_id FROM payment_item WHERE live GROUP BY invoice_id HAVING count(*) > 1"
        ) == []  # fmt: skip
        assert self._rows(
            "SELECT i.id FROM payment_item i JOIN payment p ON p.id = i.payment_id"
            " WHERE i.live AND p.state NOT IN ('created', 'pending')"
        ) == []  # fmt: skip

    def states_only_go_forward(self):
        for payment, state in self._rows("SELECT id, state FROM payment"):
            assert not (payment in self.settled and state not in {"settled", "reversed"})
            assert not (payment in self.reversed and state != "reversed")
            if state in {"settled", "reversed"}:
                self.settled.add(payment)
            if state == "reversed":
                self.reversed.add(payment)

    def only_what_was_paid_is_settled(self):
        settled = {
            reference
            for (reference,) in self._rows(
                "SELECT provider_reference FROM payment"
                " WHERE provider <> '' AND state IN ('settled', 'reversed')"
            )
        }
        assert settled <= self.paid_at_bank

    def receipts_are_numbered_without_a_gap(self):
        rows = self._rows(
            "SELECT id, state, receipt_number FROM payment WHERE receipt_number <> ''"
            " OR state IN ('settled', 'reversed')"
        )
        series: dict[str, list[int]] = {}
        for payment, state, number in rows:
            assert number, f"payment {payment} is {state} without a receipt"
            assert self.receipts.setdefault(payment, number) == number
            name, _dash, last = number.rpartition("-")
            series.setdefault(name, []).append(int(last))
        for numbers in series.values():
            assert sorted(numbers) == list(range(1, len(numbers) + 1))

    def what_settled_is_told_once(self):
        told = self._rows(
            "SELECT dedupe_key FROM outbox WHERE topic = 'notify' AND dedupe_key LIKE 'settled-%'"
        )
        settled = self._rows("SELECT id FROM payment WHERE state IN ('settled', 'reversed')")
        assert sorted(key for (key,) in told) == sorted(
            f"settled-{number}" for (number,) in settled
        )
        ids = [event.payment_id for _town, hook, event in self.portal.plugin.events]
        assert set(ids) <= {number for (number,) in settled}

    def an_undone_import_leaves_nothing(self):
        for batch in self.undone:
            left = self._rows(
                "SELECT id FROM invoice WHERE batch_id = :batch AND state <> 'cancelled'",
                batch=batch,
            )
            assert left == []
            for table in ("family", "child"):
                assert self._rows(f"SELECT id FROM {table} WHERE batch_id = :b", b=batch) == []

    def nothing_is_dead(self):
        assert self._rows("SELECT topic, last_error FROM outbox WHERE state = 'dead'") == []

    def nobody_is_told_twice(self):
        keys = [
            (kind, address, str(payload.get("id")))
            for kind, address, payload in self._rows("SELECT kind, address, payload FROM message")
        ]
        assert len(keys) == len(set(keys))

    def teardown(self):
        """The provider is back: within a poll period, what was paid there is recorded here."""
        if not hasattr(self, "paid_at_bank"):
            return
        self.portal.bank.down = None
        owed = {reference for reference in self.paid_at_bank if self._watched(reference)}
        for _round in range(3):
            self.portal.clock.pass_time(hours=7)
            self.work(0)
        settled = self._rows(
            "SELECT provider_reference FROM payment WHERE state IN ('settled', 'reversed')"
        )
        assert owed <= {reference for (reference,) in settled}
        self.the_invariants_hold()
        event(f"settled: {min(len(self.settled), 5)}")
        event(f"reversed: {min(len(self.reversed), 3)}")
        event(f"undone: {min(len(self.undone), 3)}")
        event(f"credits: {bool(self._rows('SELECT id FROM credit WHERE invoice_id IS NULL'))}")
        freed = self._rows("SELECT id FROM credit WHERE invoice_id IS NOT NULL")
        event(f"given back by invoices: {bool(freed)}")
        event(f"messages: {min(len(self.sent), 5)}")

    # --- Pieces ------------------------------------------------------------------------------

    def _rows(self, statement, **values):
        if self.reader is not None:
            return [tuple(row) for row in self.reader.execute(text(statement), values)]
        with self.portal.town() as town:
            return [tuple(row) for row in town.session.execute(text(statement), values)]

    def _payments(self, where):
        return [
            number for (number,) in self._rows(f"SELECT id FROM payment WHERE {where} ORDER BY id")
        ]

    def _invoice(self, number):
        with self.portal.town() as town:
            found = town.invoices.by_number(number)
        return found[0] if found else None

    def _references(self):
        """Of the payments that parents were sent to: what the bank calls otherwise, nobody saw."""
        rows = self._rows("SELECT provider_reference FROM payment WHERE provider_reference <> ''")
        return sorted(reference for (reference,) in rows)

    def _watched(self, reference):
        """Whether its poll is still going on: the window after which the provider answers no more."""
        rows = self._rows(
            "SELECT o.state FROM outbox o JOIN payment p ON o.dedupe_key = p.id::text"
            " WHERE o.topic = 'payment.poll' AND p.provider_reference = :r",
            r=reference,
        )
        return bool(rows) and rows[0][0] in {"ready", "running"}


TestWalk = Walk.TestCase
TestWalk.settings = settings(
    max_examples=int(os.environ.get("PREAU_TEST_WALKS", "30")),
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
