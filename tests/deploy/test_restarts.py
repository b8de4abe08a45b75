"""New code without a pause: reloads and stops under load lose no request, and no work is lost."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from deploy_tools import until_it_listens

from core.dev.embedded import die_with_parent, free_port
from core.testing.portal import make_portal, record
from core.testing.waiting import PATIENCE_SECONDS, wait_until

CLIENTS = 3


@pytest.fixture(scope="module")
def portal(module_database, tmp_path_factory):
    made = make_portal(module_database, tmp_path_factory.mktemp("portal"))
    made.runtime.redis.flushall()
    made.publish(*(record(f"{n}", family=f"F{n:03d}") for n in range(3)))
    yield made
    made.runtime.close()


@pytest.fixture
def web(portal, tmp_path):
    """`preau web` with one process; gives the process and its address."""
    settings = portal.runtime.settings
    port = free_port()
    names = ("database_url", "redis_url", "tenants_dir", "data_dir")
    variables = {f"PREAU_{name.upper()}": str(getattr(settings, name)) for name in names}
    # The steered provider is installed in this process only; nobody pays here.
    for path in settings.tenants_dir.glob("*/tenant.toml"):
        text = path.read_text("utf-8")
        path.write_text(text.partition("[plugins.fakepay]")[0], "utf-8")
    log = tmp_path / "web.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "core.cli.main", "web", "--port", str(port), "--workers", "1"],
            stdout=output, stderr=output, start_new_session=True,
            env={**os.environ, **variables, "TMPDIR": str(tmp_path), "PREAU_PUBLIC_BASE_URL": f"http://127.0.0.1:{port}"},
            preexec_fn=die_with_parent(signal.SIGTERM),  # noqa: PLW1509 - not from a thread
        )  # fmt: skip
    until_it_listens(port, process, log)
    yield process, f"http://127.0.0.1:{port}", log
    if process.poll() is None:
        process.terminate()
        process.wait(PATIENCE_SECONDS)


class Load:
    """Clients that ask one page after the other, each over a connection of its own."""

    def __init__(self, base):
        self.base = base
        self.answers = Counter()
        self.stopped = threading.Event()
        self.pool = ThreadPoolExecutor(CLIENTS)

    def __enter__(self):
        for _client in range(CLIENTS):
            self.pool.submit(self.ask)
        return self

    def __exit__(self, *_exc):
        self.stopped.set()
        self.pool.shutdown()

    def ask(self):
        while not self.stopped.is_set():
            try:
                answer = httpx.get(f"{self.base}/valmont/connexion", timeout=PATIENCE_SECONDS, trust_env=False)
                self.answers[answer.status_code] += 1
            except httpx.HTTPError as error:
                self.answers[type(error).__name__] += 1

    def until(self, more):
        wanted = self.answers[200] + more
        wait_until(lambda: self.answers[200] >= wanted, said=lambda: self.answers)


def is_read(asking):
    """What was sent over a connection of this machine was taken, and read, by the other side."""
    here, there = (f"{address[1]:04X}" for address in (asking.getsockname(), asking.getpeername()))
    for line in Path("/proc/net/tcp").read_text("ascii").splitlines()[1:]:
        fields = line.split()
        if (fields[1].partition(":")[2], fields[2].partition(":")[2]) == (there, here):
            # Nobody has taken a connection that has no inode yet.
            return fields[9] != "0" and int(fields[4].partition(":")[2], 16) == 0
    return False


def status(pid):
    """The kernel's words about a process."""
    return dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text("ascii").splitlines())


def is_told_to_stop(pid):
    """SIGTERM waits until the process goes on."""
    words = status(pid)
    waiting = int(words["ShdPnd"], 16) | int(words["SigPnd"], 16)
    return bool(waiting & 1 << (signal.SIGTERM - 1))


def children(pid):
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    return set(map(int, found.stdout.split()))


def test_reloads_and_a_stop_under_load_lose_no_request(web):
    process, base, log = web
    shared = {path.name for path in log.parent.glob("preau-metrics-*")}
    assert len(shared) == 1
    with Load(base) as load:
        load.until(3)
        before = children(process.pid)
        process.send_signal(signal.SIGHUP)
        wait_until(lambda: not children(process.pid) & before)
        load.until(6)
    assert set(load.answers) == {200}, load.answers
    metrics = httpx.get(f"{base}/metrics", timeout=PATIENCE_SECONDS, trust_env=False).text
    # What the old processes counted is counted still.
    lines = [li for li in metrics.splitlines() if li.startswith("preau_requests_total") and 'route="sign_in"' in li]
    assert sum(float(li.split()[-1]) for li in lines) >= load.answers[200]

    # A document takes a while: who waits for it when the order to stop comes, gets it.
    with socket.create_connection(("127.0.0.1", int(base.rpartition(":")[2]))) as asking:
        asking.sendall(b"GET /valmont/mode-d-emploi.pdf HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        wait_until(lambda: is_read(asking))
        # The order to stop surely comes in between: whoever draws the document stands still meanwhile.
        (master,) = children(process.pid)
        (worker,) = children(master)
        os.kill(worker, signal.SIGSTOP)
        try:
            # Of two signals that wait, SIGTERM would be taken first: it is sent to one that stands still.
            wait_until(lambda: "stopped" in status(worker)["State"])
            asking.settimeout(0)
            with pytest.raises(BlockingIOError):
                asking.recv(1, socket.MSG_PEEK)
            process.terminate()
            wait_until(lambda: is_told_to_stop(worker))
        finally:
            os.kill(worker, signal.SIGCONT)
        asking.settimeout(PATIENCE_SECONDS)
        answer = asking.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"%PDF" in answer
    assert answer.rstrip().endswith(b"%%EOF")
    assert process.wait(PATIENCE_SECONDS) == 0
    assert list(log.parent.glob("preau-metrics-*")) == []
