"""What peers get wrong (PAYFIP section 5), one test a row, over real HTTP.

Each names the naive implementation it fails on. What only the ledger can show (one settlement of
many notifications) is core's to test; here: however often PayFiP is asked, it says the same.
"""

from __future__ import annotations

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import pytest
from pyramid.request import Request

from core.plugin import (
    Anomaly,
    Attempt,
    Failed,
    FailureKind,
    PaymentIntent,
    Pending,
    Redirect,
    RetryableError,
    Settled,
)
from plugins.payfip.client import Client
from plugins.payfip.provider import PayFiPProvider
from plugins.payfip.views import notification


def attempt(intent: PaymentIntent, redirect: Redirect) -> Attempt:
    return Attempt(
        payment_id=intent.payment_id,
        regie=intent.regie,
        reference=redirect.reference,
        amount=intent.amount,
        created_at=intent.created_at,
        asked=dict(redirect.asked),
    )


@pytest.fixture
def begun(provider: PayFiPProvider, intent: PaymentIntent) -> Attempt:
    return attempt(intent, provider.start(intent))


@dataclass
class Asks:
    """`ctx.payments`, which only remembers what it was asked."""

    known: set[str]
    asked: list[str] = field(default_factory=list)

    def ask_again(self, provider: str, reference: str) -> bool:
        assert provider == "payfip"
        self.asked.append(reference)
        return reference in self.known


def notify(payments: Asks, **form: str) -> int:
    request = Request.blank("/", POST=form)
    request.ctx = SimpleNamespace(payments=payments)
    return notification(request).status_code


def test_a_notification_is_not_trusted(provider: PayFiPProvider, begun: Attempt) -> None:
    """Naive: settle on the POST, or read the result out of it."""
    payments = Asks({begun.reference})
    assert notify(payments, idOp=begun.reference, resultrans="P", montant="5687") == 200
    assert payments.asked == [begun.reference]
    assert isinstance(provider.outcome(begun), Pending)


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"idOp": ""},
        {"idOp": "../../etc"},
        {"idOp": "x" * 5000},
        {"idOp": "' OR 1=1 --"},
        {"other": "e19a1e58-4f3a-4038-a2e8-f4a43c22ae99"},
    ],
)
def test_a_forged_notification_costs_nothing(form: dict[str, str]) -> None:
    payments = Asks(set())
    assert notify(payments, **form) == 200
    assert payments.asked == []


def test_an_unknown_id_op_is_answered_like_a_known_one() -> None:
    payments = Asks({"11111111-4f3a-4038-a2e8-f4a43c22ae99"})
    for id_op in ("11111111-4f3a-4038-a2e8-f4a43c22ae99", "22222222-4f3a-4038-a2e8-f4a43c22ae99"):
        assert notify(payments, idop=id_op) == 200


@pytest.mark.parametrize("scenario", ["wrong_amount", "wrong_reference"])
def test_the_answer_is_compared(
    scenario: str, payfip, provider: PayFiPProvider, begun: Attempt
) -> None:
    """Naive: settle on `resultrans` alone."""
    payfip.act(begun.reference, "accept", scenario=scenario)
    outcome = provider.outcome(begun)
    assert isinstance(outcome, Anomaly)
    assert outcome.raw["resultrans"] == "P"


def test_another_payments_id_op_settles_nothing(
    payfip, provider: PayFiPProvider, intent: PaymentIntent, begun: Attempt
) -> None:
    """Naive: any paid idOp will do."""
    cheap = provider.start(replace(intent, amount=100))
    payfip.act(cheap.reference, "accept")
    assert isinstance(provider.outcome(replace(begun, reference=cheap.reference)), Anomaly)


def test_two_notifications_at_once_bring_one_answer(
    payfip, provider: PayFiPProvider, begun: Attempt
) -> None:
    """Naive: asking changes something, so that the second one differs."""
    payfip.act(begun.reference, "accept", scenario="double")
    with ThreadPoolExecutor(16) as pool:
        outcomes = list(pool.map(lambda _n: provider.outcome(begun), range(50)))
    assert isinstance(outcomes[0], Settled)
    assert all(one == outcomes[0] for one in outcomes)


def test_a_lost_notification_loses_nothing(
    payfip, portal, provider: PayFiPProvider, begun: Attempt, clock
) -> None:
    """Naive: only the notification settles."""
    payfip.act(begun.reference, "accept", scenario="drop")
    clock.pass_(days=30)
    assert isinstance(provider.outcome(begun), Settled)
    assert portal.heard == []


@pytest.mark.parametrize("first", ["refuse", "cancel"])
def test_a_refusal_that_is_then_accepted(
    first: str, payfip, provider: PayFiPProvider, begun: Attempt
) -> None:
    """Naive: close the payment at the first R or A."""
    payfip.act(begun.reference, first)
    before = provider.outcome(begun)
    assert isinstance(before, Pending)
    # Nobody is led back to a page that may be dead, but what is paid there counts.
    assert not before.resumable
    payfip.act(begun.reference, "accept")
    assert isinstance(provider.outcome(begun), Settled)


