"""The naive implementation, in front of the tests for what peers get wrong: it fails every one.

The tests are those of `test_payfip_peers`, word for word. What fails here is what they are for; a
test that the naive implementation passed would prove nothing, and makes this module fail.
"""

from __future__ import annotations

import socket
from contextlib import suppress

import pytest
import test_payfip_peers as peers
from pyramid.httpexceptions import HTTPNotFound
from pyramid.response import Response

from core.plugin import Failed, FailureKind, Means, Pending, RetryableError, Settled
from plugins.payfip.client import Client
from plugins.payfip.faults import PayFiPFaultError
from plugins.payfip.provider import PayFiPProvider
from plugins.payfip.weighing import paid_at

pytestmark = pytest.mark.xfail(strict=True, reason="what a naive implementation gets wrong")


class NaiveClient(Client):
    """Loads its contract over the network, and waits for as long as it takes."""

    def __init__(self, endpoint, **_options):
        with socket.socket() as contract, suppress(ConnectionRefusedError):
            contract.connect(("127.0.0.1", 9))
        super().__init__(endpoint)


class NaiveProvider(PayFiPProvider):
    """What one writes after a first look at the web service."""

    def __init__(self, *given):
        super().__init__(*given)
        self._told = set()

    def start(self, intent):
        """Amounts in euros, and once more when it did not work."""
        euros = intent.amount / 100
        object.__setattr__(intent, "amount", int(euros * 100))
        try:
            return super().start(intent)
        except RetryableError:
            return super().start(intent)

    def outcome(self, attempt):
        """Paid, or not; what is wrong with the service is not paid."""
        if attempt.reference in self._told:
            return Pending()
        try:
            detail = self._client.payment(attempt.reference)
        except PayFiPFaultError as fault:
            if fault.code == "P1":
                raise
            return Pending(resumable=True, resume_url=self._page(attempt.reference))
        except RetryableError:
            return Failed(FailureKind.REFUSED)
        self._told.add(attempt.reference)
        if detail.resultrans in {"P", "V"}:
            when = paid_at(detail.dattrans, detail.heurtrans)
            return Settled(int(detail.montant), Means.CARD, when, detail.numauto)
        return Failed(FailureKind.REFUSED)


class OnlyWhenNotified(NaiveProvider):
    """Settles in the notification, and nowhere else."""

    def outcome(self, attempt):
        """What was noted when it came."""
        return Pending()


class Quarter(NaiveProvider):
    """Closes what is not paid within a quarter of an hour, for good."""

    def outcome(self, attempt):
        """Nobody pays later than that."""
        if (self._clock.now() - attempt.created_at).total_seconds() > 16 * 60:
            return Failed(FailureKind.EXPIRED)
        return super().outcome(attempt)


def naive_notification(request):
    """Believes what it is told, and says what it knows."""
    id_op = request.POST.get("idOp") or request.POST["idop"]
    if request.POST.get("resultrans"):
        return Response()
    if not request.ctx.payments.ask_again("payfip", id_op):
        raise HTTPNotFound
    return Response()


@pytest.fixture(autouse=True)
def naive(monkeypatch):
    monkeypatch.setattr(peers, "notification", naive_notification)
    monkeypatch.setattr(peers, "Client", NaiveClient)
    monkeypatch.setattr(peers, "PayFiPProvider", NaiveProvider)


KINDS = {
    "test_a_lost_notification_loses_nothing": OnlyWhenNotified,
    "test_a_late_payment_wins": Quarter,
}
"""Where it takes another of the naive implementations."""


@pytest.fixture
def provider(request, settings, client, clock):
    return KINDS.get(request.function.__name__, NaiveProvider)(settings, client, clock)


begun = peers.begun
globals().update({name: test for name, test in vars(peers).items() if name.startswith("test_")})
