"""The simulator as its own process: started by its command, killed, started again."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from plugins.payfip.client import Client
from plugins.payfip.fields import Creation

CREATION = Creation("2026", "a@b.fr", "5687", "006382", "X", "ABCDEF", "T", "http://x/n", "http://x/r")
COMMAND = "import plugins.payfip.commands as c; c.simulator()"


def start(port: int, state: Path) -> subprocess.Popen:
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", COMMAND, "--port", str(port), "--state", str(state)],
        stdout=subprocess.DEVNULL,
    )
    for _round in range(300):
        try:
            httpx.get(f"http://127.0.0.1:{port}/_simulator/api/faults").raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.1)
        else:
            return process
    process.kill()
    raise TimeoutError


@pytest.mark.faults
def test_killed_and_started_again_it_remembers(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    state = tmp_path / "state.sqlite"
    process = start(port, state)
    try:
        with Client(f"http://127.0.0.1:{port}/tpa/services/securite") as client:
            id_op = client.create(CREATION)
            httpx.post(
                f"http://127.0.0.1:{port}/_simulator/api/operations/{id_op}/act",
                json={"action": "accept"},
            ).raise_for_status()
            process.kill()
            process.wait()
            process = start(port, state)
            assert client.payment(id_op).resultrans == "P"
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
