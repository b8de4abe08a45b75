"""``preau run``: from nothing to a portal, its second start, its end, and what is in its way."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from core.cli.main import COMMANDS, preau
from core.cli.run import choose_ports
from core.dev.embedded import free_port

SECOND_START = 10
"""Seconds, by the specification, on two cores of one's own. Measured as processor time, because
other tests share the machine."""


class Portal:
    """A `preau run` on a folder of its own."""

    def __init__(self, data_dir, *options):
        self.data_dir = data_dir
        self.port = free_port()
        bare = {k: v for k, v in os.environ.items() if not k.startswith(("PREAU_", "PYTEST_"))}
        for name in ("PAYFIP_SIMULATOR_URL", "TELEGRAM_SIMULATOR_URL", "MAILBOX_URL"):
            bare.pop(name, None)
        command = [sys.executable, "-P", "-m", "core.cli.main", "run", "--data-dir", data_dir]
        self.process = subprocess.Popen(
            [*command, "--port", str(self.port), *options],
            env=bare,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.lines = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line)

    def said(self, word, seconds=90):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = [line for line in list(self.lines) if word in line]
            if found:
                return found[0]
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        pytest.fail(f"{word!r} was not said:\n" + "".join(self.lines))

    def state(self):
        return json.loads((self.data_dir / "run.json").read_text())

    def family(self):
        """Process ids of everything that it started and that started those."""
        parents = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(stat.parent.name)] = int(fields[1])
        found, fresh = set(), {self.process.pid}
        while fresh:
            found |= fresh
            fresh = {pid for pid, parent in parents.items() if parent in fresh} - found
        return found - {self.process.pid}

    def processor_seconds(self):
        """What it and its processes have used so far."""
        ticks = 0
        for pid in (*self.family(), self.process.pid):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(int(field) for field in fields[11:15])
        return ticks / os.sysconf("SC_CLK_TCK")

    def end(self, number=signal.SIGTERM, seconds=60):
        """Send a signal and wait; tells the exit code."""
        self.process.send_signal(number)
        return self.ended(seconds)

    def ended(self, seconds=60):
        """Wait for the end that it comes to by itself; tells the exit code."""
        self.process.wait(seconds)
        self._reader.join(5)
        self.process.stdout.close()
        return self.process.returncode


def _alive(pids):
    alive = set()
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state != "Z":
            alive.add(pid)
    return alive


def _left(pids, seconds=90):
    """The commands of those that are still there when it is over, in as long as a busy machine needs."""
    deadline = time.monotonic() + seconds
    while _alive(pids) and time.monotonic() < deadline:
        time.sleep(0.1)
    return [Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ") for pid in _alive(pids)]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("run")


@pytest.fixture
def start():
    """Starts portals; what a failed test left running is ended."""
    portals = []

    def begin(*arguments):
        portals.append(Portal(*arguments))
        return portals[-1]

    yield begin
    for portal in portals:
        portal.end()


def test_first_start_serves_and_ctrl_c_ends_everything(start, data_dir):
    portal = start(data_dir, "--no-demo")
    portal.said("Préau is ready")
    environment = portal.state()["environment"]
    health = httpx.get(f"http://127.0.0.1:{portal.port}/health/ready", trust_env=False)
    assert health.status_code == 200
    assert httpx.get(f"{environment['MAILBOX_URL']}/api/mails", trust_env=False).json() == []
    assert environment["PREAU_PUBLIC_BASE_URL"].endswith(str(portal.port))
    assert (data_dir / "run.json").stat().st_mode & 0o077 == 0
    phones = environment["TELEGRAM_SIMULATOR_URL"]
    httpx.post(f"{phones}/personnes", data={"nom": "Solène", "langue": "fr"}, trust_env=False)

    # A second one on the same folder is refused, and disturbs nothing.
    other = start(data_dir)
    other.said("runs already")
    assert other.ended() == 1

    started = portal.family()
    assert len(started) > 8
    before = time.monotonic()
    assert portal.end(signal.SIGINT) == 0
    assert time.monotonic() - before < 12
    assert _alive(started) == set()
    assert not (data_dir / "run.json").exists()


def test_second_start_is_quick_and_a_process_that_dies_ends_all(start, data_dir):
    portal = start(data_dir, "--no-demo")
    portal.said("Préau is ready")
    took = portal.processor_seconds()
    phones = portal.state()["environment"]["TELEGRAM_SIMULATOR_URL"]
    assert "Solène" in httpx.get(phones, trust_env=False).text, "who was there, and what was said"
    started = portal.family()
    relay = next(
        pid for pid in started if "\0relay\0" in Path(f"/proc/{pid}/cmdline").read_text()
    )
    os.kill(relay, signal.SIGKILL)
    portal.said("relay was killed by SIGKILL")
    assert portal.ended() == 1
    assert _alive(started) == set()
    assert took < 2 * SECOND_START


def test_killed_outright_it_leaves_nothing_behind(start, data_dir):
    portal = start(data_dir, "--no-demo")
    portal.said("Préau is ready")
    started = portal.family()
    portal.end(signal.SIGKILL)
    assert _left(started) == []


def test_a_signal_while_it_starts_ends_it_cleanly(start, tmp_path):
    portal = start(tmp_path, "--no-demo")
    while not (tmp_path / "log" / "postgresql.log").exists():
        assert portal.process.poll() is None
        time.sleep(0.02)
    started = portal.family()
    assert portal.end(signal.SIGTERM) == 0
    assert _left(started) == []


def test_ports_that_are_taken_are_named_and_replaced(capsys):
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        taken = somebody.getsockname()[1]
        chosen = choose_ports({"web": taken, "smtp": taken})
    assert taken not in chosen.values()
    assert chosen["web"] != chosen["smtp"]
    assert f"Port {taken} (web) is taken; using {chosen['web']}" in capsys.readouterr().out


def test_production_is_refused(monkeypatch):
    for name, value in {
        "ENVIRONMENT": "production",
        "SECRET_KEY": "k" * 40,
        "PUBLIC_BASE_URL": "https://example.fr",
        "DATABASE_URL": "postgresql+psycopg://x",
        "REDIS_URL": "redis://x",
    }.items():
        monkeypatch.setenv(f"PREAU_{name}", value)
    result = CliRunner().invoke(preau, ["run"])
    assert result.exit_code == 1
    assert "operating.md" in result.output


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_loads_and_has_help(name):
    result = CliRunner().invoke(preau, [name, "--help"])
    assert result.exit_code == 0, result.output
    assert "does not load" not in result.output
