"""Seeded schedules of everything that may happen to payments, in any order.

Provider, client and simulator are the real ones, joined by WSGI instead of a socket; the ledger is
a dictionary that obeys core's transitions. At the end, what is paid at the simulator is settled
here, once, with the right amount, and nothing else is.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field, replace

import httpx
import pytest

from core.domain.payment_states import PaymentState, may_follow
from core.plugin import Anomaly, Attempt, Failed, PaymentIntent, Pending, RetryableError, Settled
from plugins.payfip.breaker import Breaker
from plugins.payfip.client import Client
from plugins.payfip.provider import PayFiPProvider
from plugins.payfip.settings import PayFiPSettings, Regie
from plugins.payfip.simulator.app import Simulator, make_simulator
from plugins.payfip.simulator.scenarios import FaultKind, Scenario
from plugins.payfip.wire import Answer

SCHEDULES = 500
STEPS = 14
FAULTS = [kind for kind in FaultKind if kind not in {FaultKind.DELAY, FaultKind.TIMEOUT}]


@dataclass
class Known:
    """A payment in the ledger."""

    attempt: Attempt
    state: PaymentState = PaymentState.PENDING
    settled: int = 0
    amount: int = 0
    anomaly: bool = False
    resume: str = ""


@dataclass
class World:
    """One town's payments on one side, PayFiP on the other."""

    seed: int
    simulator: Simulator
    provider: PayFiPProvider
    intent: PaymentIntent
    clock: object
    known: list[Known] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    def begin(self) -> None:
        number = len(self.known) + 1
        amount = self.random.randrange(100, 100_000)
        intent = replace(
            self.intent, payment_id=number, amount=amount, created_at=self.clock.now()
        )
        try:
            redirect = self.provider.start(intent)
        except RetryableError:
            return
        self.known.append(
            Known(
                Attempt(number, "PERI", redirect.reference, amount, self.clock.now(), redirect.asked)
            )
        )

    def at_bank(self) -> None:
        """The parent does something, on a page that may have closed meanwhile."""
        one = self.pick()
        if one is None:
            return
        operation = self.simulator.store.operation(one.attempt.reference)
        if operation is None or not self.simulator.store.bank_open(operation):
            return
        self.simulator.store.reach_bank(operation.id_op)
        act = self.random.choice(["accept", "accept", "refuse", "cancel", "debit", "wrong"])
        if act == "debit":
            self.simulator.bank.promise_debit(operation)
        elif act == "refuse":
            self.simulator.bank.refuse(operation)
        elif act == "cancel":
            self.simulator.bank.cancel(operation)
        else:
            scenario = Scenario.WRONG_AMOUNT if act == "wrong" else Scenario.ACCEPT
            if act == "accept" and self.random.random() < 0.3:
                scenario = Scenario.SLOW_RESULT
            self.simulator.store.choose_card(
                operation.id_op, brand="VISA", last4="0055", scenario=scenario
            )
            self.simulator.bank.pay_by_card(self.simulator.store.operation(operation.id_op))

    def ask(self, one: Known | None = None) -> None:
        """Notification, return and poll are the same question."""
        one = one or self.pick()
        if one is None or one.state is PaymentState.SETTLED:
            return
        try:
            outcome = self.provider.outcome(one.attempt)
        except RetryableError:
            return
        if isinstance(outcome, Settled):
            assert may_follow(one.state, PaymentState.SETTLED)
            one.state = PaymentState.SETTLED
            one.settled += 1
            one.amount = outcome.amount
        elif isinstance(outcome, Failed):
            state = PaymentState(outcome.kind)
            if may_follow(one.state, state):
                one.state = state
        elif isinstance(outcome, Anomaly):
            one.anomaly = True
        elif isinstance(outcome, Pending):
            one.resume = outcome.resume_url
            if outcome.resumable:
                # Who is led back must find a page that still takes this payment.
                operation = self.simulator.store.operation(one.attempt.reference)
                assert self.simulator.store.page_open(operation)

    def twice(self) -> None:
        one = self.pick()
        for _again in range(2):
            self.ask(one)

    def trouble(self) -> None:
        kind = self.random.choice(FAULTS)
        self.simulator.store.add_fault("*", kind, seconds=0, count=self.random.randrange(1, 8))

    def time(self) -> None:
        self.clock.pass_(seconds=self.random.choice([1, 30, 300, 900, 3600, 7200, 43200]))

    def pick(self) -> Known | None:
        return self.random.choice(self.known) if self.known else None

    def settle_down(self) -> None:
        """PayFiP works again; the poller goes on until nothing can change any more."""
        self.simulator.store.clear_faults()
        for _night in range(2):
            self.clock.pass_(hours=13)
            for one in self.known:
                self.ask(one)


class InProcess:
    """The wire without a socket."""

    def __init__(self, simulator: Simulator) -> None:
        self._http = httpx.Client(transport=httpx.WSGITransport(app=simulator.wsgi))

    def post(self, url: str, content: bytes, *, repeatable: bool) -> Answer:
        answer = self._http.post(url, content=content)
        return Answer(answer.status_code, answer.content, url)

    def close(self) -> None:
        self._http.close()


@pytest.fixture(scope="module")
def world_of(_clock):
    """Makes worlds; the application is built once, its memory emptied for each."""
    simulator = make_simulator(clock=_clock.seconds)
    client = Client("http://simulator/tpa/services/securite")
    client.close()
    client._wire = InProcess(simulator)
    settings = PayFiPSettings(
        simulator="http://simulator", regies={"PERI": Regie(numcli="006382", reference="unique")}
    )

    def make(seed: int, intent: PaymentIntent) -> World:
        simulator.store.reset()
        _clock.moment = type(_clock).moment
        client._breaker = Breaker(clock=_clock.seconds)
        return World(seed, simulator, PayFiPProvider(settings, client, _clock), intent, _clock)

    yield make
    client.close()
    simulator.close()


def test_paid_there_is_settled_here_once_and_nothing_else(world_of, intent) -> None:
    seen: Counter[str] = Counter()
    for seed in range(SCHEDULES):
        world = world_of(seed, intent)
        steps = [
            world.begin, world.begin, world.at_bank, world.at_bank, world.at_bank, world.ask,
            world.ask, world.twice, world.trouble, world.time, world.time,
        ]  # fmt: skip
        world.begin()
        for _step in range(STEPS):
            world.random.choice(steps)()
        world.settle_down()
        for one in world.known:
            operation = world.simulator.store.operation(one.attempt.reference)
            paid = operation is not None and operation.paid
            told_wrongly = paid and operation.told != ""
            where = f"seed {seed}, payment {one.attempt.payment_id}"
            assert one.settled == int(paid and not told_wrongly), where
            assert one.anomaly == told_wrongly, where
            assert one.state is not PaymentState.PENDING or told_wrongly, where
            if one.settled:
                assert one.amount == one.attempt.amount == operation.cents, where
            seen["anomaly" if one.anomaly else one.state] += 1
    # The schedules are worth something only if they go everywhere.
    assert min(seen[name] for name in ("settled", "refused", "cancelled", "expired", "anomaly")) > 20
