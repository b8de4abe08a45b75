"""Where the examples of deploy/ lie, and how to run a server of the system."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from core.dev.embedded import die_with_parent
from core.testing.waiting import PATIENCE_SECONDS, wait_until

DEPLOY = Path(__file__).parents[2] / "deploy"


def program(name: str) -> str:
    """A server's program; `make test` installs what is missing."""
    path = shutil.which(name, path=os.pathsep.join((os.environ["PATH"], "/usr/sbin", "/usr/bin")))
    assert path, f"{name} is missing: make servers"
    return path


def until_it_listens(port: int, process, log: Path) -> None:
    """Wait for a server that was just started."""

    def said():
        return log.read_text("utf-8", "replace")[-2000:]

    def listens():
        assert process.poll() is None, said()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    wait_until(listens, said=said)


@contextmanager
def upstream(answers: type[BaseHTTPRequestHandler]) -> Iterator[int]:
    """A server in the portal's place; gives its port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def example(name: str, moved: Mapping[str, str]) -> str:
    """A file of deploy/nginx, with other ports and folders: each pattern has to be there."""
    site = (DEPLOY / "nginx" / name).read_text("utf-8")
    for pattern, value in moved.items():
        site, count = re.subn(pattern, value, site)
        assert count >= 1, pattern
    return site


def configured(folder: Path, http: str) -> list[str]:
    """Write nginx's own file around what stands in its block `http`; the command that runs it."""
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"worker_processes 1; pid {folder}/pid; error_log {folder}/error.log; events {{}}"
        f" http {{ {temporary} {http} }}"
    )
    return [program("nginx"), "-c", f"{folder}/nginx.conf", "-e", f"{folder}/error.log"]


def checked(folder: Path, http: str) -> str:
    """What nginx says of a configuration that it takes."""
    said = subprocess.run([*configured(folder, http), "-t"], capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    return said.stderr


@contextmanager
def running_nginx(folder: Path, http: str, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """nginx with this block `http`, which listens at `port`."""
    folder.chmod(0o711)
    log = folder / "output"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*configured(folder, http), "-g", "daemon off;"],
            stdout=output, stderr=output, preexec_fn=die_with_parent(15),  # noqa: PLW1509 - not from a thread
        )  # fmt: skip
    try:
        until_it_listens(port, process, log)
        yield process
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)
