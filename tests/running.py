"""``preau run`` as a test starts it, with all that it starts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from core.cli.addresses import ENVIRONMENT
from core.dev.embedded import free_port


class Running:
    """A `preau run` on a folder of its own."""

    def __init__(self, data_dir, *options, **variables):
        self.data_dir = data_dir
        self.port = free_port()
        ours = ("PREAU_", "PYTEST_", *ENVIRONMENT)
        bare = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
        command = [sys.executable, "-P", "-m", "core.cli.main", "run", "--data-dir", data_dir]
        self.process = subprocess.Popen(
            [*command, "--port", str(self.port), *options],
            env=bare | variables,
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
        self._reader.join(90)  # Until the last of its children is gone.
        self.process.stdout.close()
        return self.process.returncode


def alive(pids):
    living = set()
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state != "Z":
            living.add(pid)
    return living


def left(pids, seconds=90):
    """The commands of those that are still there when it is over, in as long as a busy machine needs."""
    deadline = time.monotonic() + seconds
    while alive(pids) and time.monotonic() < deadline:
        time.sleep(0.1)
    return [Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ") for pid in alive(pids)]
