"""PayFiP's simulator over HTTP, the real provider, the real ledger in PostgreSQL: any order of events.

Seeded schedules of payments, notifications lost, doubled and late, returns, polls, workers killed
before their commit, web machines killed after PayFiP was asked, connections cut, Redis emptied, and
PayFiP down. At the end, each party's own record is compared: what is paid at the simulator is
settled in the database, once, with the right amount, and told by one mail in the payer's mailbox;
nothing else is. ``PREAU_SCHEDULES=500`` runs more of them, ``PREAU_FIRST_SEED=123`` begins there
(with ``PREAU_SCHEDULES=1``: runs that one alone).
"""

from __future__ import annotations

import os
import random
import threading
from collections import Counter
from unittest import mock

import pytest
from sqlalchemy import text
from webtest import TestApp

from core.api.errors import PreauError
from core.dev.embedded import free_port
from core.dev.mail_server import MailServer
from core.payments import receipts
from core.plugin import Document
from core.processes.app import make_app
from core.testing.portal import due_rows, make_portal, record
from plugins.payfip import PayFiP
from plugins.payfip.breaker import Breaker
from plugins.payfip.client import Client
from plugins.payfip.clients import Clients
from plugins.payfip.simulator.app import make_simulator, running
from plugins.payfip.simulator.scenarios import FaultKind, Scenario

SCHEDULES = int(os.environ.get("PREAU_SCHEDULES", "10"))
FIRST = int(os.environ.get("PREAU_FIRST_SEED", "0"))
STEPS = 16
FAULTS = [kind for kind in FaultKind if kind not in {FaultKind.DELAY, FaultKind.TIMEOUT}]
TOML = """
[plugins.payfip]
simulator = "{base}"
technical_pause = 0
[plugins.payfip.regies.GARDERIE]
numcli = "006382"
direct_debit = true
"""


RECEIPT = Document("quittance.pdf", "application/pdf", b"%PDF-1.7")


class Killed(BaseException):
    """The process dies here."""


class Inbox:
    """aiosmtpd's handler of the payers' mailboxes: how many mails each got."""

    def __init__(self):
        self.mails = Counter()

    async def handle_DATA(self, _server, _session, envelope):  # noqa: N802 - aiosmtpd's name
        self.mails.update(envelope.rcpt_tos)
        return "250 OK"


