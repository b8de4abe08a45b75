"""Questions after a payment under way: none waits long after an outage, whatever failed in it."""

from __future__ import annotations

import os
import signal
import time
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from core.api.errors import RetryableError
from core.api.payments import Attempt
from core.domain.polling import WATCHED_FOR, poll_interval, retry_interval
from core.testing.portal import record

HALF_AN_HOUR = 1800


@pytest.fixture
def started(portal):
    """Starts a payment of one invoice; its id."""

    def start(number: str) -> int:
        portal.publish(record(number))
        with portal.town() as town:
            invoice = town.invoices.by_number(number)[0]
            payment = town.attempts.create(
                invoice.family_id, [invoice.id], email="a@exemple.fr", language="fr", key=number
            )
        with portal.town() as town:
            town.attempts.start(payment)
        return payment

    return start


def next_question(portal, payment: int) -> float:
    """Seconds until the poller asks after a payment again."""
    with portal.town() as town:
        available = town.session.execute(
            text("SELECT available_at FROM outbox WHERE topic = 'payment.poll' AND dedupe_key = :key"),
            {"key": str(payment)},
        ).scalar_one()
        return (available - town.clock.now()).total_seconds()


def state(portal, payment: int) -> str:
    with portal.town() as town:
        return str(town.payments.row(payment).state)


def asked_often(portal) -> None:
    """A payment's first quarter of an hour, in which it is asked after a dozen times."""
    for _minute in range(15):
        portal.clock.pass_time(minutes=1)
        portal.work(rounds=1)


@pytest.mark.parametrize(
    "trouble",
    [
        OperationalError("SELECT 1", {}, Exception("server closed the connection unexpectedly")),
        RuntimeError("an answer that nobody thought of"),
        RetryableError("HTTP 502"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_question_that_failed_comes_again_within_minutes(portal, started, trouble):
    payment = started("1")
    asked_often(portal)
    portal.bank.down = trouble
    portal.clock.pass_time(minutes=8)
    portal.work(rounds=1)
    assert 0 < next_question(portal, payment) <= 5 * 60
    portal.bank.down = None
    portal.bank.pay(portal.bank.last, portal.clock)
    portal.clock.pass_time(minutes=5)
    portal.work(rounds=1)
    assert state(portal, payment) == "settled"


def test_a_question_that_hung_comes_again_within_minutes(portal, started, monkeypatch):
    """What ends a question that hangs is a signal, not an error."""
    payment = started("1")
    asked_often(portal)

    def hang(_provider, _attempt: Attempt):
        os.kill(os.getpid(), signal.SIGALRM)
        time.sleep(1)

    monkeypatch.setattr("core.payments.attempts.Attempts.poll", hang)
    portal.clock.pass_time(minutes=8)
    portal.work(rounds=1)
    assert 0 < next_question(portal, payment) <= 5 * 60


def test_the_pause_of_a_provider_ends_when_another_question_is_answered(portal, started):
    """The pause that a provider asks for is heard, until it shows that it is back."""
    paused, other = started("1"), started("2")
    asked_often(portal)
    portal.bank.down = RetryableError("HTTP 502", timedelta(seconds=HALF_AN_HOUR))
    portal.clock.pass_time(minutes=8)
    portal.work(rounds=1)
    assert next_question(portal, paused) > HALF_AN_HOUR * 0.8
    assert next_question(portal, other) > HALF_AN_HOUR * 0.8
    portal.bank.down = None
    for reference in portal.bank.intents:
        portal.bank.pay(reference, portal.clock)
    newcomer = started("3")
    portal.clock.pass_time(minutes=1)
    portal.work(rounds=1)
    assert next_question(portal, newcomer) > 0
    assert 0 <= next_question(portal, paused) <= 60
    portal.clock.pass_time(minutes=1)
    portal.work()
    assert [state(portal, payment) for payment in (paused, other)] == ["settled", "settled"]


def test_questions_that_were_answered_are_not_failures(portal, started):
    """A row that comes back because a payment is still under way was not tried in vain."""
    started("1")
    asked_often(portal)
    (row,) = [row for row in portal.outbox() if row.topic == "payment.poll"]
    assert (row.state, row.attempts, row.last_error) == ("ready", 0, "")


@given(st.timedeltas(timedelta(), timedelta(days=100)))
def test_a_retry_is_never_later_than_the_regular_question(age):
    assert timedelta(minutes=1) <= retry_interval(age) <= poll_interval(age)
    if age < timedelta(hours=26):
        assert retry_interval(age) <= timedelta(minutes=5)
    if age < WATCHED_FOR:
        assert retry_interval(age) <= timedelta(hours=1)
