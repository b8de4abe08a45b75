"""PayFiP, against its simulator, and the fake provider of tests keep the contract of providers."""

from __future__ import annotations

import httpx
import pytest

from core.api.errors import PayerField, PermanentError, RetryableError, StartRefusedError
from core.api.payments import Failed as FailedOutcome
from core.api.payments import FailureKind, InvoiceToPay, Means, PaymentIntent, Settled
from core.domain.start_refusals import RefusalKind
from core.testing.conformance import PaymentProviderContract
from core.testing.fakes import FakeBank, FakeClock, FakeProvider
from core.testing.waiting import PATIENCE_SECONDS
from plugins.payfip.client import Client
from plugins.payfip.faults import FaultDetail, FaultKind, PayFiPFaultError
from plugins.payfip.provider import PayFiPProvider
from plugins.payfip.settings import PayFiPSettings, Regie
from plugins.payfip.simulator.app import make_simulator, running


def intent(clock: FakeClock, payment_id: int, amount: int) -> PaymentIntent:
    return PaymentIntent(
        payment_id=payment_id,
        regie="CANTINE",
        amount=amount,
        email="parent@exemple.fr",
        language="fr",
        invoices=(InvoiceToPay("2026-010-000001", "20262010100001", "CANTINE", 2026, amount),),
        return_url="http://127.0.0.1:9/retour",
        notify_url="http://127.0.0.1:9/notification",
        created_at=clock.now(),
    )


class PayFiPBench:
    """A parent and PayFiP's bank."""

    def __init__(self, base: str, clock: FakeClock) -> None:
        self.clock, self.base = clock, base
        self.settings = PayFiPSettings(simulator=base, regies={"CANTINE": Regie(numcli="006382")})
        self.clients = [Client(f"{base}/tpa/services/securite", connect_timeout=20, read_timeout=20)]
        self.provider = PayFiPProvider(self.settings, self.clients[0], clock)

    def intent(self, payment_id, amount):
        return intent(self.clock, payment_id, amount)

    def act(self, reference, **values):
        url = f"{self.base}/_simulator/api/operations/{reference}/act"
        httpx.post(url, json=values, timeout=PATIENCE_SECONDS).raise_for_status()

    def pay(self, reference):
        self.act(reference, action="accept", scenario="drop")

    def pay_another_amount(self, reference):
        self.act(reference, action="accept", scenario="wrong_amount")

    def fail(self, reference, kind):
        self.act(reference, action="refuse" if kind is FailureKind.REFUSED else "cancel")
        self.clock.pass_time(hours=3)  # Until then, PayFiP's page may still take a second card.

    def refuse(self, kind):
        code = {"settings": "T2", "invoice": "R3", "payer": "A2", "unknown": "X9"}.get(kind)
        provider = self.provider

        class Refuses:
            """The service's answer, without the service."""

            def create(self, _creation):
                if code is None:
                    raise PayFiPFaultError(FaultDetail(FaultKind.UNAVAILABLE, "", "en panne"))
                raise PayFiPFaultError(FaultDetail(FaultKind.FUNCTIONAL, code, "", "refusé"))

        self.provider = PayFiPProvider(provider._settings, Refuses(), self.clock)

    def elsewhere(self, place):
        client = Client(f"{place.url}/tpa/services/securite", connect_timeout=1, read_timeout=1)
        self.clients.append(client)
        return PayFiPProvider(self.settings, client, self.clock)


@pytest.fixture(scope="module")
def service():
    clock = FakeClock()
    with running(make_simulator(clock=lambda: clock.now().timestamp())) as base:
        yield base, clock


class TestPayFiP(PaymentProviderContract):
    refusals = tuple(RefusalKind)

    @pytest.fixture
    def counterpart(self, service):
        bench = PayFiPBench(*service)
        yield bench
        for client in bench.clients:
            client.close()


class FakeBench:
    """A parent and a bank in memory."""

    def __init__(self) -> None:
        self.clock, self.bank = FakeClock(), FakeBank()
        self.provider = FakeProvider(self.bank, ["CANTINE"], several=True)

    def intent(self, payment_id, amount):
        return intent(self.clock, payment_id, amount)

    def pay(self, reference):
        self.bank.pay(reference, self.clock)

    def pay_another_amount(self, reference):
        self.bank.pay(reference, self.clock, amount=1)

    def fail(self, reference, kind):
        self.bank.outcomes[reference] = FailedOutcome(kind)

    def refuse(self, kind):
        self.bank.down = REFUSALS[kind]

    def elsewhere(self, _place):
        return None


REFUSALS = {
    RefusalKind.AWAY: RetryableError("away"),
    RefusalKind.UNKNOWN: PermanentError("X9"),
    RefusalKind.INVOICE: StartRefusedError(RefusalKind.INVOICE, "R3"),
    RefusalKind.SETTINGS: StartRefusedError(RefusalKind.SETTINGS, "T2"),
    RefusalKind.PAYER: StartRefusedError(RefusalKind.PAYER, "A2", payer_field=PayerField.EMAIL),
}


class TestFakePay(PaymentProviderContract):
    refusals = tuple(RefusalKind)

    @pytest.fixture
    def counterpart(self):
        return FakeBench()


class Gullible(FakeProvider):
    """Believes any answer: what the contract is there to find."""

    def outcome(self, attempt):
        return Settled(attempt.amount, Means.CARD, attempt.created_at)


@pytest.mark.parametrize(
    "test",
    [
        "test_nothing_is_known_at_first",
        "test_another_amount_is_not_what_was_asked",
        "test_attempts_do_not_mix",
        "test_it_ends_without_money",
    ],
)
def test_the_contract_finds_a_provider_that_believes_everything(test):
    bench = FakeBench()
    bench.provider = Gullible(bench.bank, ["CANTINE"], several=True)
    with pytest.raises(AssertionError):
        getattr(PaymentProviderContract(), test)(bench)


def test_nor_does_it_accept_settling_the_unknown():
    bench = FakeBench()
    bench.provider = Gullible(bench.bank, ["CANTINE"], several=True)
    with pytest.raises(AssertionError):
        PaymentProviderContract().test_an_unknown_reference_settles_nothing(bench, "unknown")


class Blames(FakeProvider):
    """Says of each refusal that the bank's service does not know."""

    def start(self, intent):
        if not intent.email.isascii():
            raise StartRefusedError(RefusalKind.SETTINGS, "mel")
        try:
            return super().start(intent)
        except StartRefusedError as error:
            raise PermanentError(error.reason) from None


@pytest.mark.parametrize("kind", [RefusalKind.INVOICE, RefusalKind.SETTINGS, RefusalKind.PAYER])
def test_the_contract_finds_a_provider_that_does_not_say_whose_doing_it_is(kind):
    bench = FakeBench()
    bench.provider = Blames(bench.bank, ["CANTINE"], several=True)
    contract = PaymentProviderContract()
    contract.refusals = (kind,)
    with pytest.raises(AssertionError):
        contract.test_a_refusal_says_whose_doing_it_is(bench)


def test_the_contract_finds_a_provider_that_blames_another():
    bench = FakeBench()
    bench.provider = Blames(bench.bank, ["CANTINE"], several=True)
    with pytest.raises(AssertionError):
        PaymentProviderContract().test_an_address_that_it_does_not_take_is_the_payers_to_correct(
            bench, "é@exemple.fr"
        )
