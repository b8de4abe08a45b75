"""All the machines of an installation, each a real process that a test may kill.

Every Python process loads `sitecustomize`, which shortens the waits of production and moves the
process's clock by as many seconds as the file ``clock`` says, so that a test lets a night pass.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from redis import Redis, RedisError
from sqlalchemy import text

from core.dev.embedded import Addresses, Embedded, _valkey_binary, die_with_parent, free_port
from core.platform.plugins.discovery import Extensions
from core.platform.settings import load
from core.runtime import Runtime, sync_towns
from core.testing.portal import real_hashes
from core.testing.preloaded import popen
from core.testing.prepared import put_cluster
from core.testing.waiting import PATIENCE_SECONDS, wait_until

CUSTOMISE = """\
import datetime, os, pathlib, sys

# `preau web` becomes another program at once, which comes here again.
becoming = "core.cli.main" in sys.orig_argv and "web" in sys.orig_argv
if "FAULTS_CLOCK" in os.environ and not becoming:
    import core.platform.clock
    import core.platform.outbox.schedule
    import core.platform.outbox.service
    import core.platform.plugins.rests
    from plugins.payfip.breaker import Breaker

    # A row that was handed to a broker which forgot it waits for a minute; here, for less.
    core.platform.outbox.service.PUBLISH_LEASE = datetime.timedelta(seconds=1.5)
    # So does one whose worker gives no sign of life any more.
    core.platform.outbox.service.LEASE = datetime.timedelta(seconds=3)
    # Work of a day is asked for every hour.
    if ask := os.environ.get("FAULTS_ASK_SECONDS"):
        core.platform.outbox.schedule.ASK = datetime.timedelta(seconds=float(ask))
    # So does a plugin that hung, as they do on a machine that is too busy.
    core.platform.plugins.rests.COOLDOWN_SECONDS = 1.0
    core.platform.plugins.rests.MAX_COOLDOWN_SECONDS = 2.0
    Breaker.__init__.__kwdefaults__.update(rest=0.5, longest=1.0)
    shift = pathlib.Path(os.environ["FAULTS_CLOCK"])

    def now(self):
        ahead = datetime.timedelta(seconds=float(shift.read_text() or 0))
        return datetime.datetime.now(datetime.UTC) + ahead

    core.platform.clock.SystemClock.now = now
"""


class ShiftedClock:
    """The machine's clock, moved as the file says: the test's own processes read the same one."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.ahead = 0.0
        self.jump(0)

    def now(self) -> datetime:
        """Now, in UTC, aware."""
        return datetime.now(UTC) + timedelta(seconds=self.ahead)

    def seconds(self) -> float:
        """The same, as seconds since 1970."""
        return time.time() + self.ahead

    def jump(self, seconds: float) -> None:
        """Move the clock of all processes at once, forward or back."""
        self.ahead += seconds
        unfinished = self._file.with_suffix(".new")
        unfinished.write_text(str(self.ahead))
        unfinished.replace(self._file)


