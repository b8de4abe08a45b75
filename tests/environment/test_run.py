"""``preau run``: from nothing to a portal, its second start, its end, and what is in its way."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from core.cli.main import COMMANDS, preau
from core.cli.run import _Interruption, choose_ports
from core.testing.preloaded import popen
from core.testing.waiting import PATIENCE_SECONDS, wait_until
from tests.running import Running, all_gone

SECOND_START = 10
"""Times that a second start may take what loading the code once takes, in processor time: five when it was measured.

By the specification it is quick, on any machine, and other tests share this one."""
LOADING = "import core.processes.app, core.processes.worker"


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("run")


@pytest.fixture
def start():
    """Starts portals; what a failed test left running is ended."""
    portals = []

    def begin(*arguments, **options):
        portals.append(Running(*arguments, **options))
        return portals[-1]

    yield begin
    for portal in portals:
        portal.end()


def first_start(start, folder):
    """A portal on an empty folder, with somebody in its telephones."""
    # A second start loads the code as any does, ten times.
    portal = start(folder, "--no-demo", start=popen)
    portal.said("Préau is ready")
    phones = portal.state()["environment"]["TELEGRAM_SIMULATOR_URL"]
    httpx.post(f"{phones}/personnes", data={"nom": "Solène", "langue": "fr"}, trust_env=False, timeout=PATIENCE_SECONDS)
    return portal


def test_first_start_serves_and_ctrl_c_ends_everything(start, data_dir):
    portal = first_start(start, data_dir)
    environment = portal.state()["environment"]
    health = httpx.get(f"http://127.0.0.1:{portal.port}/health/ready", trust_env=False, timeout=PATIENCE_SECONDS)
    assert health.status_code == 200
    assert httpx.get(f"{environment['MAILBOX_URL']}/api/mails", trust_env=False, timeout=PATIENCE_SECONDS).json() == []
    assert environment["PREAU_PUBLIC_BASE_URL"].endswith(str(portal.port))
    assert (data_dir / "run.json").stat().st_mode & 0o077 == 0

    # A second one on the same folder is refused, and disturbs nothing.
    other = start(data_dir, start=popen)
    other.said("runs already")
    assert other.ended() == 1

    started = portal.family()
    assert len(started) > 8
    assert portal.end(signal.SIGINT) == 0
    all_gone(started)
    assert not (data_dir / "run.json").exists()


def test_second_start_is_quick_and_a_process_that_dies_ends_all(start, data_dir):
    if not any(data_dir.iterdir()):
        assert first_start(start, data_dir).end(signal.SIGINT) == 0
    portal = start(data_dir, "--no-demo")
    portal.said("Préau is ready")
    took = portal.processor_seconds()
    phones = portal.state()["environment"]["TELEGRAM_SIMULATOR_URL"]
    assert "Solène" in httpx.get(phones, trust_env=False, timeout=PATIENCE_SECONDS).text, "who was there, and what was said"
    started = portal.family()
    relay = next(
        pid for pid in started if "\0relay\0" in Path(f"/proc/{pid}/cmdline").read_text()
    )
    os.kill(relay, signal.SIGKILL)
    portal.said("relay was killed by SIGKILL")
    assert portal.ended() == 1
    all_gone(started)
    before = os.times()
    subprocess.run([sys.executable, "-W", "ignore", "-c", LOADING], check=True)
    after = os.times()
    loading = after.children_user + after.children_system - before.children_user - before.children_system
    assert took < SECOND_START * loading


def test_a_signal_while_it_starts_ends_it_cleanly(start, tmp_path):
    portal = start(tmp_path, "--no-demo", start=popen)

    def has_begun():
        assert portal.process.poll() is None
        return (tmp_path / "log" / "postgresql.log").exists()

    wait_until(has_begun)
    started = portal.family()
    assert portal.end(signal.SIGTERM) == 0
    all_gone(started)


def test_ports_that_are_taken_are_named_and_replaced(capsys):
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        taken = somebody.getsockname()[1]
        chosen = choose_ports({"web": taken, "smtp": taken})
    assert taken not in chosen.values()
    assert chosen["web"] != chosen["smtp"]
    assert f"Port {taken} (web) is taken; using {chosen['web']}" in capsys.readouterr().out


@pytest.fixture
def hangups_ignored():
    """A process as ``nohup`` begins it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGHUP, before)


def test_a_terminal_that_closes_ends_no_portal_begun_by_nohup(hangups_ignored):
    interruption = _Interruption()
    try:
        signal.raise_signal(signal.SIGHUP)
        interruption.check()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
    finally:
        interruption.end()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_production_is_refused(monkeypatch):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
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
    # And signals do to this process what they did.
    assert before == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_loads_and_has_help(name):
    result = CliRunner().invoke(preau, [name, "--help"])
    assert result.exit_code == 0, result.output
    assert "does not load" not in result.output
