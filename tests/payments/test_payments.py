"""Payments: one attempt at a time, settled once, whatever is lost, doubled or late."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import psycopg
import pytest
from sqlalchemy import text

from core.api.errors import PayerField, PermanentError, RetryableError, StartRefusedError
from core.api.payments import Anomaly, Failed, FailureKind, Pending
from core.domain.start_refusals import RefusalKind
from core.payments import attempts, watching
from core.platform import i18n
from core.platform.db.session import libpq_arguments
from core.platform.errors import (
    EarlierAttemptError,
    NotFoundError,
    NotPayableError,
    PaymentUnderWayError,
)
from core.platform.outbox.service import CHANNEL
from core.testing.fakes import FakeProvider
from core.testing.portal import record
from core.testing.waiting import PATIENCE_SECONDS


@pytest.fixture
def invoices(portal):
    portal.publish(
        record("1"),
        record("2", amount=1000),
        record("3", regie="GARDERIE"),
        record("4", regie="CRECHE"),
        record("5", family="F002"),
    )
    with portal.town() as town:
        return {number: town.invoices.by_number(number)[0] for number in "12345"}


def create(portal, invoices, *numbers, key="k1", told=()):
    with portal.town() as town:
        return town.attempts.create(
            invoices[numbers[0]].family_id, [invoices[n].id for n in numbers],
            email="parent@exemple.fr", language="fr", key=key, told=told,
        )  # fmt: skip


def go(portal, payment):
    with portal.town() as town:
        return town.attempts.start(payment)


def ask(portal, payment):
    with portal.town() as town:
        return town.attempts.poll(payment)


def state(portal, payment):
    with portal.town() as town:
        return town.payments.row(payment).state


def test_a_payment_that_began_and_one_that_is_announced_wake_the_relay(portal, invoices):
    """Their effects are part of a larger statement, and must be heard of all the same."""
    payment = create(portal, invoices, "1")
    with psycopg.connect(**libpq_arguments(portal.runtime.settings.relay_url), autocommit=True) as relay:
        relay.execute(f"LISTEN {CHANNEL}")
        heard = relay.notifies(timeout=30, stop_after=1)
        go(portal, payment)
        assert [one.channel for one in heard] == [CHANNEL]
        heard = relay.notifies(timeout=30, stop_after=1)
        with portal.town() as town:
            assert town.payments.ask_again("fakepay", portal.bank.last)
        assert [one.channel for one in heard] == [CHANNEL]
    with portal.town() as town:
        assert not town.payments.ask_again("fakepay", "unknown")
        rows = town.session.execute(
            text("SELECT topic, dedupe_key, payload, state, attempts FROM outbox ORDER BY topic DESC")
        ).all()
    (poll, poll_key, *polled), (asked, ask_key, *asks) = (
        row for row in rows if row.topic.startswith("payment.")
    )
    assert (poll, poll_key, asked) == (watching.POLL, str(payment), watching.ASK)
    assert ask_key.startswith(f"{payment}/")
    assert polled == asks == [{"payment_id": payment}, "ready", 0]


def balance(portal, number):
    with portal.town() as town:
        return town.invoices.by_number(number)[0].balance


def settled_once(portal, payment):
    with portal.town() as town:
        events = town.session.execute(
            text("SELECT count(*) FROM outbox WHERE topic = 'notify' AND dedupe_key = :key"),
            {"key": f"settled-{payment}"},
        ).scalar_one()
        return events == 1 and town.payments.row(payment).receipt_number != ""


def test_a_payment_of_two_invoices_settles_both(portal, invoices):
    payment = create(portal, invoices, "1", "2")
    assert go(portal, payment) == f"https://bank.invalid/{portal.bank.last}"
    assert ask(portal, payment) == "pending"
    portal.bank.pay(portal.bank.last, portal.clock)
    assert ask(portal, payment) == "settled"
    assert (balance(portal, "1"), balance(portal, "2")) == (0, 0)
    assert settled_once(portal, payment)


def test_the_same_form_twice_is_one_payment(portal, invoices):
    assert create(portal, invoices, "1") == create(portal, invoices, "1")


def test_two_clicks_lead_to_one_attempt(portal, invoices):
    payment = create(portal, invoices, "1")
    assert go(portal, payment) == go(portal, payment)
    assert len(portal.bank.intents) == 1


def test_clicks_that_come_while_one_announces_announce_nothing(portal, invoices, monkeypatch):
    """They wait for the one, and else show the payment's page, which follows it."""
    monkeypatch.setattr(attempts, "START_WAIT_SECONDS", 0.2)
    payment = create(portal, invoices, "1")
    others = []
    with portal.town() as slow:
        provider = slow.providers["fakepay"]
        start = provider.start

        def overtaken(intent):
            others.extend(go(portal, payment) for _click in range(9))
            return start(intent)

        monkeypatch.setattr(provider, "start", overtaken)
        first = slow.attempts.start(payment)
    assert first == f"https://bank.invalid/{portal.bank.last}"
    assert others == [f"http://localhost/valmont/paiements/{payment}"] * 9
    assert go(portal, payment) == first
    assert len(portal.bank.intents) == 1


