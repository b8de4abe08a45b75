"""``preau run`` as a test starts it, with all that it starts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

from core.cli.addresses import ENVIRONMENT
from core.dev.embedded import free_port
from core.testing.waiting import PATIENCE_SECONDS, is_alive, wait_until


class Running:
    """A `preau run` on a folder of its own.

    `start` is `core.testing.preloaded.popen` for a test whose subject is not how the processes start.
    """

    def __init__(self, data_dir, *options, start=subprocess.Popen, **variables):
        self.data_dir = data_dir
        self.port = free_port()
        ours = ("PREAU_", "PYTEST_", *ENVIRONMENT)
        bare = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
        command = [sys.executable, "-P", "-m", "core.cli.main", "run", "--data-dir", data_dir]
        self.process = start(
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

    def said(self, word, seconds=PATIENCE_SECONDS):
        found = []

        def is_said():
            ended = self.process.poll() is not None
            found.extend(line for line in list(self.lines) if word in line)
            assert found or not ended, f"{word!r} was not said:\n" + "".join(self.lines)
            return found

        wait_until(is_said, seconds, said=lambda: f"{word!r}:\n" + "".join(self.lines))
        return found[0]

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
            with suppress(OSError):  # It ended meanwhile.
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                ticks += sum(int(field) for field in fields[11:15])
        return ticks / os.sysconf("SC_CLK_TCK")

    def end(self, number=signal.SIGTERM, seconds=PATIENCE_SECONDS):
        """Send a signal and wait; tells the exit code."""
        self.process.send_signal(number)
        return self.ended(seconds)

    def ended(self, seconds=PATIENCE_SECONDS):
        """Wait for the end that it comes to by itself; tells the exit code."""
        self.process.wait(seconds)
        self._reader.join(PATIENCE_SECONDS)  # Until the last of its children is gone.
        self.process.stdout.close()
        return self.process.returncode


def alive(pids):
    return {pid for pid in pids if is_alive(pid)}


def all_gone(pids):
    """Wait until none of them is there any more."""

    def commands():
        found = []
        for pid in alive(pids):
            with suppress(OSError):
                found.append(Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " "))
        return found

    wait_until(lambda: not alive(pids), said=commands)