def test_amounts_never_are_floats(payfip, provider: PayFiPProvider, intent: PaymentIntent) -> None:
    """Naive: int(euros * 100), which makes 1998 of 19.99 and 56 of 0.57."""
    for cents in (1999, 11_35, 81_99, 10_000_000):
        asked = replace(intent, amount=cents)
        made = attempt(asked, provider.start(asked))
        payfip.act(made.reference, "accept")
        outcome = provider.outcome(made)
        assert isinstance(outcome, Settled)
        assert (outcome.amount, type(outcome.amount)) == (cents, int)


def test_an_unknown_id_op_is_an_outcome(
    payfip, provider: PayFiPProvider, begun: Attempt, clock
) -> None:
    """Naive: the fault comes up as an exception, and the page with it."""
    payfip.act(begun.reference, "forget")
    assert isinstance(provider.outcome(begun), Pending)
    clock.pass_(minutes=15)
    outcome = provider.outcome(begun)
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.EXPIRED


def test_another_means_of_payment_is_watched(payfip, provider: PayFiPProvider, begun: Attempt, clock) -> None:
    """Naive: what is neither paid nor refused is over."""
    payfip.act(begun.reference, "unknown")
    for _day in range(3):
        outcome = provider.outcome(begun)
        assert isinstance(outcome, Pending)
        assert outcome.watched
        assert not outcome.resumable
        clock.pass_(days=1)


def test_no_contract_is_fetched_at_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Naive: load the WSDL over the network when the process starts."""

    ours, connect = threading.current_thread(), socket.socket.connect

    def refuse(*args: object) -> None:
        assert threading.current_thread() is not ours, "nothing was asked, nothing may connect"
        connect(*args)

    monkeypatch.setattr(socket.socket, "connect", refuse)
    Client("https://www.payfip.gouv.fr/tpa/services/securite").close()


def test_nothing_waits_for_ever(payfip, settings, begun: Attempt, clock) -> None:
    """Naive: no time-out, so that a worker hangs with PayFiP."""
    payfip.fault("timeout", seconds=60)
    with Client(settings.service_url, read_timeout=0.3) as client:
        started = time.monotonic()
        with pytest.raises(RetryableError):
            PayFiPProvider(settings, client, clock).outcome(begun)
        assert time.monotonic() - started < 45


def test_an_expired_attempt_leaves_room_for_a_fresh_one(
    provider: PayFiPProvider, intent: PaymentIntent, begun: Attempt, clock
) -> None:
    """Naive: show PayFiP's P4 to the parent, for ever."""
    first = provider.outcome(begun)
    assert first.resume_url.endswith(begun.reference)
    clock.pass_(minutes=20)
    stale = provider.outcome(begun)
    assert isinstance(stale, Pending)
    assert (stale.resumable, stale.resume_url) == (False, "")
    clock.pass_(hours=2)
    assert provider.outcome(begun).kind is FailureKind.EXPIRED
    assert provider.start(intent).reference != begun.reference


def test_what_payfip_said_is_kept(payfip, provider: PayFiPProvider, begun: Attempt) -> None:
    """Naive: a boolean in the database."""
    assert provider.outcome(begun).raw["code"] == "P5"
    payfip.act(begun.reference, "accept")
    raw = provider.outcome(begun).raw
    assert raw["numauto"]
    assert raw["dattrans"] == "24112026"
    assert all(isinstance(value, str) for value in raw.values())


def test_a_late_payment_wins(payfip, provider: PayFiPProvider, begun: Attempt, clock) -> None:
    """A sibling closed after 16 minutes what had in truth been paid, and would not revive it."""
    payfip.http.post(
        "/tpa/paiementws.web", data={"idop": begun.reference, "moyen": "carte"}
    )
    clock.pass_(hours=3)
    assert isinstance(provider.outcome(begun), Failed)
    payfip.act(begun.reference, "accept")
    assert isinstance(provider.outcome(begun), Settled)


def test_a_service_in_trouble_loses_nothing(
    payfip, provider: PayFiPProvider, intent: PaymentIntent, begun: Attempt
) -> None:
    payfip.act(begun.reference, "accept")
    for kind in ("technical", "http_500", "malformed", "empty"):
        payfip.fault(kind)
        with pytest.raises(RetryableError):
            provider.outcome(begun)
    assert isinstance(provider.outcome(begun), Settled)


def test_an_answer_that_is_lost_leaves_an_id_op_that_nobody_pays(
    payfip, provider: PayFiPProvider, intent: PaymentIntent, clock
) -> None:
    """The creation was done, its answer lost: the parent starts again, the orphan dies."""
    payfip.fault("lost_answer", operation="creerPaiementSecurise")
    with pytest.raises(RetryableError):
        provider.start(intent)
    assert provider.start(intent).reference
    orphan = payfip.simulator.store.operations()[-1]
    clock.pass_(days=1)
    assert payfip.simulator.store.operation(orphan.id_op) is None


def test_a_promise_is_told_from_money(payfip, provider: PayFiPProvider, begun: Attempt) -> None:
    payfip.act(begun.reference, "debit")
    outcome = provider.outcome(begun)
    assert isinstance(outcome, Settled)
    assert outcome.means == "online_debit"