def test_ten_clicks_at_once_make_one_creation(portal, invoices, monkeypatch):
    """All ten lead to the provider's page, the sooner the better."""
    payment = create(portal, invoices, "1")
    start = FakeProvider.start

    def slow_start(self, intent):
        time.sleep(0.5)
        return start(self, intent)

    monkeypatch.setattr(attempts, "START_WAIT_SECONDS", PATIENCE_SECONDS)
    monkeypatch.setattr(FakeProvider, "start", slow_start)
    with ThreadPoolExecutor(10) as clicks:
        urls = list(clicks.map(lambda _click: go(portal, payment), range(10)))
    assert urls == [f"https://bank.invalid/{portal.bank.last}"] * 10
    assert len(portal.bank.intents) == 1


def test_a_click_whose_process_died_holds_the_others_for_a_minute_only(portal, invoices, monkeypatch):
    monkeypatch.setattr(attempts, "START_WAIT_SECONDS", 0.1)
    payment = create(portal, invoices, "1")
    with portal.town() as town:  # What it had committed.
        town.session.execute(
            text("UPDATE payment SET starting_at = :now"), {"now": portal.clock.now()}
        )
    assert go(portal, payment).endswith(f"/paiements/{payment}")
    portal.clock.pass_time(seconds=61)
    assert go(portal, payment) == f"https://bank.invalid/{portal.bank.last}"


def test_an_attempt_under_way_keeps_others_off(portal, invoices):
    payment = create(portal, invoices, "1")
    go(portal, payment)
    with pytest.raises(PaymentUnderWayError) as refusal:
        create(portal, invoices, "1", key="k2")
    assert refusal.value.payment_id == payment


def test_an_attempt_that_never_left_makes_way(portal, invoices):
    first = create(portal, invoices, "1")
    second = create(portal, invoices, "1", key="k2")
    assert state(portal, first) == "cancelled"
    assert go(portal, second)


@pytest.mark.parametrize(
    ("numbers", "error"),
    [(["1", "3"], NotPayableError), (["3"], NotPayableError), (["1", "5"], NotFoundError)],
    ids=["two régies", "not online", "another family's"],
)
def test_what_cannot_be_paid_together_is_refused(portal, invoices, numbers, error):
    with pytest.raises(error):
        create(portal, invoices, *numbers)


def test_an_invoice_whose_reference_the_provider_refuses_is_not_offered_to_it(portal, invoices):
    portal.bank.reference_pattern = "[A-Z]{6}"
    portal.runtime.answers.forget()
    with pytest.raises(NotPayableError) as refusal:
        create(portal, invoices, "1")
    assert "La facture 1 " in str(refusal.value)
    assert portal.bank.intents == {}


def test_the_provider_being_away_leaves_the_payment_as_it_was(portal, invoices):
    payment = create(portal, invoices, "1")
    portal.bank.down = RetryableError("away")
    with portal.town() as town, pytest.raises(RetryableError):
        town.attempts.start(payment)
    assert state(portal, payment) == "created"
    portal.bank.down = None
    assert go(portal, payment)


