"""A real object store for tests: SeaweedFS from its wheel, small, on ports that it is told."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.dev.embedded import die_with_parent, free_port
from core.platform.documents.objects import ObjectStore, StoreAwayError
from core.platform.settings import load
from core.testing.waiting import PATIENCE_SECONDS

KEY, SECRET = "preau", "secret-of-the-tests"
START_SECONDS = PATIENCE_SECONDS


class Seaweed:
    """One SeaweedFS on loopback; its files are gone with it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ports = {
            name: free_port()
            for name in (
                "master.port", "master.port.grpc", "volume.port", "volume.port.grpc",
                "filer.port", "filer.port.grpc", "s3.port", "s3.port.grpc", "metricsPort",
            )
        }  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        """Address of its S3."""
        return f"http://127.0.0.1:{self._ports['s3.port']}"

    def settings(self, bucket: str) -> dict[str, Any]:
        """Settings of an installation that keeps its papers here."""
        return {
            "documents_url": f"s3://{bucket}",
            "documents_endpoint": self.endpoint,
            "documents_key_id": KEY,
            "documents_secret": SECRET,
        }

    def start(self) -> None:
        """Start it, and wait until it takes and gives objects."""
        data = self._folder / "data"
        data.mkdir(exist_ok=True)
        identity = {
            "name": KEY,
            "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
            "actions": ["Admin", "Read", "Write", "List"],
        }
        config = self._folder / "s3.json"
        config.write_text(json.dumps({"identities": [identity]}), "utf-8")
        program = shutil.which("weed", path=str(Path(sys.executable).parent))
        assert program, "pip install -r requirements/dev.txt"
        command = [
            program, "-logtostderr", "server", f"-dir={data}", "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1", "-filer", f"-filer.localSocket={self._folder / 'filer.sock'}",
            "-filer.encryptVolumeData", "-s3", f"-s3.config={config}", "-s3.iam=false",
            "-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false",
            "-master.volumeSizeLimitMB=32", "-volume.max=20",
            *(f"-{name}={port}" for name, port in self._ports.items()),
        ]  # fmt: skip
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own program and arguments
                command,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=die_with_parent(signal.SIGKILL),  # noqa: PLW1509
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                said = (self._folder / "log").read_text("utf-8", "replace")[-2000:]
                self.stop()
                raise AssertionError(f"SeaweedFS does not start: {said}")
            time.sleep(0.1)

    def stop(self) -> None:
        """Kill it: what it acknowledged is on disk."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Let it take connections and answer nothing, as an overloaded one does."""
        assert self._process
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it answer again."""
        assert self._process
        self._process.send_signal(signal.SIGCONT)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(self.endpoint, timeout=10):  # noqa: S310 - loopback
                pass
        except urllib.error.HTTPError:
            pass
        except OSError:
            return False
        try:
            ObjectStore(load(**self.settings("start"))).check()
        except StoreAwayError:
            return False
        return True


@pytest.fixture(scope="session")
def seaweed() -> Iterator[Seaweed]:
    """SeaweedFS, started once: some ten seconds on a busy machine."""
    with tempfile.TemporaryDirectory(prefix="weed-", ignore_cleanup_errors=True) as folder:
        server = Seaweed(Path(folder))
        server.start()
        yield server
        server.stop()
