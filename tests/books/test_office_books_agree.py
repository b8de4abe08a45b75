"""Whatever a régie lived through, its books add up to the same money, and closed months stay as they read.

The history is drawn at random: cheques bounce after their remittance or their list left, remittances are cancelled in a
later month. What it must come to is added up here, by code that knows no SQL.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from trail_clock import trail_day

from core.api.errors import UserError
from core.api.payments import Means
from core.books.period import Period, midnight, next_month
from core.books.statements import labels
from core.platform.clock import today
from core.platform.tabular.writing import Cents
from core.testing.portal import make_portal, record

FIRST = date(2026, 3, 1)
CURRENT = {"impayes", "avoirs"}
"""Statements of what is open now, which a month's end does not freeze."""


@pytest.fixture
def portal(database, redis, tmp_path):
    made = make_portal(database, tmp_path)
    made.publish(*(record(str(number), amount=20000) for number in range(3)))
    yield made
    made.runtime.close()


@dataclass
class Movement:
    """An entry of money: where it is now, and where it was at each moment is told by `taken` and `freed`."""

    payment: int
    means: str
    cents: int
    day: date
    came: bool
    remittance: int | None = None


@dataclass
class Books:
    """A second account of what a régisseur does, in plain numbers."""

    portal: object
    town: object
    movements: list[Movement] = field(default_factory=list)
    payments: list[int] = field(default_factory=list)
    acts: list[tuple[date, int]] = field(default_factory=list)
    """Days and cents of remittances that were made, and (negative) of those that were cancelled."""
    totals: dict[int, int] = field(default_factory=dict)
    told: dict[int, int] = field(default_factory=dict)
    """Cents with which an invoice stands at the trésorerie, while it is there."""
    closed: dict[date, dict[str, object]] = field(default_factory=dict)
    turn: int = 0

    def day(self):
        return today(self.portal.clock.now())

    def invoice(self, at):
        return self.town.billing.get(self.town.invoices.by_number(str(at % 3))[0].id)

    def enter(self, payment, means, cents, *, came):
        self.movements.append(Movement(payment, means, cents, self.day(), came))

    def pay(self, at, means, cents):
        invoice = self.invoice(at)
        share = min(cents, max(invoice.left, 0)) if invoice.state == "published" else 0
        done = self.town.payments.record(
            regie="CANTINE", family_id=invoice.family_id, means=means, amount=cents, paid_at=self.town.clock.now(),
            payer="D", shares=[(invoice.id, share)] if share else [], key=f"k{self.turn}",
        )  # fmt: skip
        self.payments.append(done.payment_id)
        self.enter(done.payment_id, means, cents, came=True)

    def means_of(self, payment):
        return self.town.session.scalar(text("SELECT means FROM payment WHERE id = :id"), {"id": payment})

    def bounce(self, at):
        payment = self.payments[at % len(self.payments)]
        cents = self.town.session.scalar(text("SELECT amount FROM payment WHERE id = :id"), {"id": payment})
        if self.town.payments.row(payment).state != "settled":
            return
        self.town.payments.reverse(payment, reason="Sans provision")
        self.enter(payment, self.means_of(payment), -cents, came=False)

    def correct(self, at, means):
        payment = self.payments[at % len(self.payments)]
        before = self.means_of(payment)
        self.town.accounts.corrections.correct(payment, means, reason="x")
        cents = self.town.session.scalar(text("SELECT amount FROM payment WHERE id = :id"), {"id": payment})
        self.enter(payment, before, -cents, came=True)
        self.enter(payment, means, cents, came=True)

    def refund(self, at, means):
        payment = self.payments[at % len(self.payments)]
        found = self.town.credits.of_payment(payment)
        if found:
            self.town.credits.refund(found[0].id, 50, means=means, note="x", key=f"r{self.turn}")
            self.enter(payment, means, -50, came=False)

    def remit(self, means):
        made = self.town.accounts.remittances.make("CANTINE", means=means)
        taken = [one for one in self.movements if one.remittance is None and (means is None or one.means in means)]
        assert made.total == sum(one.cents for one in taken) > 0
        for one in taken:
            one.remittance = made.id
        self.acts.append((self.day(), made.total))
        self.totals[made.id] = made.total

    def cancel(self, at):
        number = sorted(self.totals)[at % len(self.totals)]
        self.town.accounts.remittances.cancel(number, reason="Erreur")
        for one in self.movements:
            if one.remittance == number:
                one.remittance = None
        self.acts.append((self.day(), -self.totals[number]))

    def leave(self, at):
        self.town.accounts.remittances.leave(sorted(self.totals)[at % len(self.totals)], carrier="La poste")

    def hand_over(self, at):
        invoice = self.invoice(at)
        self.town.billing.hand_over(invoice.id)
        self.told[invoice.id] = invoice.left

    def list(self):
        waiting = [row.Invoice.id for row in self.town.handovers.unlisted("CANTINE")]
        made = self.town.handovers.make("CANTINE", waiting)
        assert made.total == sum(row.HandoverLine.amount for row in self.town.handovers.lines(made.id))
        for invoice_id in waiting:
            self.told[invoice_id] = max(self.town.billing.get(invoice_id).left, 0)

    def lists(self):
        return sorted(one.id for one in self.town.handovers.page("CANTINE").rows)

    def list_leaves(self, at):
        self.town.handovers.leave(self.lists()[at % len(self.lists())])

    def list_back(self, at):
        self.town.handovers.cancel(self.lists()[at % len(self.lists())], reason="x")
        self.forget()

    def recall(self, at):
        self.town.handovers.take_back(self.invoice(at).id, recalled=True)
        self.forget()

    def forget(self):
        """An invoice that is no longer at the trésorerie is told of no more."""
        self.town.session.flush()
        self.told = {
            number: cents for number, cents in self.told.items()
            if self.town.billing.get(number).state == "handed_over"
        }  # fmt: skip

    def wait(self, days):
        self.portal.clock.pass_time(days=days)

    def close(self):
        month = FIRST
        while month in self.closed:
            month = next_month(month)
        period = Period("CANTINE", month)
        self.town.accounts.closings.close(period)
        self.closed[month] = self.frozen(period)

    def frozen(self, period):
        """Every figure of a month's statements, but of those of what is open now."""
        made = {name: self.town.accounts.statements.make(name, period) for name in labels() if name not in CURRENT}
        return {
            name: (
                [[cell for cell in row if isinstance(cell, Cents)] for row in table.rows],
                [cell for cell in table.foot if isinstance(cell, Cents)],
            )
            for name, table in made.items()
        }

    # --- What all of it must come to ---------------------------------------------------------

    def agree(self):
        self.town.session.flush()
        self.till()
        carried = 0
        month = FIRST
        while month <= self.day():
            carried = self.month(month, carried)
            month = next_month(month)
        for closed, before in self.closed.items():
            assert self.frozen(Period("CANTINE", closed)) == before, closed
            assert self.town.accounts.closings.checked(Period("CANTINE", closed)).holds
        self.remittances()
        self.at_the_tresorerie()

    def till(self):
        """In hand: what no remittance in force took; apart, what came back after one took it."""
        left = defaultdict(int)
        for one in self.movements:
            if one.remittance is None:
                left[one.means, one.payment] += one.cents
        held, returned = defaultdict(int), defaultdict(int)
        for (means, _payment), cents in left.items():
            (returned if cents < 0 and means != Means.CASH else held)[means] += cents
        found = {one.means: one for one in self.town.accounts.remittances.in_hand("CANTINE")}
        for means in {*held, *found}:
            assert (found[means].held, found[means].returned) == (held[means], returned[means]), means
            assert means == Means.CASH or found[means].held >= 0
        tomorrow = midnight(date.fromordinal(self.day().toordinal() + 1))
        assert self.town.accounts.remittances.returned("CANTINE", tomorrow) == {m: c for m, c in returned.items() if c}

    def month(self, month, carried):
        period = Period("CANTINE", month)
        mine = [one for one in self.movements if one.day.replace(day=1) == month]
        came = sum(one.cents for one in mine if one.came)
        went = sum(one.cents for one in mine if not one.came)
        remitted = sum(cents for day, cents in self.acts if day.replace(day=1) == month)
        books = self.town.accounts
        made = {name: books.statements.make(name, period) for name in labels()}
        for table in made.values():
            for column, total in enumerate(table.foot):
                if isinstance(total, Cents):
                    assert sum(row[column] or 0 for row in table.rows) == total, table.name
        assert made["journal"].foot[11:13] == (came + went, remitted)
        assert made["moyens"].foot[2:] == (came, went, came + went)
        assert made["versements"].foot[-1] == remitted
        assert made["imputation"].foot[-1] == came + went
        assert made["annulations"].foot[-1] == went
        assert made["arrete"].foot[2:4] == (came, went)
        before, *moved, balance, returned, held = made["caisse"].foot[1:]
        assert (before, moved) == (carried, [came, went, remitted])
        assert balance == carried + came + went - remitted == returned + held
        assert books.entries.chain_holds(period)
        return balance

    def remittances(self):
        books = self.town.accounts.remittances
        for one in books.page("CANTINE").rows:
            assert books.agrees(one)
            parts = books.parts(one)
            assert sum(part.held + part.returned for part in parts) == one.total
            slip = self.town.accounts.papers.slip(one, {})
            assert sum(row[3] for row in slip.rows) == slip.foot[3] == one.total

    def at_the_tresorerie(self):
        """What lists tell and what waits for the next one are what is left; the statement tells of the same."""
        waiting = {row.Invoice.id: row.left for row in self.town.handovers.unlisted("CANTINE")}
        for at in range(3):
            invoice = self.invoice(at)
            rows = self.town.handovers.of_invoice(invoice.id)
            listed = sum(row.HandoverLine.amount for row in rows if not row.HandoverLine.taken_back_at)
            over = invoice.state == "handed_over"
            assert listed + waiting.get(invoice.id, 0) == (max(invoice.left, 0) if over else 0)
        table = self.town.accounts.statements.make("transmis", Period("CANTINE", trail_day(self.town), whole_year=True))
        assert table.foot[-1] == sum(self.told.values())