REFUSALS = {
    "payer": StartRefusedError(RefusalKind.PAYER, "mel", payer_field=PayerField.EMAIL),
    "invoice": StartRefusedError(RefusalKind.INVOICE, "refdet : N°2026/12"),
    "settings": StartRefusedError(RefusalKind.SETTINGS, "T2 numcli inconnu"),
    "unknown": PermanentError("X9"),
}


def refused(portal, invoices, refusal, *numbers, key="k1"):
    payment = create(portal, invoices, *numbers, key=key)
    portal.bank.down = refusal
    with portal.town() as town, pytest.raises(StartRefusedError) as caught:
        town.attempts.start(payment)
    portal.bank.down = None
    return payment, caught.value


@pytest.mark.parametrize("kind", REFUSALS)
def test_a_refusal_at_start_says_whose_doing_it_is(portal, invoices, kind):
    payment, error = refused(portal, invoices, REFUSALS[kind], "1")
    assert error.kind == kind
    with portal.town() as town:
        row = town.payments.row(payment)
        assert (row.state, row.start_refusal) == ("refused", kind)
        assert bool(row.anomaly) == (kind != "payer")
        waiting = town.figures.waiting()
        assert waiting.anomalies == 0
        found = [(one.regie, one.kind, one.reason, one.count) for one in waiting.refused_starts]
        assert found == ([] if kind == "payer" else [("CANTINE", kind, error.reason, 1)])
    assert create(portal, invoices, "1", key="k2") != payment


def test_what_a_provider_says_is_kept_in_the_regies_language(portal, invoices, monkeypatch):
    """Whoever asks: an English parent, a notification, the poller."""
    def refuse(_self, _intent):
        raise StartRefusedError(
            RefusalKind.PAYER, i18n.current_locale(), payer_field=PayerField.EMAIL,
            message=i18n.current_locale,
        )  # fmt: skip

    payment = create(portal, invoices, "1")
    monkeypatch.setattr(FakeProvider, "start", refuse)
    with i18n.use("en"), portal.town() as town:
        with pytest.raises(StartRefusedError) as caught:
            town.attempts.start(payment)
        assert (caught.value.reason, caught.value.message) == ("fr", "en")
    monkeypatch.undo()
    payment = create(portal, invoices, "1", key="k2")
    go(portal, payment)

    def strange(_self, _attempt):
        return Anomaly(f"asked in {i18n.current_locale()}")

    monkeypatch.setattr(FakeProvider, "outcome", strange)
    with i18n.use("en"), portal.town() as town:
        town.attempts.poll(payment)
        assert town.payments.row(payment).anomaly == "asked in fr"


@pytest.mark.parametrize(
    ("kind", "paid", "left"),
    [
        ("settings", "2", 0),  # of the same régie: its settings are right again
        ("invoice", "2", 1),
        ("invoice", "1", 0),
        ("unknown", "2", 1),
        ("unknown", "1", 0),
    ],
)
def test_a_payment_that_opens_resolves_what_it_disproves(portal, invoices, kind, paid, left):
    for key in "abc":
        refused(portal, invoices, REFUSALS[kind], "1", key=key)
    with portal.town() as town:
        assert [one.count for one in town.figures.waiting().refused_starts] == [3]
    go(portal, create(portal, invoices, paid, key="d"))
    with portal.town() as town:
        assert len(town.figures.waiting().refused_starts) == left


def test_one_look_dismisses_all_refusals_of_one_cause(portal, invoices):
    first, _error = refused(portal, invoices, REFUSALS["settings"], "1")
    refused(portal, invoices, REFUSALS["settings"], "2", key="k2")
    other, _error = refused(portal, invoices, REFUSALS["unknown"], "5", key="k3")
    with portal.town() as town:
        town.payments.dismiss_anomaly(first, reason="vu")
    with portal.town() as town:
        assert [one.payment_id for one in town.figures.waiting().refused_starts] == [other]


def test_asked_ten_times_it_is_recorded_once(portal, invoices):
    payment = create(portal, invoices, "1")
    go(portal, payment)
    portal.bank.pay(portal.bank.last, portal.clock)
    for _ in range(10):
        ask(portal, payment)
    assert settled_once(portal, payment)
    with portal.town() as town:
        assert town.session.execute(text("SELECT count(*) FROM allocation")).scalar_one() == 1
        assert town.session.execute(text("SELECT count(*) FROM payment_answer")).scalar_one() == 1


