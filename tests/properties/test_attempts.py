"""No sequence of answers, clicks and hours lets a parent pay twice without having been told.

The provider answers whatever it may, the parent clicks whatever any page ever showed, agents dismiss.
Whenever an attempt begins, or the parent is sent to the provider's page, the database is asked what
other attempts for the same invoices may still settle.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from datetime import timedelta
from functools import partial

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from redis import Redis
from sqlalchemy import make_url, text

from core.api.errors import RetryableError, StartRefusedError
from core.api.payments import Anomaly, Failed, FailureKind, Pending
from core.domain.attempt_status import (
    Act,
    AttemptFacts,
    LastAnswer,
    Situation,
    standing,
)
from core.domain.payment_states import PaymentState
from core.domain.start_refusals import RefusalKind
from core.messages.models import MessageRow
from core.payments import attempts
from core.payments.standings import for_office, for_parent
from core.platform.errors import (
    EarlierAttemptError,
    NotFoundError,
    NotPayableError,
    PaymentUnderWayError,
)
from core.testing.portal import make_portal, record
from plugins.telegram_bot import screens

NUMBERS = ("1", "2", "3")
EXPECTED = (NotPayableError, PaymentUnderWayError, RetryableError, NotFoundError, StartRefusedError)
URL = "https://bank.invalid/"
PAY = "https://pay.invalid/"
ANSWERS = {
    "open": lambda ref: Pending(resumable=True, resume_url=f"{URL}{ref}"),
    "closed": lambda _ref: Pending(resumable=False),
    "refused": lambda _ref: Pending(resumable=False, detail="refused"),
    "refused, open": lambda ref: Pending(resumable=True, resume_url=f"{URL}{ref}", detail="refused"),
    "cancelled": lambda _ref: Pending(resumable=False, detail="cancelled"),
    "unknown result": lambda _ref: Pending(resumable=False, detail="W", watched=True),
    "anomaly": lambda _ref: Anomaly("differs"),
    "another anomaly": lambda _ref: Anomaly("differs otherwise"),
    "unpaid anomaly": lambda _ref: Anomaly("refused otherwise", may_be_paid=False),
    **{f"failed {kind}": lambda _ref, kind=kind: Failed(kind) for kind in FailureKind},
}


# --- The table -----------------------------------------------------------------------------------

facts = st.builds(
    AttemptFacts,
    state=st.sampled_from(PaymentState),
    last_answer=st.sampled_from(LastAnswer),
    age=st.timedeltas(timedelta(0), timedelta(days=400)),
    start_refusal=st.none() | st.sampled_from(RefusalKind),
    may_be_paid=st.booleans(),
    resumable=st.booleans(),
    dismissed=st.booleans(),
    superseded=st.booleans(),
    promised=st.booleans(),
)


@settings(max_examples=1000)
@given(facts)
def test_the_table_has_words_for_all_and_invites_nobody_to_pay_twice(known):
    found = standing(known)
    assert all((for_parent(found.situation).title, for_office(found.situation).label))
    over = known.state in {PaymentState.SETTLED, PaymentState.REVERSED} or known.start_refusal
    if known.may_be_paid and not over:
        assert found.holds
        assert found.for_the_office
        assert found.acts == (Act.WAIT,)
    if found.holds:
        assert not {Act.RETRY, Act.CHOOSE} & set(found.acts), "it is held: nothing else is offered"
    if Act.RESUME in found.acts and known.state is not PaymentState.CREATED:
        assert known.resumable
        assert not known.superseded
        assert not known.dismissed
    if known.state is PaymentState.SETTLED:
        assert found.situation in {Situation.PAID, Situation.PROMISED}
    if known.start_refusal and not over:
        assert Act.RETRY not in found.acts


@pytest.mark.parametrize("situation", Situation)
def test_only_a_refusal_of_the_bank_speaks_of_a_card(situation):
    said = for_parent(situation)
    if "carte" in said.text:
        assert situation in {Situation.REFUSED, Situation.TRY_REFUSED}


def messages_about(invoices):
    """One row of each kind of message that may list what is to be paid."""
    payload = {"invoice_ids": [one.id for one in invoices], "payment_id": 0, "amount": 1, "reason": "rejet"}
    return [
        MessageRow(
            kind=kind, language="fr", payload=payload, channel="email", address="a@b.fr",
            family_id=invoices[0].family_id,
        )
        for kind in ("invoices_published", "invoice_due", "payment_reversed")
    ]  # fmt: skip


# --- Walks ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module", autouse=True)
def shared(module_database, stock, tmp_path_factory):
    with Redis.from_url(module_database.redis_url) as redis:
        redis.flushall()
    name = make_url(module_database.database_url).database
    Walk.forget_rows = staticmethod(partial(stock.empty, name, but={"tenant"}))
    Walk.portal = make_portal(module_database, tmp_path_factory.mktemp("attempts"))
    waits, attempts.START_WAIT_SECONDS = attempts.START_WAIT_SECONDS, 0.0
    yield
    attempts.START_WAIT_SECONDS = waits
    Walk.portal.runtime.close()


class Walk(RuleBasedStateMachine):
    """A family, three invoices, and a provider that may say anything."""

    portal = None
    forget_rows = None

    @initialize()
    def empty(self):
        self.forget_rows()
        bank = self.portal.bank
        bank.intents.clear()
        bank.outcomes.clear()
        bank.down = None
        self.portal.publish(*(record(number, label=f"CANTINE {number}") for number in NUMBERS))
        with self.portal.town() as town:
            self.invoices = [town.invoices.by_number(number)[0] for number in NUMBERS]
        self.keys = 0
        self.told: dict[int, set[int]] = {}

    # --- The parent --------------------------------------------------------------------------

    @rule(
        picks=st.lists(st.integers(0, 2), min_size=1, max_size=3, unique=True),
        reads=st.booleans(),
        leaves=st.booleans(),
    )
    def pay(self, picks, reads, leaves):
        """From the summary, which tells of earlier attempts; or by a form that was open for long."""
        ids = [self.invoices[pick].id for pick in picks]
        self.keys += 1
        try:
            with self.portal.town() as town:
                told = {one.id for one in town.attempts.earlier(ids)} if reads else set()
                made = town.attempts.create(
                    self.invoices[0].family_id, ids, email="", language="fr",
                    key=str(self.keys), told=told,
                )  # fmt: skip
        except EarlierAttemptError:
            if reads:
                raise  # What the summary tells of is what has to be told.
            return
        except EXPECTED:
            return
        self.told[made] = told
        self._nothing_untold_beside(made)
        if leaves:
            self.go(made)

    @rule(pick=st.integers(0, 30))
    def go_again(self, pick):
        """By any page that was ever shown."""
        payments = self._ids()
        if payments:
            self.go(payments[pick % len(payments)])

    def go(self, payment):
        try:
            with self.portal.town() as town:
                url = town.attempts.start(payment)
        except EXPECTED:
            return
        if url.startswith(URL):
            self._nothing_untold_beside(payment)
            due, amount = self._row(
                "SELECT coalesce(sum(greatest(i.amount - i.paid, 0)), 0), max(p.amount) FROM payment p"
                " JOIN payment_item x ON x.payment_id = p.id JOIN invoice i ON i.id = x.invoice_id"
                " WHERE p.id = :id", payment,
            )  # fmt: skip
            assert due >= amount, "sent to pay what is paid already"

    @rule(pick=st.integers(0, 30))
    def begin_anew(self, pick):
        payments = self._ids()
        if not payments:
            return
        try:
            with self.portal.town() as town:
                town.attempts.give_up(payments[pick % len(payments)])
        except EXPECTED:
            return

    # --- The provider, the office, time ------------------------------------------------------

    @rule(pick=st.integers(0, 30), answer=st.sampled_from([*ANSWERS, "paid", "paid otherwise"]))
    def answer(self, pick, answer):
        rows = self._rows("SELECT id, provider_reference FROM payment WHERE provider_reference <> ''")
        if not rows:
            return
        payment, reference = rows[pick % len(rows)]
        if answer.startswith("paid"):
            amount = None if answer == "paid" else 7
            self.portal.bank.pay(reference, self.portal.clock, amount=amount)
        else:
            self.portal.bank.outcomes[reference] = ANSWERS[answer](reference)
        with suppress(RetryableError), self.portal.town() as town:
            town.attempts.poll(payment)

    @rule(pick=st.integers(0, 30))
    def dismiss(self, pick):
        flagged = [n for (n,) in self._rows("SELECT id FROM payment WHERE anomaly <> '' ORDER BY id")]
        if flagged:
            with self.portal.town() as town:
                town.payments.dismiss_anomaly(flagged[pick % len(flagged)], reason="vu")

    @rule(down=st.sampled_from([None, None, RetryableError("away")]))
    def provider_goes_or_comes(self, down):
        self.portal.bank.down = down

    @rule(minutes=st.sampled_from([1, 16, 60 * 3, 60 * 40]))
    def time_passes(self, minutes):
        self.portal.clock.pass_time(minutes=minutes)

    # --- What always holds -------------------------------------------------------------------

    def _nothing_untold_beside(self, payment):
        others = self._rows(
            "SELECT DISTINCT p.id, p.may_be_paid, p.superseded_at, p.dismissed, p.state"
            " FROM payment_item mine JOIN payment_item x ON x.invoice_id = mine.invoice_id"
            " JOIN payment p ON p.id = x.payment_id"
            " WHERE mine.payment_id = :id AND p.id <> :id AND p.provider_reference <> ''"
            " AND (p.may_be_paid OR p.state = 'pending')", payment,
        )  # fmt: skip
        for other, may_be_paid, superseded_at, dismissed, state in others:
            story = (payment, other, state)
            assert not may_be_paid, story
            assert superseded_at is not None or dismissed or other in self.told.get(payment, ()), story

    @invariant()
    def what_holds_is_shown(self):
        """The list of invoices leads to the payment that holds one, whose words say so."""
        if not hasattr(self, "invoices"):
            return
        with self.portal.town() as town:
            for invoice in town.invoices.several([one.id for one in self.invoices]):
                if invoice.under_way:
                    told = town.payments.attempts([invoice.under_way])[invoice.under_way]
                    assert told.holds, told
            doubtful = self._rows(
                "SELECT x.invoice_id FROM payment p JOIN payment_item x ON x.payment_id = p.id"
                " WHERE p.may_be_paid", None,
            )  # fmt: skip
            held = {one.id for one in town.invoices.several([i for (i,) in doubtful]) if one.under_way}
        assert held == {number for (number,) in doubtful}

    @invariant()
    def no_message_asks_to_pay_what_is_being_paid(self):
        """Mails and the bot tell of it in the same words, and offer no other way to pay it."""
        if not hasattr(self, "invoices"):
            return
        with self.portal.town() as town:
            found = town.invoices.several([one.id for one in self.invoices])
            if not any(one.under_way for one in found):
                return
            told = town.payments.attempts({one.under_way for one in found if one.under_way})
            held = [one for one in found if one.under_way]
            mails = [town.letters.render(row) for row in messages_about(found)]
            shown = screens.invoices(
                town.town, found, {}, today=found[0].due_on, attempts=told, everything=True,
                online=town.payments.online,
                link=lambda basket: PAY + "+".join(str(one.id) for one in basket),
            )  # fmt: skip
            town.session.rollback()
        for one in held:
            about = told[one.under_way]
            for mail in filter(None, mails):
                lines = [text for text in mail.text.splitlines() if text.startswith(f"• {one.label}")]
                assert len(lines) == 1, (mail.kind, mail.text, one)
                line = lines[0]
                assert about.label in line, (mail.kind, line)
                assert "régler" not in line
                assert "échéance" not in line
            buttons = [button for row in shown.rows for button in row]
            offered = [b.url.removeprefix(PAY).split("+") for b in buttons if b.url.startswith(PAY)]
            assert str(one.id) not in {number for basket in offered for number in basket}
            assert f"pay:{one.id}" not in [button.data for button in buttons]
            assert not [b for b in buttons if f"invoice={one.id}" in b.url]
            assert (about.label, about.url) in [(button.label, button.url) for button in buttons]
        due = [one for one in found if one.balance and not one.under_way]
        asked = re.search(r"(\d+) factures? à payer", shown.html)
        assert (int(asked[1]) if asked else 0) == len(due)
        reminder = mails[1]
        assert reminder is None or due or "facture" not in reminder.subject.lower()

    @invariant()
    def one_attempt_holds_an_invoice(self):
        assert self._rows(
            "SELECT invoice_id FROM payment_item WHERE live GROUP BY invoice_id HAVING count(*) > 1"
        ) == []  # fmt: skip
        assert self._rows(
            "SELECT p.id FROM payment p WHERE p.may_be_paid AND (p.anomaly = '' OR p.state = 'settled')"
        ) == []  # fmt: skip

    def _ids(self):
        return [n for (n,) in self._rows("SELECT id FROM payment WHERE provider <> '' ORDER BY id")]

    def _row(self, statement, number):
        return self._rows(statement, number)[0]

    def _rows(self, statement, number=None):
        with self.portal.town() as town:
            values = {} if number is None else {"id": number}
            return [tuple(row) for row in town.session.execute(text(statement), values)]


TestWalk = Walk.TestCase
TestWalk.settings = settings(
    max_examples=int(os.environ.get("PREAU_TEST_WALKS", "30")),
    stateful_step_count=20,
    deadline=None,
    # A step takes long: a story that is not shortened is worth more than ten minutes of shortening.
    phases=[phase for phase in Phase if phase is not Phase.shrink],
    suppress_health_check=list(HealthCheck),
)
