"""Generations: one gunicorn after another on one listening socket.

Each gunicorn loads the code once, before it forks: what is installed later cannot end a portal that
runs, when gunicorn replaces a worker after so many requests. New code is a new gunicorn, which
SIGHUP starts; the old one serves until a worker of the new one is ready, and goes on serving where
none ever is, because the code or a plugin does not load.
"""

from __future__ import annotations

import logging
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from math import inf

from gunicorn.systemd import sd_notify

from core.platform import shared_counters
from core.processes.serving import PARENT, READY

LOAD_SECONDS = 60.0
"""Time that a new generation may take to load while another serves. A first one has all the time
that whoever started it gives it: to begin anew would take longer still."""
BACKLOG = 2048
"""Connections that wait to be accepted; the kernel may allow fewer."""
_FOREVER_SECONDS = 3600.0

_STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
_PASSED_ON = (signal.SIGUSR1, signal.SIGTTIN, signal.SIGTTOU)
"""Signals that gunicorn understands, and that concern those who serve now."""

log = logging.getLogger(__name__)


class Generation:
    """A gunicorn: its process, and the pipe in which its workers say that they are ready."""

    def __init__(self, listener: socket.socket, options: Sequence[str], seconds: float) -> None:
        self.deadline = time.monotonic() + seconds
        self.pipe, told = os.pipe()
        environment = dict(os.environ) | {READY: str(told), PARENT: str(os.getpid())}
        # This process tells systemd; gunicorn would tell it too early, and again at its end.
        environment.pop("NOTIFY_SOCKET", None)
        try:
            self.process = subprocess.Popen(  # noqa: S603 - our own options
                [
                    sys.executable, "-P", "-m", "gunicorn",
                    "--config", "python:core.processes.serving",
                    "--bind", f"fd://{listener.fileno()}",
                    "--preload",
                    *options,
                ],
                pass_fds=(listener.fileno(), told),
                env=environment,
            )  # fmt: skip
        finally:
            os.close(told)

    def is_ready(self) -> bool:
        """True if a worker said that it is ready; to be asked when there is something to read."""
        return bool(os.read(self.pipe, 1))

    def close(self) -> None:
        """Read no more of what it says."""
        if self.pipe >= 0:
            os.close(self.pipe)
            self.pipe = -1

    def tell(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        with suppress(ProcessLookupError):
            self.process.send_signal(number)


class Portal:
    """The generation that serves, the one that loads, and those that finish what they answer."""

    def __init__(self, listener: socket.socket, options: Sequence[str]) -> None:
        self._listener = listener
        self._options = options
        self._selector = selectors.DefaultSelector()
        self._serving: Generation | None = None
        self._loading: Generation | None = None
        self._ending: list[Generation] = []
        self._code: int | None = None
        self._signals, waking = socket.socketpair()
        for end in (self._signals, waking):
            end.setblocking(False)
        self._waking = waking

    def run(self) -> int:
        """Serve until told to stop, or until gunicorn ends by itself. Gives the exit code."""
        for number in (*_STOPS, *_PASSED_ON, signal.SIGHUP, signal.SIGCHLD):
            # Not ignored: what starts from here would ignore it, too.
            signal.signal(number, lambda _number, _frame: None)
        signal.set_wakeup_fd(self._waking.fileno(), warn_on_full_buffer=False)
        self._selector.register(self._signals, selectors.EVENT_READ)
        self._load()
        while self._code is None or self._ending:
            for key, _events in self._selector.select(self._patience()):
                if key.fileobj is self._signals:
                    for byte in self._signals.recv(4096):
                        self._handle(byte)
                elif self._loading is not None and key.data is self._loading:
                    self._succeed(self._loading)  # No reload has just replaced it.
            self._reap()
        return self._code

    def _patience(self) -> float:
        if self._loading is None:
            return _FOREVER_SECONDS
        return min(_FOREVER_SECONDS, max(0.0, self._loading.deadline - time.monotonic()))

    def _handle(self, number: int) -> None:
        if number == signal.SIGHUP and self._code is None:
            self._load()
        elif number in _STOPS:
            self._stop(0, number)
        elif number in _PASSED_ON and self._serving is not None:
            self._serving.tell(number)

    def _load(self) -> None:
        """Start a generation on the code as it is now, and none before it that still loads."""
        self._abandon()
        seconds = inf if self._serving is None else LOAD_SECONDS
        self._loading = Generation(self._listener, self._options, seconds)
        self._selector.register(self._loading.pipe, selectors.EVENT_READ, self._loading)

    def _succeed(self, new: Generation) -> None:
        """Let the new one serve alone. The end of its pipe says that it is ending: see `_reap`."""
        ready = new.is_ready()
        self._selector.unregister(new.pipe)
        new.close()
        if not ready:
            return
        if self._serving is not None:
            self._end(self._serving, signal.SIGTERM)
        self._serving, self._loading = new, None
        sd_notify("READY=1\nSTATUS=Serving", log)

    def _abandon(self) -> None:
        if self._loading is not None:
            if self._loading.pipe >= 0:
                self._selector.unregister(self._loading.pipe)
            self._end(self._loading, signal.SIGTERM)
            self._loading = None

    def _end(self, generation: Generation, number: int) -> None:
        generation.close()
        generation.tell(number)
        self._ending.append(generation)

    def _stop(self, code: int, number: int) -> None:
        """End all; a second order, such as a second Ctrl-C, is passed on."""
        if self._code is None:
            self._code = code
            self._listener.close()
            self._abandon()
            if self._serving is not None:
                self._end(self._serving, number)
                self._serving = None
        else:
            for generation in self._ending:
                generation.tell(number)

    def _reap(self) -> None:
        """See who ended, and who loads for too long."""
        loading, serving = self._loading, self._serving
        if loading is not None and (code := loading.process.poll()) is not None:
            self._abandon()
            if serving is None:
                self._stop(_failure(code), signal.SIGTERM)
            else:
                log.error("The new code does not load: what was loaded before serves on.")
        elif loading is not None and time.monotonic() > loading.deadline:
            log.error("The new code has not loaded within %d s.", LOAD_SECONDS)
            loading.tell(signal.SIGKILL)
            self._abandon()
        if serving is not None and (code := serving.process.poll()) is not None:
            self._stop(_failure(code), signal.SIGTERM)
        self._ending = [one for one in self._ending if one.process.poll() is None]


def _failure(code: int) -> int:
    """The exit code of a process that should not have ended."""
    return code if code > 0 else 1


def listen(host: str, port: int) -> socket.socket:
    """Open the socket of all generations; who connects waits until one serves."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=BACKLOG)


def main(arguments: Sequence[str]) -> int:
    """Serve on ``arguments[0]`` (host) and ``arguments[1]`` (port); the rest is gunicorn's."""
    host, port, *options = arguments
    logging.basicConfig(format="%(message)s")
    try:
        listener = listen(host, int(port))
    except OSError as error:
        log.error("Cannot listen on %s, port %s: %s", host, port, error.strerror)  # noqa: TRY400
        return 1
    try:
        return Portal(listener, options).run()
    finally:
        shared_counters.unshare()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