@pytest.mark.parametrize("kind", list(FailureKind))
def test_a_late_paid_wins_over_a_failure(portal, invoices, kind):
    payment = create(portal, invoices, "1")
    go(portal, payment)
    reference = portal.bank.last
    portal.bank.outcomes[reference] = Failed(kind)
    assert ask(portal, payment) == kind
    portal.bank.pay(reference, portal.clock)
    assert ask(portal, payment) == "settled"
    assert balance(portal, "1") == 0


def test_a_failure_never_takes_a_settled_payment_back(portal, invoices):
    payment = create(portal, invoices, "1")
    go(portal, payment)
    portal.bank.pay(portal.bank.last, portal.clock)
    ask(portal, payment)
    portal.bank.outcomes[portal.bank.last] = Failed(FailureKind.REFUSED)
    assert ask(portal, payment) == "settled"


def test_another_amount_is_an_anomaly_and_settles_nothing(portal, invoices):
    payment = create(portal, invoices, "1")
    go(portal, payment)
    portal.bank.pay(portal.bank.last, portal.clock, amount=1)
    assert ask(portal, payment) == "pending"
    with portal.town() as town:
        assert "56,87" in town.payments.row(payment).anomaly
    portal.bank.outcomes[portal.bank.last] = Anomaly("numcli differs")
    ask(portal, payment)
    with portal.town() as town:
        assert town.payments.row(payment).anomaly == "numcli differs"


DOUBTS = {
    "anomaly": Anomaly("numcli differs"),
    "unknown": Pending(resumable=False, detail="resultrans W", watched=True),
}
CLEAN = {
    "pending": Pending(resumable=False),
    "refused try": Pending(resumable=False, detail="refused"),
    **{str(kind): Failed(kind) for kind in FailureKind},
}


def doubtful(portal, invoices, outcome, number="1"):
    payment = create(portal, invoices, number, key=f"doubt {number}")
    go(portal, payment)
    portal.bank.outcomes[portal.bank.last] = outcome
    ask(portal, payment)
    return payment


@pytest.mark.parametrize("doubt", DOUBTS)
def test_what_may_be_paid_is_not_paid_again_however_long_it_stands(portal, invoices, doubt):
    payment = doubtful(portal, invoices, DOUBTS[doubt])
    for _wait in range(4):
        portal.clock.pass_time(hours=40)
        with portal.town() as town:
            assert town.invoices.by_number("1")[0].under_way == payment
            with pytest.raises(PaymentUnderWayError):
                town.attempts.give_up(payment)
        with pytest.raises(PaymentUnderWayError):
            create(portal, invoices, "1", key="again")
        with portal.town() as town:
            assert town.figures.waiting().anomalies == 1
            assert town.attempts.start(payment).endswith(f"/paiements/{payment}"), "no dead page"


@pytest.mark.parametrize("doubt", DOUBTS)
@pytest.mark.parametrize("clean", CLEAN)
def test_any_clean_answer_ends_a_doubt(portal, invoices, doubt, clean):
    payment = doubtful(portal, invoices, DOUBTS[doubt])
    portal.bank.outcomes[portal.bank.last] = CLEAN[clean]
    portal.clock.pass_time(minutes=16)
    ask(portal, payment)
    with portal.town() as town:
        assert town.figures.waiting().anomalies == 0
        assert not town.payments.row(payment).may_be_paid
        town.attempts.give_up(payment)
    assert create(portal, invoices, "1", key="again") != payment


def test_a_late_paid_ends_a_doubt_by_settling(portal, invoices):
    payment = doubtful(portal, invoices, DOUBTS["unknown"])
    portal.bank.pay(portal.bank.last, portal.clock)
    portal.clock.pass_time(days=20)
    portal.work()
    assert state(portal, payment) == "settled", "asked for as long as it stands"
    with portal.town() as town:
        assert town.figures.waiting().anomalies == 0


