"""Real processes, killed: PostgreSQL, Valkey, the relay and a Celery worker, over one database.

After each disaster the books are compared: what was asked for, what the database says, what the
bank and the mailbox saw. Nothing lost, nothing twice; at most one repetition outside, of what was on
its way when the power failed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import fault_plugin
import pytest
from fault_plugin import SLOW, WORK, lines, note
from redis import Redis, RedisError
from sqlalchemy import text

from core.channels.email import plugin as email
from core.clock import SystemClock
from core.db.embedded import Embedded, _valkey_binary, die_with_parent, free_port
from core.db.migrate import upgrade
from core.extensions import Extensions, installed
from core.runtime import Runtime, sync_towns
from core.settings import load
from core.sources.csv import plugin as csv
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

# A row that was handed to a broker which forgot it waits for a minute; here, for a second and a half.
HURRY = (
    "import datetime, core.services.outbox as outbox;"
    "outbox.PUBLISH_LEASE = datetime.timedelta(seconds=1.5);"
    "from core.cli.main import main; main()"
)


class House:
    """All the machines of an installation, each of which may fail."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.outside = folder / "outside"
        self.outside.mkdir()
        os.environ["FAULTS_OUTSIDE"] = str(self.outside)
        self.databases = Embedded(folder / "servers", durable=False)
        self.databases.start()
        self.port = free_port()
        self.processes: dict[str, subprocess.Popen] = {}
        self.runtime = self._install()
        self.asked = 0

    def _install(self) -> Runtime:
        """Migrate, write the town's file, and put the plugin where Python finds it."""
        (self.folder / "tenants" / "valmont").mkdir(parents=True)
        (self.folder / "tenants" / "valmont" / "tenant.toml").write_text(TOWN, "utf-8")
        info = self.folder / "site" / "preau_faults-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: preau-faults\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[preau.plugins]\nfaults = fault_plugin:plugin\n")
        addresses = self.databases.addresses()
        upgrade(addresses.owner_url, [s.directory for s in installed().hook.migrations()])
        self.settings = {
            "database_url": addresses.database_url,
            "owner_url": addresses.owner_url,
            "relay_url": addresses.relay_url,
            "redis_url": f"redis://127.0.0.1:{self.port}/0",
            "tenants_dir": str(self.folder / "tenants"),
            "data_dir": str(self.folder / "data"),
            "smtp_host": "127.0.0.1",
            "smtp_port": "9",
        }
        extensions = Extensions({"email": email, "csv": csv, "faults": fault_plugin.plugin})
        runtime = Runtime(load(**self.settings), extensions, clock=SystemClock())
        assert not runtime.registry.broken, runtime.registry.broken
        sync_towns(addresses.owner_url, runtime.registry)
        return runtime

    def start(self, name: str) -> None:
        if name in self.processes and self.processes[name].poll() is None:
            return
        if name == "valkey":
            command = [
                str(_valkey_binary()), "--port", str(self.port), "--bind", "127.0.0.1",
                "--save", "", "--appendonly", "no", "--dir", str(self.folder),
            ]  # fmt: skip
        elif name == "worker":
            command = [sys.executable, "-P", "-c", HURRY, "worker", "--concurrency", "2"]
        else:
            command = [sys.executable, "-P", "-c", HURRY, name]
        variables = {f"PREAU_{key.upper()}": value for key, value in self.settings.items()}
        places = [str(self.folder / "site"), str(Path(fault_plugin.__file__).parent)]
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=self.folder, start_new_session=True,
                env={**os.environ, **variables, "PYTHONPATH": os.pathsep.join(places)},
                preexec_fn=die_with_parent(signal.SIGKILL),  # noqa: PLW1509 - not from a thread
            )  # fmt: skip
        if name == "valkey":
            self.until(self.redis_answers, 5)

    def all_up(self) -> None:
        for name in ("valkey", "worker", "relay"):
            self.start(name)

    def kill(self, name: str) -> None:
        """As the kernel's out-of-memory killer does, with all its children."""
        process = self.processes.pop(name)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def crash_postgresql(self) -> None:
        process = self.databases.processes["postgresql"]
        process.send_signal(signal.SIGQUIT)  # At once: the next start recovers from its journal.
        process.wait(10)

    def redis(self) -> Redis:
        return Redis(port=self.port, socket_timeout=1)

    def redis_answers(self) -> bool:
        try:
            with self.redis() as client:
                return bool(client.ping())
        except RedisError:
            return False

    def town(self):
        return self.runtime.unit_of_work("valmont")

    def rows(self, statement: str, **values):
        with self.town() as town:
            return [tuple(row) for row in town.session.execute(text(statement), values)]

    def ask(self, count: int, topic: str = WORK) -> list[int]:
        """Ask for effects, in several transactions of several rows."""
        numbers = list(range(self.asked, self.asked + count))
        self.asked += count
        for number in numbers:
            with self.town() as town:
                town.outbox.add(topic, {"n": number}, key=str(number))
        return numbers

    def left(self) -> int:
        # Polls go on by themselves for as long as a payment is open.
        ((count,),) = self.rows(
            "SELECT count(*) FROM outbox WHERE state <> 'done' AND topic <> 'payment.poll'"
        )
        return count

    def until(self, condition, seconds: float = 20) -> None:
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                logs = "\n".join(
                    f"== {path.name}\n{path.read_text('utf-8', 'replace')[-1500:]}"
                    for path in self.folder.glob("*.log")
                )
                left = self.rows(
                    "SELECT topic, state, attempts, last_error FROM outbox WHERE state <> 'done'"
                )
                raise AssertionError(f"not within {seconds} s: {left}\n{logs}")
            time.sleep(0.05)

    def settled_down(self) -> bool:
        return self.left() == 0

    def effects(self) -> Counter:
        return Counter(
            int(n) for (n,) in self.rows("SELECT subject FROM audit_entry WHERE action = 'effect'")
        )

    def close(self) -> None:
        for name in list(self.processes):
            self.kill(name)
        self.runtime.close()
        self.databases.stop()
        del os.environ["FAULTS_OUTSIDE"]


