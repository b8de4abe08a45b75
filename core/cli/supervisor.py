"""A small supervisor: starts processes, prefixes what they say, and stops all when one ends.

It restarts nothing. In production systemd does that; in development a process that dies is news.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

import click

from core.dev.embedded import die_with_parent

STOP_SECONDS = 8.0
"""Time that a process may take to finish its current work, once told to stop."""

LAST_LINES = 20
"""Lines of a process that are shown when it ends."""

_GRAVE = re.compile(r"\[(error|critical) *\]")
"""A line of the log that a person should see at once."""

_COLOURS = ("cyan", "green", "magenta", "yellow", "blue", "bright_cyan", "bright_green")


class ProcessEndedError(Exception):
    """A process that has to run forever ended by itself; the message names it."""


class Supervisor:
    """Runs processes in their own sessions, tied to this one: none outlives it."""

    def __init__(
        self, environment: Mapping[str, str], *, width: int = 12, log: Path | None = None
    ) -> None:
        """Write what the processes say to the terminal, or to the file `log`.

        Errors are shown all the same, and the last words of a process that ends.
        """
        self._environment = dict(environment)
        self._width = width
        self._log = log.open("a", encoding="utf-8") if log else None
        self._last: dict[str, deque[str]] = {}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._watched: dict[str, subprocess.Popen[bytes]] = {}
        self._readers: list[threading.Thread] = []
        self._print = threading.Lock()

    def start(self, name: str, arguments: Sequence[str]) -> None:
        """Start a process. To be called from the main thread, whose end ends the process too."""
        process = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=self._environment,
            # Ctrl-C goes to the whole foreground group; the order of stopping is ours.
            start_new_session=True,
            preexec_fn=die_with_parent(signal.SIGTERM),  # noqa: PLW1509  (async-signal-safe calls)
        )
        colour = _COLOURS[len(self._processes) % len(_COLOURS)]
        self._processes[name] = process
        reader = threading.Thread(
            target=self._pump, args=(name, process.stdout, colour), name=name, daemon=True
        )
        reader.start()
        self._readers.append(reader)

    def watch(self, name: str, process: subprocess.Popen[bytes]) -> None:
        """Take a process started elsewhere into `check`, not into `stop`."""
        self._watched[name] = process

    def check(self) -> None:
        """Look whether all still run.

        Raises:
            ProcessEndedError: naming the one that does not.
        """
        for name, process in (self._processes | self._watched).items():
            code = process.poll()
            if code is not None:
                self._tell_last_words(name)
                killed = code < 0
                how = f"was killed by {signal.Signals(-code).name}" if killed else f"ended ({code})"
                raise ProcessEndedError(f"{name} {how}")

    def wait_until(self, ready: Callable[[], bool], seconds: float) -> bool:
        """Wait until `ready`, at most `seconds`, as long as all run; tells whether it is."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.check()
            if ready():
                return True
            time.sleep(0.05)
        return False

    def stop(self) -> None:
        """Ask all processes to end, and after `STOP_SECONDS` end them with their children."""
        for process in self._processes.values():
            if process.poll() is None:
                process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for name, process in self._processes.items():
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                self.say("run", f"{name} does not stop; ending it")
            # Its session holds its children: none of them may stay behind, even if it crashed.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for reader in self._readers:
            reader.join(1)
        self._processes.clear()
        if self._log is not None:
            self._log.close()
            self._log = None

    def say(self, name: str, line: str, colour: str | None = None) -> None:
        """Write a line under a name, whole."""
        prefix = f"{name:>{self._width}} | "
        with self._print, suppress(BrokenPipeError):
            click.echo((click.style(prefix, fg=colour) if colour else prefix) + line)
            sys.stdout.flush()

    def _tell_last_words(self, name: str) -> None:
        """Show what one said before it ended, where that stands in the file only."""
        for reader in self._readers:
            if reader.name == name:
                reader.join(1)  # Its last line may still be on its way.
        for line in self._last.pop(name, ()):
            self.say(name, line)

    def _hear(self, name: str, line: str, colour: str) -> None:
        if self._log is None:
            self.say(name, line, colour)
            return
        with self._print:
            self._log.write(f"{name:>{self._width}} | {line}\n")
            self._log.flush()
        if _GRAVE.search(line):
            self.say(name, line, colour)
        else:
            self._last.setdefault(name, deque(maxlen=LAST_LINES)).append(line)

    def _pump(self, name: str, stream: IO[bytes], colour: str) -> None:
        with stream:
            for raw in stream:
                self._hear(name, raw.decode("utf-8", "replace").rstrip(), colour)