def test_a_doubt_about_an_attempt_that_was_over_holds_its_invoices_too(portal, invoices):
    payment = create(portal, invoices, "1")
    go(portal, payment)
    reference = portal.bank.last
    portal.bank.outcomes[reference] = Failed(FailureKind.REFUSED)
    ask(portal, payment)
    portal.bank.outcomes[reference] = DOUBTS["anomaly"]
    ask(portal, payment)
    with pytest.raises(PaymentUnderWayError):
        create(portal, invoices, "1", key="again")


def test_a_doubt_about_an_earlier_attempt_stops_the_later_one_before_it_leaves(portal, invoices):
    first = create(portal, invoices, "1")
    go(portal, first)
    old = portal.bank.last
    portal.clock.pass_time(minutes=16)
    with portal.town() as town:
        town.attempts.give_up(first)
    second = create(portal, invoices, "1", key="again")
    portal.bank.outcomes[old] = DOUBTS["anomaly"]
    ask(portal, first)
    with portal.town() as town, pytest.raises(PaymentUnderWayError) as refusal:
        town.attempts.start(second)
    assert refusal.value.payment_id == first
    assert state(portal, second) == "cancelled"


def test_an_anomaly_that_says_nothing_was_paid_holds_nothing(portal, invoices):
    payment = doubtful(portal, invoices, Anomaly("another reference, refused", may_be_paid=False))
    with portal.town() as town:
        assert town.figures.waiting().anomalies == 1
    with pytest.raises(EarlierAttemptError):
        create(portal, invoices, "1", key="again")
    assert create(portal, invoices, "1", key="again", told=[payment])


def test_what_a_person_dismissed_stays_dismissed_when_it_is_answered_again(portal, invoices):
    payment = doubtful(portal, invoices, DOUBTS["anomaly"])
    with portal.town() as town:
        town.payments.dismiss_anomaly(payment, reason="aucun crédit au compte")
    portal.clock.pass_time(hours=7)
    portal.work()
    assert len(portal.bank.questions) > 1
    with portal.town() as town:
        assert town.figures.waiting().anomalies == 0
        assert town.invoices.by_number("1")[0].under_way is None
    create(portal, invoices, "1", key="again")
    portal.bank.outcomes[next(iter(portal.bank.intents))] = Anomaly("another reason")
    ask(portal, payment)
    with portal.town() as town:
        assert town.figures.waiting().anomalies == 1, "news are looked at again"


@pytest.mark.parametrize("detail", ["refused", "cancelled"])
def test_a_try_that_failed_frees_its_invoices_at_once_and_is_told(portal, invoices, detail):
    first = create(portal, invoices, "1")
    go(portal, first)
    old = portal.bank.last
    portal.bank.outcomes[old] = Pending(resumable=False, detail=detail)
    assert ask(portal, first) == "pending"
    with portal.town() as town:
        assert town.invoices.by_number("1")[0].under_way is None
        assert [one.id for one in town.attempts.earlier([invoices["1"].id])] == [first]
    with pytest.raises(EarlierAttemptError) as refusal:
        create(portal, invoices, "1", "2", key="k2")
    assert refusal.value.payment_ids == (first,)
    second = create(portal, invoices, "1", "2", key="k2", told=[first])
    go(portal, second)
    portal.bank.pay(old, portal.clock)
    portal.bank.pay(portal.bank.last, portal.clock)
    portal.clock.pass_time(minutes=2)
    portal.work()
    assert {state(portal, first), state(portal, second)} == {"settled"}
    with portal.town() as town:
        assert town.payments.excess(first) + town.payments.excess(second) == 5687


def test_who_goes_back_to_a_page_that_takes_a_second_card_holds_the_invoices_again(portal, invoices):
    first = create(portal, invoices, "1")
    url = go(portal, first)
    portal.bank.outcomes[portal.bank.last] = Pending(resumable=True, resume_url=url, detail="refused")
    ask(portal, first)
    assert go(portal, first) == url
    with portal.town() as town:
        assert town.invoices.by_number("1")[0].under_way == first


def test_nobody_goes_back_to_a_page_beside_another_attempt(portal, invoices):
    first = create(portal, invoices, "1")
    url = go(portal, first)
    portal.bank.outcomes[portal.bank.last] = Pending(resumable=True, resume_url=url, detail="cancelled")
    ask(portal, first)
    second = create(portal, invoices, "1", key="k2", told=[first])
    go(portal, second)
    assert go(portal, first).endswith(f"/paiements/{first}")