AT = st.integers(0, 5)
MEANS = st.sampled_from([Means.CASH, Means.CHEQUE, Means.TERMINAL])
ACTS = st.one_of(
    st.tuples(st.just("pay"), AT, MEANS, st.integers(1, 30000)),
    st.tuples(st.just("pay"), AT, st.just(Means.CHEQUE), st.integers(1, 30000)),
    st.tuples(st.just("bounce"), AT),
    st.tuples(st.just("correct"), AT, MEANS),
    st.tuples(st.just("refund"), AT, st.sampled_from([Means.CASH, Means.TRANSFER])),
    st.tuples(st.just("remit"), st.sampled_from([None, [Means.CHEQUE], [Means.CASH, Means.TERMINAL]])),
    st.tuples(st.just("cancel"), AT),
    st.tuples(st.just("leave"), AT),
    st.tuples(st.just("hand_over"), AT),
    st.tuples(st.just("list")),
    st.tuples(st.just("list_leaves"), AT),
    st.tuples(st.just("list_back"), AT),
    st.tuples(st.just("recall"), AT),
    st.tuples(st.just("wait"), st.integers(1, 25)),
    st.tuples(st.just("close")),
)


class _UndoneError(Exception):
    """Takes an example back, so that the next one starts from the same town."""


@given(acts=st.lists(ACTS, min_size=6, max_size=18))
@example([  # A cheque bounces after its remittance and its invoice's list left; the month is closed before a cancellation.
    ("pay", 0, Means.CHEQUE, 5000), ("remit", None), ("leave", 0), ("hand_over", 0), ("list",), ("list_leaves", 0),
    ("bounce", 0), ("pay", 1, Means.CHEQUE, 9000), ("remit", None), ("wait", 25), ("close",), ("cancel", 1), ("list",),
    ("list_back", 1), ("recall", 0), ("pay", 0, Means.CASH, 700), ("hand_over", 0), ("list",),
])  # fmt: skip
@settings(
    max_examples=settings().max_examples // 12, deadline=None, suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)  # fmt: skip
def test_every_book_agrees_and_a_closed_month_reads_the_same_for_ever(portal, acts):
    began = portal.clock.now()
    try:
        with contextlib.suppress(_UndoneError), portal.town() as town:
            play(Books(portal, town), acts)
            raise _UndoneError
    finally:
        portal.clock.pass_time(seconds=(began - portal.clock.now()).total_seconds())


def play(books, acts):
    for books.turn, (name, *values) in enumerate(acts):
        refused = (UserError, IndexError, ZeroDivisionError)  # Nothing of that kind is there yet.
        with contextlib.suppress(refused), books.town.session.begin_nested():
            getattr(books, name)(*values)
        books.town.session.expire_all()
    books.agree()
