"""Real processes, killed: PostgreSQL, Valkey, the relay and a Celery worker, over one database.

After each disaster the books are compared: what was asked for, what the database says, what the
bank and the mailbox saw. Nothing lost, nothing twice; at most one repetition outside, of what was on
its way when the power failed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import fault_plugin
import pytest
from fault_plugin import SLOW, WORK, lines, note
from house import House, folder

from core.dev.embedded import free_port
from core.imports.format.csv import plugin as csv
from core.messages.email.channel import plugin as email
from core.platform.plugins.discovery import Extensions
from core.testing.portal import Records, record

pytestmark = pytest.mark.faults

TOWN = """\
[tenant]
name = "Valmont"
[contact]
email = "regie@valmont.test"
[regies.CANTINE]
label = "Cantine"
[plugins.faults]
"""

TRIES = """
from core.processes.worker import app

tries = []

def note(*_error_and_pause):
    tries.append(1)
    if len(tries) > 150:
        raise SystemExit(0)

app.connection_for_read().ensure_connection(
    note, app.conf.broker_connection_max_retries, interval_start=0, interval_step=0
)
"""

COMMANDS = {"worker": ("worker", "--concurrency", "2"), "relay": ("relay",)}
BEAT = {"beat": ("beat",)}


class Books(House):
    """A house of one town, whose bank and mailbox are files."""

    def __init__(self, folder: Path) -> None:
        self.outside = folder / "outside"
        self.outside.mkdir()
        os.environ["FAULTS_OUTSIDE"] = str(self.outside)
        self.asked = 0
        super().__init__(
            folder,
            {"valmont": TOWN},
            COMMANDS,
            Extensions({"email": email, "csv": csv, "faults": fault_plugin.plugin}),
            entry_points="[preau.plugins]\nfaults = fault_plugin:plugin\n",
            environment={"FAULTS_ASK_SECONDS": "2"},
        )

    def ask(self, count: int, topic: str = WORK) -> list[int]:
        """Ask for effects, in several transactions of several rows."""
        numbers = list(range(self.asked, self.asked + count))
        self.asked += count
        for number in numbers:
            with self.town() as town:
                town.outbox.add(topic, {"n": number}, key=str(number))
        return numbers

    def settled_down(self) -> bool:
        return self.left() == 0

    def effects(self) -> Counter:
        return Counter(
            int(n) for (n,) in self.rows("SELECT subject FROM audit_entry WHERE action = 'effect'")
        )

    def close(self) -> None:
        super().close()
        del os.environ["FAULTS_OUTSIDE"]


@pytest.fixture(scope="module")
def house():
    with folder() as place:
        made = Books(place)
        try:
            yield made
        finally:
            made.close()


@pytest.fixture(autouse=True)
def checked(house):
    """Everything runs before each test, and after it the books are right."""
    house.all_up()
    yield
    (house.outside / "hang").unlink(missing_ok=True)
    house.all_up()
    house.until(house.settled_down)
    assert house.effects() == Counter(range(house.asked)), "an effect is missing, or there twice"
    assert house.rows("SELECT topic, last_error FROM outbox WHERE state = 'dead'") == []


def test_without_any_disaster(house):
    house.ask(10)
    house.until(house.settled_down)


def test_a_worker_killed_in_the_middle_of_its_work(house):
    (house.outside / "hang").touch()
    numbers = house.ask(3, SLOW)
    house.until(lambda: lines("started"))
    house.kill("worker")
    assert not set(numbers) & set(house.effects())
    (house.outside / "hang").unlink()
    house.start("worker")
    house.until(house.settled_down)
    attempts = house.rows("SELECT max(attempts) FROM outbox WHERE topic = :t", t=SLOW)
    assert attempts >= [(2,)]


def test_redis_is_emptied_while_it_holds_everything(house):
    house.kill("worker")
    house.ask(20)
    with house.redis() as client:
        house.until(lambda: client.llen("celery") >= 20)
        client.flushall()
    house.start("worker")
    house.until(house.settled_down)


def test_redis_dies_and_comes_back(house):
    house.kill("valkey")
    house.ask(10)  # Causes are written as ever.
    assert house.left() == 10
    house.start("valkey")
    house.until(house.settled_down)


def test_redis_dies_while_a_worker_is_at_work(house):
    """What the worker holds, it cannot acknowledge any more: it lives on, and works again."""
    (house.outside / "hang").touch()
    started = len(lines("started"))
    house.ask(3, SLOW)
    house.until(lambda: len(lines("started")) >= started + 2)
    worker = house.processes["worker"]
    house.kill("valkey")
    house.start("valkey")
    (house.outside / "hang").unlink()
    house.ask(5)
    house.until(house.settled_down)
    assert worker.poll() is None


def test_the_relay_is_killed(house):
    house.ask(5)
    house.kill("relay")
    house.ask(10)
    time.sleep(0.5)
    house.start("relay")
    house.until(house.settled_down)


def test_several_relays_and_workers_do_no_harm_whatever_becomes_of_their_broker(house):
    """As on two hosts. Whoever is at work when its broker goes lives on, and works again."""
    more = {"relay2": COMMANDS["relay"], **dict.fromkeys(("worker2", "worker3"), COMMANDS["worker"])}
    house.commands = COMMANDS | more
    house.all_up()
    processes = {name: house.processes[name] for name in house.commands}
    try:
        house.ask(40)
        house.until(house.settled_down)
        for away in (None, 0, None, 2, 0):
            house.ask(40)
            house.ask(3, SLOW)
            if away is None:
                with house.redis() as client:
                    client.flushall()
                continue
            house.kill("valkey")
            house.ask(5)
            time.sleep(away)
            house.start("valkey")  # Another server under the same address, with nothing in it.
        house.until(house.settled_down)
        assert {n: p.poll() for n, p in processes.items()} == dict.fromkeys(processes), house.last_words()
    finally:
        house.commands = COMMANDS
        for name in more:
            house.kill(name)


def test_a_broker_at_another_address_takes_over_host_by_host(house):
    """Two hosts, and a broker that never comes back; the hosts learn of the new one in turn.

    In between one relay publishes where no worker of the other host looks, then where nobody does.
    Whoever still has the old address lives on, and ends when it is asked to.
    """
    host = {"relay2": COMMANDS["relay"], "worker2": COMMANDS["worker"]}
    house.commands = COMMANDS | host
    house.all_up()
    try:
        house.ask(40)
        house.until(house.settled_down)
        house.new_broker("valkey2")
        house.ask(20)
        for name in COMMANDS:
            house.moved[name] = "valkey2"
            assert house.end(name) == 0, house.last_words()
            house.start(name)
        house.ask(20)  # Each relay has a broker of its own, and each of these a worker.
        house.until(house.settled_down)
        (house.outside / "hang").touch()
        started = len(lines("started"))
        house.ask(4, SLOW)  # More than the workers of one host can have.
        house.until(lambda: len(lines("started")) >= started + 3)
        house.kill("valkey")
        (house.outside / "hang").unlink()
        house.ask(20)
        house.until(house.settled_down)
        for name in host:
            assert house.processes[name].poll() is None, house.last_words()
            assert house.end(name) == 0, house.last_words()
            house.moved[name] = "valkey2"
            house.start(name)
        house.ask(20)
        for name in COMMANDS:
            house.kill(name)  # So that the second host is seen to work.
        house.until(house.settled_down)
        assert "valkey" not in house.processes
    finally:
        house.commands = COMMANDS
        house.moved.clear()
        for name in (*host, *COMMANDS, "valkey2"):
            if name in house.processes:
                house.kill(name)
        house.brokers.pop("valkey2", None)


def test_work_of_a_day_is_done_though_the_broker_lost_that_it_was_asked_for(house):
    """What beat asks is a message only: no row brings it again."""
    def asked() -> list:
        return house.rows("SELECT dedupe_key FROM outbox WHERE topic = 'documents.sweep'")

    house.kill("worker")
    house.commands = COMMANDS | BEAT
    house.start("beat")
    try:
        with house.redis() as client:
            house.until(lambda: client.llen("celery"))
            house.kill("beat")
            client.flushall()
        assert asked() == []
        house.start("beat")  # It comes back with the same file.
        house.start("worker")
        house.until(asked)
    finally:
        house.commands = COMMANDS
        if "beat" in house.processes:
            house.kill("beat")


def test_a_worker_never_gives_its_broker_up(house):
    """As Celery connects again, without its pauses: after a hundred tries it would end."""
    environment = house.variables("worker") | {"PREAU_REDIS_URL": f"redis://127.0.0.1:{free_port()}/0"}
    ended = subprocess.run(
        [sys.executable, "-P", "-c", TRIES], env={**os.environ, **environment},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr[-2000:]


def test_one_message_of_the_broker_many_times(house):
    """What a broker may do at any time: hand the same id to many."""
    house.kill("relay")
    numbers = house.ask(4)
    from core.processes.worker import app

    ids = [str(i) for (i,) in house.rows("SELECT id FROM outbox WHERE state = 'ready'")]
    with app.connection_for_write(house.settings["redis_url"]) as connection:
        for row_id in ids * 25:
            app.send_task(
                "preau.deliver", args=("valmont", row_id), connection=connection
            )
    # A row that came while its plugin was busy with others is put back, for the relay to send again.
    house.start("relay")
    house.until(lambda: set(numbers) <= set(house.effects()))


def test_postgresql_crashes_and_comes_back(house):
    house.ask(10)
    house.crash_postgresql()
    house.restart_postgresql()
    house.ask(10)
    house.until(house.settled_down)


def test_payments_through_all_of_it(house):
    """Parents pay while everything fails in turn; then each party's own record is compared."""
    count = 4
    with house.town() as town:
        report = town.imports.run(
            Records(*(record(f"P{n}", family=f"F{n:03d}") for n in range(count))), _file(house)
        )
        town.imports.publish(report.batch_id)
    payments = {}
    disasters = ["worker", "valkey", "relay", None]
    for number, disaster in zip(range(count), disasters, strict=True):
        with house.town() as town:
            (invoice,) = town.invoices.by_number(f"P{number}")
            payment = town.attempts.create(
                invoice.family_id, [invoice.id], email="", language="fr", key="k"
            )
            town.attempts.start(payment)
        ((reference,),) = house.rows(
            "SELECT provider_reference FROM payment WHERE id = :id", id=payment
        )
        note("paid", reference)
        payments[payment] = reference
        for _time in range(3):
            with house.town() as town:
                town.payments.ask_again("faults", reference)
        if disaster:
            house.kill(disaster)
            house.all_up()
    house.until(
        lambda: house.rows("SELECT count(*) FROM payment WHERE state = 'settled'") == [(count,)]
    )
    house.until(house.settled_down)
    assert house.rows(
        "SELECT count(*), sum(amount) FROM allocation WHERE reversed_at IS NULL"
    ) == [(count, count * 5687)]  # fmt: skip
    receipts = house.rows("SELECT receipt_number FROM payment ORDER BY receipt_number")
    assert [int(n.rpartition("-")[2]) for (n,) in receipts] == list(range(1, count + 1))
    announced = [line.split()[0] for line in lines("announced")]
    assert Counter(announced) == Counter(payments.values())
    keys = house.rows("SELECT key FROM message WHERE state = 'sent'")
    inbox = Counter(lines("inbox"))
    assert set(inbox) == {key for (key,) in keys}
    assert len([key for key in inbox if key.startswith("settled-")]) == count
    # A worker that dies between the mailbox and its commit repeats one message, under one key.
    assert all(times <= 2 for times in inbox.values())


def _file(house):
    from core.api.invoices import SourceFile

    path = house.folder / "invoices.csv"
    path.touch()
    return SourceFile(path, path.name, 0)
