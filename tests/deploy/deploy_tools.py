"""Where the examples of deploy/ lie, and how to run a server of the system."""

from __future__ import annotations

import os
import shutil
import socket
import time
from pathlib import Path

DEPLOY = Path(__file__).parents[2] / "deploy"


def program(name: str) -> str:
    """A server's program; `make test` installs what is missing."""
    path = shutil.which(name, path=os.pathsep.join((os.environ["PATH"], "/usr/sbin", "/usr/bin")))
    assert path, f"{name} is missing: make servers"
    return path


def until_it_listens(port: int, process, log: Path) -> None:
    """Wait for a server that was just started."""
    for _time in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert process.poll() is None, log.read_text("utf-8", "replace")[-2000:]
        time.sleep(0.05)
    raise AssertionError(log.read_text("utf-8", "replace")[-2000:])