class House:
    """One installation: PostgreSQL, Valkey, and processes of ``preau``."""

    def __init__(
        self,
        folder: Path,
        towns: Mapping[str, str],
        commands: Mapping[str, Sequence[str]],
        extensions: Extensions,
        *,
        entry_points: str = "",
        environment: Mapping[str, str] | None = None,
        **settings: Any,
    ) -> None:
        """`towns` are slugs and their tenant.toml, `commands` names and arguments of ``preau``."""
        self.folder = folder
        self.commands = commands
        self.environment = dict(environment or {})
        self.clock = ShiftedClock(folder / "clock")
        put_cluster(folder / "servers")
        self.databases = Embedded(folder / "servers", durable=False)
        self.databases.start()
        self.brokers = {"valkey": free_port()}
        self.moved: dict[str, str] = {}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._write(towns, entry_points)
        addresses = self._addresses()
        self.settings = {
            "database_url": addresses.database_url,
            "owner_url": addresses.owner_url,
            "relay_url": addresses.relay_url,
            "redis_url": self.broker_url("valkey"),
            "tenants_dir": str(folder / "tenants"),
            "data_dir": str(folder / "data"),
            "smtp_host": "127.0.0.1",
            "smtp_port": "9",
            # They wait for an idle machine, which these tests are not.
            "papers_ahead": "false",
            **settings,
        }
        self.runtime = Runtime(load(**self.settings), extensions, clock=self.clock)
        assert not self.runtime.registry.broken, self.runtime.registry.broken
        sync_towns(addresses.owner_url, self.runtime.registry)

    def _addresses(self) -> Addresses:
        """Where its processes find the database."""
        return self.databases.addresses()

    def _write(self, towns: Mapping[str, str], entry_points: str) -> None:
        """Write the towns' files, and put what processes import where Python finds it."""
        for slug, toml in towns.items():
            (self.folder / "tenants" / slug).mkdir(parents=True)
            (self.folder / "tenants" / slug / "tenant.toml").write_text(toml, "utf-8")
        site = self.folder / "site"
        info = site / "preau_faults-1.0.dist-info"
        info.mkdir(parents=True)
        (site / "sitecustomize.py").write_text(CUSTOMISE)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: preau-faults\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(entry_points)

    def broker_url(self, name: str) -> str:
        """Where a broker answers."""
        return f"redis://127.0.0.1:{self.brokers[name]}/0"

    def new_broker(self, name: str) -> None:
        """Start one more, with nothing in it, at an address of its own."""
        self.brokers[name] = free_port()
        self.start(name)

    def variables(self, name: str) -> dict[str, str]:
        """Settings of a machine, as it finds them in its environment."""
        own = {**self.settings, "redis_url": self.broker_url(self.moved.get(name, "valkey"))}
        return {f"PREAU_{key.upper()}": value for key, value in own.items()}

    def start(self, name: str) -> None:
        """Start a machine, unless it runs. To be called from the main thread.

        One that is in `moved` has the broker of that name instead of the first.
        """
        if name in self.processes and self.processes[name].poll() is None:
            return
        if name in self.brokers:
            command = [
                str(_valkey_binary()), "--port", str(self.brokers[name]), "--bind", "127.0.0.1",
                "--save", "", "--appendonly", "no", "--dir", str(self.folder),
            ]  # fmt: skip
        else:
            command = [sys.executable, "-P", "-m", "core.cli.main", *self.commands[name]]
        places = [str(self.folder / "site"), str(Path(__file__).parent)]
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = popen(
                command, stdout=log, stderr=log, cwd=self.folder, start_new_session=True,
                env={
                    **os.environ, **self.variables(name), **self.environment,
                    "FAULTS_CLOCK": str(self.folder / "clock"),
                    "PYTHONPATH": os.pathsep.join(places), "PYTHONWARNINGS": "ignore",
                },
                preexec_fn=die_with_parent(signal.SIGKILL),
            )  # fmt: skip
        if name in self.brokers:
            self.until(lambda: self.redis_answers(name))

    def all_up(self) -> None:
        """Start whatever does not run."""
        for name in ("valkey", *self.commands):
            self.start(name)

    def kill(self, name: str) -> None:
        """As the kernel's out-of-memory killer does, with all its children."""
        process = self.processes.pop(name)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def crash_postgresql(self) -> None:
        """At once: the next start recovers from its journal."""
        process = self.databases.processes["postgresql"]
        process.send_signal(signal.SIGQUIT)
        process.wait(PATIENCE_SECONDS)

    def restart_postgresql(self) -> None:
        """Start it again after a crash."""
        self.databases.stop()
        self.databases.start()

    def end(self, name: str) -> int:
        """End a machine as the service manager does, which waits; what it said."""
        process = self.processes.pop(name)
        process.terminate()
        return process.wait(2 * PATIENCE_SECONDS)

    def redis(self, name: str = "valkey") -> Redis:
        """A client."""
        return Redis(port=self.brokers[name], socket_timeout=PATIENCE_SECONDS)

    def redis_answers(self, name: str = "valkey") -> bool:
        """Whether it is there."""
        try:
            with self.redis(name) as client:
                return bool(client.ping())
        except RedisError:
            return False

    def town(self, slug: str = "valmont") -> Any:
        """A unit of work."""
        return self.runtime.unit_of_work(slug)

    def rows(self, statement: str, slug: str = "valmont", **values: Any) -> list[tuple[Any, ...]]:
        """What a statement gives in a town."""
        with self.town(slug) as town:
            return [tuple(row) for row in town.session.execute(text(statement), values)]

    def left(self, slug: str = "valmont") -> int:
        """How many effects are still to come, or dead."""
        # Polls go on by themselves for as long as a payment is open.
        ((count,),) = self.rows(
            "SELECT count(*) FROM outbox WHERE state <> 'done' AND topic <> 'payment.poll'", slug
        )
        return int(count)

    def until(self, condition: Callable[[], bool], seconds: float = 2 * PATIENCE_SECONDS) -> None:
        """Wait for `condition`.

        Raises:
            AssertionError: with the last words of all machines.
        """

        def asked() -> bool:
            # Most of the time belongs to those who are waited for, not to the asking.
            began = time.monotonic()
            if not (found := condition()):
                time.sleep(min(4 * (time.monotonic() - began), 0.2))
            return found

        wait_until(asked, seconds, said=self.last_words)

    def last_words(self) -> str:
        """What still is to be done, and the ends of the logs."""
        logs = "\n".join(
            f"== {path.name}\n{path.read_text('utf-8', 'replace')[-4000:]}"
            for path in self.folder.glob("*.log")
        )
        left = [
            (config.slug, *row)
            for config in self.runtime.registry
            for row in self.rows(
                "SELECT topic, state, attempts, last_error FROM outbox WHERE state <> 'done'",
                config.slug,
            )
        ]
        return f"{left}\n{logs}"

    def close(self) -> None:
        """Kill all."""
        for name in list(self.processes):
            self.kill(name)
        self.runtime.close()
        self.databases.stop()


@contextmanager
def folder() -> Iterator[Path]:
    """A folder for a house: not below pytest's, for PostgreSQL may have to run as another user.

    Codes are hashed at their real price meanwhile: a code is found by its hash, which the machines
    make for themselves.
    """
    with (
        real_hashes(),
        tempfile.TemporaryDirectory(prefix="preau-faults-", ignore_cleanup_errors=True) as name,
    ):
        Path(name).chmod(0o711)
        yield Path(name)
