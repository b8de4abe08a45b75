"""What is installed while the portal runs is loaded at a reload, and by nothing else."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from contextlib import suppress
from types import SimpleNamespace

import httpx
import pytest
from deploy_tools import until_it_listens
from sqlalchemy import text

from core.dev.embedded import die_with_parent, free_port
from core.processes import serving
from core.processes.app import make_app
from core.testing.portal import make_portal
from core.testing.preloaded import NURSERY, popen
from core.testing.waiting import PATIENCE_SECONDS, is_alive, wait_until

EACH = 5
"""Requests after which gunicorn replaces a worker here."""

BROKEN = "raise ImportError('a library that is not there')\n"
EXITS = "raise SystemExit(3)\n"
GOOD = """\
import os, pathlib
from core.plugin import Plugin, PluginSettings
pathlib.Path(os.environ["LOADED"]).touch()
class Late(Plugin):
    name, label, Settings = "late", "Late", PluginSettings
plugin = Late()
"""
QUICK_CLOCK = """\
import sys, time

if "core.processes.generations" in sys.orig_argv:
    real = time.monotonic
    time.monotonic = lambda: 600 * real()
"""


@pytest.fixture
def portal(database, redis, tmp_path):
    made = make_portal(database, tmp_path / "portal")
    yield made
    made.runtime.close()


class Installed:
    """A folder of the environment, in which a plugin may appear."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()

    def install(self, code):
        (self.folder / "late_plugin.py").write_text(code, "utf-8")
        about = self.folder / "late_plugin-1.0.dist-info"
        about.mkdir(exist_ok=True)
        (about / "METADATA").write_text("Metadata-Version: 2.1\nName: late-plugin\nVersion: 1.0\n", "utf-8")
        (about / "entry_points.txt").write_text("[preau.plugins]\nlate = late_plugin:plugin\n", "utf-8")


@pytest.fixture
def environment(tmp_path):
    return Installed(tmp_path / "environment")


@pytest.fixture
def start(portal, environment, tmp_path):
    """Start `preau web`, whose two workers live short; gives the process, its address and its log.

    By `start`, which is `core.testing.preloaded.popen` where what it loads first is not the subject.
    """
    settings = portal.runtime.settings
    names = ("database_url", "redis_url", "tenants_dir", "data_dir")
    variables = {f"PREAU_{name.upper()}": str(getattr(settings, name)) for name in names}
    # The steered provider is installed in this process only; nobody pays here.
    for path in settings.tenants_dir.glob("*/tenant.toml"):
        words = path.read_text("utf-8")
        path.write_text(words.partition("[plugins.fakepay]")[0], "utf-8")
    log, processes = tmp_path / "web.log", []

    def started(start=subprocess.Popen):
        port = free_port()
        with log.open("wb") as output:
            process = start(
                [
                    sys.executable, "-P", "-m", "core.cli.main", "web", "--port", str(port),
                    "--workers", "2", "--max-requests", str(EACH),
                ],
                stdout=output, stderr=output, start_new_session=True,
                env={
                    **os.environ, **variables, "TMPDIR": str(tmp_path),
                    "PREAU_PUBLIC_BASE_URL": f"http://127.0.0.1:{port}",
                    "PYTHONPATH": str(environment.folder), "PYTHONDONTWRITEBYTECODE": "1",
                    "LOADED": str(tmp_path / "loaded"),
                },
                preexec_fn=die_with_parent(signal.SIGTERM),
            )  # fmt: skip
        processes.append(process)
        return process, f"http://127.0.0.1:{port}", log

    yield started
    for process in processes:
        process.terminate()
        process.wait(PATIENCE_SECONDS)


@pytest.fixture
def web(start):
    process, base, log = start(popen)
    until_it_listens(int(base.rpartition(":")[2]), process, log)
    asks(base, 1)
    return process, base, log


def asks(base, count):
    for _time in range(count):
        answer = httpx.get(f"{base}/valmont/connexion", timeout=PATIENCE_SECONDS, trust_env=False)
        assert answer.status_code == 200


def children(pid):
    """The children of a process, without the one that forks itself where `preau web` is started so."""
    found = subprocess.run(["pgrep", "-lP", str(pid)], capture_output=True, text=True, check=False)
    named = (line.split() for line in found.stdout.splitlines())
    return {int(number) for number, name in named if name != NURSERY}