def test_paid_twice_keeps_every_cent(portal, invoices):
    """Given up, started again, and both are paid after all: the excess is the family's credit."""
    first = create(portal, invoices, "1")
    go(portal, first)
    old = portal.bank.last
    with portal.town() as town, pytest.raises(PaymentUnderWayError):
        town.attempts.give_up(first)
    portal.clock.pass_time(minutes=16)
    with portal.town() as town:
        town.attempts.give_up(first)
    second = create(portal, invoices, "1", key="k2")
    go(portal, second)
    portal.bank.pay(portal.bank.last, portal.clock)
    assert ask(portal, second) == "settled"
    portal.bank.pay(old, portal.clock)
    assert ask(portal, first) == "settled"
    with portal.town() as town:
        assert town.payments.excess(first) == 5687
        assert town.payments.excess(second) == 0
        assert balance(portal, "1") == 0


def test_notifications_are_bounded_and_none_is_missed(portal, invoices):
    payment = create(portal, invoices, "1")
    go(portal, payment)
    portal.work()
    reference = portal.bank.last
    portal.bank.questions.clear()
    for _ in range(50):
        with portal.town() as town:
            assert town.payments.ask_again("fakepay", reference)
    portal.work()
    assert portal.bank.questions == []  # Not before the second is over.
    portal.bank.pay(reference, portal.clock)
    portal.clock.pass_time(seconds=2)
    portal.work()
    assert portal.bank.questions == [reference]
    assert state(portal, payment) == "settled"


@pytest.mark.parametrize("reference", ["", "unknown", "ref-1' OR 1=1"])
def test_a_forged_notification_asks_nothing(portal, invoices, reference):
    with portal.town() as town:
        assert not town.payments.ask_again("fakepay", reference)


def test_without_any_notification_the_poller_finds_out(portal, invoices):
    payment = create(portal, invoices, "1")
    go(portal, payment)
    for _ in range(5):
        portal.clock.pass_time(seconds=61)
        portal.work()
    asked = len(portal.bank.questions)
    assert 3 <= asked <= 6
    portal.bank.pay(portal.bank.last, portal.clock)
    portal.clock.pass_time(minutes=10)
    portal.work()
    assert state(portal, payment) == "settled"
    portal.clock.pass_time(days=2)
    portal.work()
    asked = len(portal.bank.questions)
    portal.clock.pass_time(days=2)
    portal.work()
    assert len(portal.bank.questions) == asked  # Settled: asked no more.


def test_polls_of_an_outage_neither_hurry_nor_come_back_as_one(portal, invoices):
    """A circuit breaker tells all of them the same few seconds."""
    for number in ("1", "2"):
        go(portal, create(portal, invoices, number, key=number))
    portal.bank.down = RetryableError("not asked", timedelta(seconds=15))
    portal.clock.pass_time(seconds=61)
    portal.work()
    with portal.town() as town:
        rows = town.session.execute(
            text("SELECT available_at FROM outbox WHERE topic = 'payment.poll'")
        ).scalars()
        waits = [due - portal.clock.now() for due in rows]
    assert len(set(waits)) == 2
    assert all(timedelta(seconds=54) <= wait <= timedelta(seconds=60) for wait in waits)


def test_an_outage_of_the_provider_loses_nothing(portal, invoices):
    payment = create(portal, invoices, "1")
    go(portal, payment)
    portal.bank.pay(portal.bank.last, portal.clock)
    portal.bank.down = RetryableError("away", timedelta(minutes=30))
    for _ in range(6):
        portal.clock.pass_time(minutes=31)
        portal.work()
    assert state(portal, payment) == "pending"
    portal.bank.down = None
    portal.clock.pass_time(minutes=31)
    portal.work()
    assert state(portal, payment) == "settled"


def test_a_refusal_is_watched_until_the_next_morning(portal, invoices):
    payment = create(portal, invoices, "1")
    go(portal, payment)
    reference = portal.bank.last
    portal.bank.outcomes[reference] = Failed(FailureKind.REFUSED)
    portal.clock.pass_time(minutes=2)
    portal.work()
    assert state(portal, payment) == "refused"
    portal.bank.pay(reference, portal.clock)
    portal.clock.pass_time(hours=20)
    portal.work()
    assert state(portal, payment) == "settled"