class World:
    """Families, a bank, and everything that may go wrong between them."""

    def __init__(self, portal, simulator, inbox):
        self.portal = portal
        self.simulator = simulator
        self.inbox = inbox
        self.app = TestApp(make_app(portal.runtime), extra_environ={"HTTP_HOST": "localhost"})

    def start(self, seed):
        self.random = random.Random(seed)
        self.simulator.store.clear_faults()
        self.payments = []
        # The invoices of a whole schedule in one batch: publishing is not what is tested here.
        self.unpaid = [(f"G{seed}-{n}", self.random.randrange(100, 100_000)) for n in range(STEPS)]
        self.portal.publish(
            *(record(n, amount=amount, regie="GARDERIE", lines=()) for n, amount in self.unpaid)
        )

    def attempt(self, *, killed=False):
        """A family begins to pay a new invoice."""
        if not self.unpaid:
            return
        number, amount = self.unpaid.pop()
        with self.portal.town() as town:
            (invoice,) = town.invoices.by_number(number)
            payment = town.attempts.create(
                invoice.family_id, [invoice.id], email=payer(number), language="fr", key=number
            )
        self.payments.append((payment, amount, number))
        try:
            with self.portal.town() as town:
                town.attempts.start(payment)
                if killed:
                    raise Killed  # PayFiP knows the payment, Préau does not know that it does.
        except (PreauError, Killed):
            pass

    def pays_at_once(self):
        self.attempt()
        self.at_bank()
        self.at_bank()

    def killed_attempt(self):
        self.attempt(killed=True)

    def pick(self):
        """One payment that PayFiP knows, with its operation there."""
        known = []
        with self.portal.town() as town:
            for payment, _amount, _number in self.payments:
                reference = town.payments.row(payment).provider_reference
                if reference:
                    known.append((payment, reference))
        if not known:
            return None
        payment, reference = self.random.choice(known)
        return payment, reference, self.simulator.store.operation(reference)

    def at_bank(self):
        """The parent does something on PayFiP's pages."""
        picked = self.pick()
        if picked is None or picked[2] is None or not self.simulator.store.bank_open(picked[2]):
            return
        operation = picked[2]
        self.simulator.store.reach_bank(operation.id_op)
        act = self.random.choice(["accept"] * 4 + ["refuse", "cancel", "debit", "wrong"])
        if act == "debit":
            self.simulator.bank.promise_debit(operation)
        elif act == "refuse":
            self.simulator.bank.refuse(operation)
        elif act == "cancel":
            self.simulator.bank.cancel(operation)
        else:
            scenario = Scenario.WRONG_AMOUNT if act == "wrong" else Scenario.ACCEPT
            self.simulator.store.choose_card(
                operation.id_op, brand="VISA", last4="0055", scenario=scenario
            )
            self.simulator.bank.pay_by_card(self.simulator.store.operation(operation.id_op))

    def notification(self, times=1):
        """PayFiP knocks; the address is open to everybody, so it is knocked at for real."""
        picked = self.pick()
        if picked:
            for _ in range(times):
                self.app.post("/valmont/+payfip/notification", {"idOp": picked[1]}, status=200)

    def doubled_notification(self):
        self.notification(times=3)

    def forged_notification(self):
        self.app.post("/valmont/+payfip/notification", {"idOp": "f" * 36}, status=200)
        picked = self.pick()
        if picked:  # Another town's door.
            self.app.post("/brumes/+payfip/notification", {"idOp": picked[1]}, status=200)

    def come_back(self, *, killed=False):
        picked = self.pick()
        if picked is None:
            return
        try:
            with self.portal.town() as town:
                town.attempts.poll(picked[0])
                if killed:
                    raise Killed  # The answer was written, and the machine dies before the commit.
        except (PreauError, Killed):
            pass

    def killed_on_the_way_back(self):
        self.come_back(killed=True)

    def work(self):
        self.portal.work(rounds=3)

    def killed_worker(self):
        """A worker takes a row and dies: the row comes again when its lease has run out."""
        with self.portal.town() as town:
            due = due_rows(town)
        if due:
            with self.portal.town() as town:
                claim = town.outbox.claim(self.random.choice(due)[1])
            if claim:
                self.portal.clock.pass_time(seconds=61)

    def trouble(self):
        kind = self.random.choice(FAULTS)
        self.simulator.store.add_fault("*", kind, seconds=0, count=self.random.randrange(1, 6))

    def database_restarted(self):
        with self.portal.town() as town:
            town.session.execute(
                text("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                     " WHERE usename = current_user AND pid <> pg_backend_pid()")
            )  # fmt: skip

    def redis_emptied(self):
        self.portal.runtime.redis.flushall()

    def time(self):
        seconds = self.random.choice([1, 30, 120, 900, 3600, 7200, 43200])
        self.portal.clock.pass_time(seconds=seconds)

    def settle_down(self):
        """Everything works again, and two nights pass."""
        self.simulator.store.clear_faults()
        for _ in range(6):
            self.portal.clock.pass_time(hours=7)
            self.portal.work()

    STEPS = (
        attempt, pays_at_once, pays_at_once, killed_attempt, at_bank, at_bank, at_bank, notification,
        doubled_notification, forged_notification, come_back, killed_on_the_way_back, work, work,
        killed_worker, trouble, database_restarted, redis_emptied, time, time,
    )  # fmt: skip

    def check(self, where):
        """Compare the parties' own records. Returns how each payment ended."""
        ends = Counter()
        rows = [tuple(row) for row in self.portal.outbox() if row.state != "done"]
        dead = [row for row in rows if "dead" in row]
        assert not dead, f"{where}: nobody should have to look at {dead}"
        with self.portal.town() as town:
            for payment, amount, number in self.payments:
                row = town.payments.row(payment)
                operation = (
                    self.simulator.store.operation(row.provider_reference)
                    if row.provider_reference
                    else None
                )
                paid = operation is not None and operation.paid
                told_wrongly = paid and operation.told != ""
                (invoice,) = town.invoices.by_number(number)
                story = f"{where}, payment {payment}: {row.state}, {row.anomaly!r}, {rows}"
                assert (row.state == "settled") == (paid and not told_wrongly), story
                assert bool(row.anomaly) == told_wrongly, story
                assert invoice.balance == (0 if row.state == "settled" else amount), story
                assert self.inbox.mails[payer(number)] == int(row.state == "settled"), story
                if row.state == "settled":
                    assert operation.cents == row.amount, story
                ends["anomaly" if row.anomaly else row.state] += 1
        return ends


def payer(number):
    """An address of each payment's own, so that the mailbox tells them apart."""
    return f"payeur-{number.lower()}@exemple.fr"


@pytest.fixture(scope="module")
def inbox():
    handler = Inbox()
    controller = MailServer(handler, hostname="127.0.0.1", port=free_port())
    controller.start()
    handler.port = controller.port
    yield handler
    controller.stop()


@pytest.fixture(scope="module")
def world(module_database, tmp_path_factory, inbox):
    folder = tmp_path_factory.mktemp("ledger")
    clock_of = {}
    simulator = make_simulator(clock=lambda: clock_of["clock"].now().timestamp())
    # Typesetting is a third of the time and tested elsewhere: the mails carry a receipt all the same.
    drawn = mock.patch.object(receipts, "render_receipt", return_value=RECEIPT)
    clients = Clients(lambda: Breaker(clock=lambda: clock_of["clock"].now().timestamp()))
    with running(simulator) as base, drawn:
        portal = make_portal(
            module_database,
            folder,
            plugins={"payfip": PayFiP(clients)},
            toml=TOML.format(base=base),
            smtp_port=inbox.port,
        )
        clock_of["clock"] = portal.clock
        yield World(portal, simulator, inbox)
        portal.runtime.close()


def test_what_is_paid_there_is_settled_here_once_and_nothing_else(world):
    ends = Counter()
    for seed in range(FIRST, FIRST + SCHEDULES):
        world.start(seed)
        world.attempt()
        for _ in range(STEPS):
            world.random.choice(world.STEPS)(world)
        world.settle_down()
        ends += world.check(f"seed {seed}")
    print(f"{SCHEDULES} schedules from seed {FIRST}: {dict(ends)}")
    if SCHEDULES >= 10:
        # They are worth something only if they go everywhere.
        assert ends["settled"] > SCHEDULES // 3, ends
        assert len(ends) >= 4, ends


def pay(world):
    """Begin one payment and pay it at the simulator; its number and idOp."""
    world.attempt()
    payment, reference, _operation = world.pick()
    world.simulator.store.reach_bank(reference)
    world.simulator.store.choose_card(
        reference, brand="VISA", last4="0055", scenario=Scenario.ACCEPT
    )
    world.simulator.bank.pay_by_card(world.simulator.store.operation(reference))
    return payment, reference


@pytest.fixture
def questions(monkeypatch):
    """What PayFiP is asked about, idOp by idOp."""
    asked = []

    def payment(client, id_op):
        asked.append(id_op)
        return ask(client, id_op)

    ask = Client.payment
    monkeypatch.setattr(Client, "payment", payment)
    return asked


def test_fifty_notifications_and_returns_at_once_are_one_settlement_and_one_mail(world, questions):
    world.start(-1)
    payment, id_op = pay(world)
    world.portal.clock.pass_time(minutes=2)
    barrier = threading.Barrier(50)
    problems = []

    def knock(number):
        barrier.wait()
        try:
            if number % 2:
                world.app.post("/valmont/+payfip/notification", {"idOp": id_op}, status=200)
            else:
                with world.portal.town() as town:
                    town.attempts.poll(payment)
        except Exception as error:  # noqa: BLE001
            problems.append(error)

    threads = [threading.Thread(target=knock, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    asked_at_once = len(questions)
    world.portal.clock.pass_time(seconds=1)
    world.portal.work()
    assert world.check("fifty at once")["settled"] == 1
    # What was settled by a return, no notification asks after any more.
    assert len(questions) == asked_at_once


def test_forged_notifications_cost_at_most_one_question(world, questions):
    world.start(-2)
    world.attempt()
    payment, id_op, _operation = world.pick()
    forged = [
        ("/valmont", "f" * 36),  # Nobody's.
        ("/valmont", id_op.replace("-", "")),
        ("/brumes", id_op),  # Another town's.
        ("/valmont", id_op),  # Somebody's, who has not paid.
    ]
    for town, told in forged * 10:
        form = {"idOp": told, "resultrans": "P", "montant": "5687"}
        world.app.post(f"{town}/+payfip/notification", form, status=200)
    world.portal.clock.pass_time(seconds=1)
    world.portal.work()
    assert questions == [id_op]
    with world.portal.town() as town:
        assert town.payments.row(payment).state == "pending"
        assert town.payments.row(payment).anomaly == ""


def test_an_outage_leaves_nothing_for_people_to_retry(world):
    """Each parent who came back while PayFiP was away left a dead effect for the office."""
    world.start(-3)
    _payment, id_op = pay(world)
    world.simulator.store.add_fault("*", "unavailable", seconds=0, count=500)
    world.app.post("/valmont/+payfip/notification", {"idOp": id_op}, status=200)
    for _time in range(7):
        world.portal.clock.pass_time(minutes=8)
        world.portal.work(rounds=1)
    world.simulator.store.clear_faults()
    world.portal.clock.pass_time(minutes=40)
    world.portal.work()
    assert world.check("after an outage")["settled"] == 1
