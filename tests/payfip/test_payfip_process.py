"""The simulator as its own process: started by its command, killed, started again."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from core.dev.embedded import free_port
from core.testing.waiting import PATIENCE_SECONDS, wait_until
from plugins.payfip.client import Client
from plugins.payfip.fields import Creation

CREATION = Creation("2026", "a@b.fr", "5687", "006382", "X", "ABCDEF", "T", "http://x/n", "http://x/r")
COMMAND = "import plugins.payfip.commands as c; c.simulator()"


def start(port: int, state: Path) -> subprocess.Popen:
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", COMMAND, "--port", str(port), "--state", str(state)],
        stdout=subprocess.DEVNULL,
    )


    def answers() -> bool:
        assert process.poll() is None
        try:
            url = f"http://127.0.0.1:{port}/_simulator/api/faults"
            return httpx.get(url, timeout=PATIENCE_SECONDS).is_success
        except httpx.HTTPError:
            return False

    try:
        wait_until(answers)
    except BaseException:
        process.kill()
        raise
    return process


@pytest.mark.faults
def test_killed_and_started_again_it_remembers(tmp_path: Path) -> None:
    port = free_port()
    state = tmp_path / "state.sqlite"
    process = start(port, state)
    try:
        with Client(f"http://127.0.0.1:{port}/tpa/services/securite") as client:
            id_op = client.create(CREATION)
            httpx.post(
                f"http://127.0.0.1:{port}/_simulator/api/operations/{id_op}/act",
                json={"action": "accept"}, timeout=PATIENCE_SECONDS,
            ).raise_for_status()
            process.kill()
            process.wait()
            process = start(port, state)
            assert client.payment(id_op).resultrans == "P"
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0
    finally:
        process.kill()
        process.wait()