def record_cheque(portal, invoice, amount, *, key="cheque/1", shares=None, regie=None):
    with portal.town() as town:
        return town.payments.record(
            regie=regie or invoice.regie, family_id=invoice.family_id, means="cheque",
            amount=amount, paid_at=portal.clock.now(), payer="Mme DURAND",
            shares=[(invoice.id, amount)] if shares is None else shares, key=key,
        )  # fmt: skip


def test_a_recorded_cheque_settles_once(portal, invoices):
    first = record_cheque(portal, invoices["1"], 5687)
    assert record_cheque(portal, invoices["1"], 5687) == first
    assert balance(portal, "1") == 0
    with portal.town() as town:
        (line,) = town.paid_invoices.of(invoices["1"].family_id)
        assert (line.payer, line.means, line.paid) == ("Mme DURAND", "cheque", 5687)


def test_a_cheque_for_an_invoice_paid_online_becomes_a_credit(portal, invoices):
    payment = create(portal, invoices, "1")
    go(portal, payment)
    portal.bank.pay(portal.bank.last, portal.clock)
    ask(portal, payment)
    assert record_cheque(portal, invoices["1"], 5687).excess == 5687


def test_the_tresoreries_invoices_are_not_booked_by_hand(portal, invoices):
    with pytest.raises(NotPayableError):
        record_cheque(portal, invoices["4"], 5687)
    payment = create(portal, invoices, "4")  # But they are paid online.
    go(portal, payment)
    portal.bank.pay(portal.bank.last, portal.clock)
    assert ask(portal, payment) == "settled"


def test_a_share_of_another_regie_is_refused(portal, invoices):
    with pytest.raises(NotPayableError):
        record_cheque(portal, invoices["1"], 5687, shares=[(invoices["3"].id, 5687)])


def test_a_bounced_cheque_makes_the_invoice_due_again(portal, invoices):
    recorded = record_cheque(portal, invoices["1"], 5687)
    for _ in range(2):
        with portal.town() as town:
            town.payments.reverse(recorded.payment_id, reason="sans provision")
    assert balance(portal, "1") == 5687
    with portal.town() as town:
        assert town.payments.get(recorded.payment_id) is None
        assert town.payments.receipt(recorded.payment_id) is not None


def test_receipt_numbers_have_no_gaps(portal, invoices):
    record_cheque(portal, invoices["1"], 5687, key="a")
    with portal.town() as town:
        town.payments.record(
            regie="CANTINE", family_id=invoices["2"].family_id, means="cash", amount=1000,
            paid_at=portal.clock.now(), payer="x", shares=[(invoices["2"].id, 1000)], key="b",
        )  # fmt: skip
        town.session.rollback()  # The power fails.
    record_cheque(portal, invoices["2"], 1000, key="c")
    with portal.town() as town:
        numbers = list(
            town.session.scalars(text("SELECT receipt_number FROM payment ORDER BY receipt_number"))
        )
    assert numbers == ["CANTINE-2026-000001", "CANTINE-2026-000002"]


def test_a_receipt_stays_as_it_was_first_given(portal, invoices):
    recorded = record_cheque(portal, invoices["1"], 5687)
    with portal.town() as town:
        first = town.payments.receipt(recorded.payment_id)
    with portal.town() as town:
        assert town.payments.receipt(recorded.payment_id).content == first.content


def test_what_a_provider_was_asked_is_found_by_day(portal, invoices):
    payment = create(portal, invoices, "1")
    go(portal, payment)
    create(portal, invoices, "2", key="never left")
    now = portal.clock.now()
    day = timedelta(days=1)
    with portal.town() as town:
        (found,) = town.payments.asked("fakepay", now - day, now + day)
        assert (found.payment_id, found.asked, found.state) == (payment, {"amount": "5687"}, "pending")
        assert town.payments.asked("fakepay", now + day, now + 2 * day) == []
        assert town.payments.asked("other", now - day, now + day) == []