def workers(process):
    return {worker for master in children(process.pid) for worker in children(master)}


def until(true, log):
    wait_until(true, said=lambda: log.read_text("utf-8", "replace")[-2000:])


def test_a_start_in_production_complains_of_nothing(start, tmp_path, monkeypatch):
    """As a service: json lines only, and a home folder that nobody may write to."""
    monkeypatch.setenv("PREAU_LOG_FORMAT", "json")
    monkeypatch.setenv("HOME", str(tmp_path / "nowhere"))
    monkeypatch.delenv("PYTHONWARNINGS", raising=False)
    process, base, log = start()
    until_it_listens(int(base.rpartition(":")[2]), process, log)
    asks(base, 1)
    until(lambda: len(workers(process)) == 2, log)
    said = log.read_text("utf-8")
    assert [line for line in said.splitlines() if not line.startswith("{")] == []
    assert "error" not in said


def test_a_plugin_that_does_not_load_ends_no_portal_that_runs(web, environment, tmp_path):
    """Neither one that cannot be imported nor one that ends the process; the one after them is taken up."""
    process, base, log = web
    (master,) = children(process.pid)

    def refusals():
        return log.read_text("utf-8").count("plugin 'late' does not load")

    for code in (BROKEN, EXITS):
        first, before = workers(process), refusals()
        environment.install(code)

        def replaced(first=first):
            asks(base, EACH)
            return not workers(process) & first and len(workers(process)) >= 2

        wait_until(replaced)
        assert children(process.pid) == {master}, "those are workers of the gunicorn that runs"

        process.send_signal(signal.SIGHUP)
        until(lambda before=before: refusals() > before and children(process.pid) == {master}, log)
        asks(base, EACH)

    environment.install(GOOD)
    process.send_signal(signal.SIGHUP)
    until(lambda: master not in children(process.pid), log)
    assert (tmp_path / "loaded").exists(), "a reload is what takes up new code"
    asks(base, EACH)
    process.terminate()
    assert process.wait(PATIENCE_SECONDS) == 0


def test_a_portal_does_not_start_on_a_plugin_that_does_not_load(start, environment):
    environment.install(BROKEN)
    process, _base, log = start(popen)
    assert process.wait(PATIENCE_SECONDS) == 1
    assert "plugin 'late' does not load" in log.read_text("utf-8")


def test_a_first_start_may_take_as_long_as_it_takes(start, environment):
    """Nothing serves beside it: whoever started it knows how long to wait. Here a minute is 0.1 s."""
    (environment.folder / "sitecustomize.py").write_text(QUICK_CLOCK, "utf-8")
    process, base, log = start()

    def serves():
        process.send_signal(signal.SIGCHLD)  # Let it look at the clock.
        assert process.poll() is None, log.read_text("utf-8", "replace")
        with suppress(httpx.TransportError):
            return httpx.get(f"{base}/health/live", timeout=1, trust_env=False).is_success

    wait_until(serves, said=lambda: log.read_text("utf-8", "replace")[-2000:])


def test_workers_end_with_the_process_that_started_them(web):
    process, _base, log = web
    (master,), serving_ = children(process.pid), workers(process)
    process.kill()
    process.wait(PATIENCE_SECONDS)
    until(lambda: not any(is_alive(pid) for pid in {master, *serving_}), log)


def test_a_worker_has_connections_of_its_own(portal):
    """The master, which loads the code, may have some of its own, for PostgreSQL and Redis."""
    runtime = portal.runtime
    application = make_app(runtime)
    worker = SimpleNamespace(app=SimpleNamespace(wsgi=lambda: application))

    def mine():
        with portal.town() as town:
            server = town.session.scalar(text("SELECT pg_backend_pid()"))
        return server, runtime.redis.client_id()

    fork = multiprocessing.get_context("fork")
    told = fork.SimpleQueue()

    def work():
        serving.post_fork(None, worker)
        told.put((mine(), mine()))

    before = mine()
    processes = [fork.Process(target=work) for _worker in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(PATIENCE_SECONDS)
        process.kill()
    found = [told.get() for process in processes if not process.exitcode]
    assert len(found) == 2
    assert all(first == again for first, again in found)
    servers, clients = zip(before, *(first for first, _again in found), strict=True)
    assert len(set(servers)) == len(set(clients)) == 3
    assert mine() == before