@pytest.fixture(scope="module")
def house():
    # Not below pytest's folder: PostgreSQL may have to run as another user.
    with tempfile.TemporaryDirectory(prefix="preau-faults-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o711)
        made = House(Path(folder))
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
    house.until(house.settled_down, 30)
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
    house.until(house.settled_down, 30)


def test_the_relay_is_killed(house):
    house.ask(5)
    house.kill("relay")
    house.ask(10)
    time.sleep(0.5)
    house.start("relay")
    house.until(house.settled_down)


def test_two_relays_and_two_workers_do_no_harm(house):
    second = [house.processes.pop(name) for name in ("relay", "worker")]
    house.all_up()
    house.ask(40)
    house.until(house.settled_down)
    for process in second:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_one_message_of_the_broker_many_times(house):
    """What a broker may do at any time: hand the same id to many."""
    house.kill("relay")
    numbers = house.ask(4)
    from core.tasks.app import app

    ids = [str(i) for (i,) in house.rows("SELECT id FROM outbox WHERE state = 'ready'")]
    with app.connection_for_write(house.settings["redis_url"]) as connection:
        for row_id in ids * 25:
            app.send_task("preau.deliver", args=("valmont", row_id), connection=connection)
    house.until(lambda: set(numbers) <= set(house.effects()))


def test_postgresql_crashes_and_comes_back(house):
    house.ask(10)
    house.crash_postgresql()
    house.databases.stop()
    house.databases.start()
    house.ask(10)
    house.until(house.settled_down, 30)


def test_payments_through_all_of_it(house):
    """Parents pay while everything fails in turn; then each party's own record is compared."""
    count = 8
    with house.town() as town:
        report = town.imports.run(
            Records(*(record(f"P{n}", family=f"F{n:03d}") for n in range(count))), _file(house)
        )
        town.imports.publish(report.batch_id)
    payments = {}
    disasters = ["worker", "valkey", "relay", "worker", None, "relay", "valkey", None]
    for number, disaster in zip(range(count), disasters, strict=True):
        with house.town() as town:
            (invoice,) = town.invoices.by_number(f"P{number}")
            payment = town.attempts.create(
                invoice.family_id, [invoice.id], email="", language="fr", key="k"
            )
            town.attempts.go(payment)
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
        lambda: house.rows("SELECT count(*) FROM payment WHERE state = 'settled'") == [(count,)], 30
    )
    house.until(house.settled_down, 30)
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
