"""State of the process that contained plugin code must leave as it found it.

Much of what a library sets "for itself" belongs to the process: how warnings are treated, the
working folder, a time-out for all sockets. Set by one town's plugin, all towns would have it.

Contained calls overlap in threads. So the state is noted when the first of them begins, and every
one that ends, or is given up, brings back what was noted.
"""

from __future__ import annotations

import decimal
import gc
import locale
import logging
import os
import signal
import socket
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import structlog

log = structlog.get_logger(__name__)

_SIGNALS = (signal.SIGALRM, signal.SIGCHLD, signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
"""Signals by which workers and servers are led."""


def _environment() -> Any:
    # What `os.environ` keeps, encoded: to decode all of it each time takes fifty times as long.
    kept = getattr(os.environ, "_data", None)
    return dict(os.environ) if kept is None else kept.copy()


def _restore_environment(before: Any) -> None:
    kept = getattr(os.environ, "_data", None)
    decode: Callable[[Any], str] = str if kept is None else os.fsdecode
    wanted = {decode(name): decode(value) for name, value in before.items()}
    for name in set(os.environ) - set(wanted):
        del os.environ[name]
    os.environ.update(wanted)
    time.tzset()


def _folder() -> Path | None:
    try:
        return Path.cwd()
    except OSError:  # It was removed.
        return None


def _logging() -> tuple[Any, ...]:
    root = logging.root
    return root.manager.disable, root.level, tuple(root.handlers)


def _restore_logging(before: tuple[Any, ...]) -> None:
    disabled, level, handlers = before
    logging.disable(disabled)
    logging.root.setLevel(level)
    logging.root.handlers[:] = handlers


def _restore_warnings(before: tuple[Any, ...]) -> None:
    # In place: whoever is inside `warnings.catch_warnings` brings back the list that it found.
    warnings.filters[:] = before  # type: ignore[index]


def _restore_collector(before: bool) -> None:
    (gc.enable if before else gc.disable)()


def _restore_streams(before: tuple[Any, Any]) -> None:
    sys.stdout, sys.stderr = before


def _restore_decimals(before: tuple[int, str]) -> None:
    decimal.DefaultContext.prec, decimal.DefaultContext.rounding = before


_READ: Mapping[str, Callable[[], Any]] = {
    "warnings": lambda: tuple(warnings.filters),
    "folder": _folder,
    "environment": _environment,
    "locale": lambda: locale.setlocale(locale.LC_ALL),
    "time-out of sockets": socket.getdefaulttimeout,
    "depth of calls": sys.getrecursionlimit,
    "turns of threads": sys.getswitchinterval,
    "log": _logging,
    "collector": gc.isenabled,
    "streams": lambda: (sys.stdout, sys.stderr),
    "decimals": lambda: (decimal.DefaultContext.prec, decimal.DefaultContext.rounding),
}
_RESTORE: Mapping[str, Callable[[Any], None]] = {
    "warnings": _restore_warnings,
    "folder": os.chdir,
    "environment": _restore_environment,
    "locale": lambda before: _quietly(locale.setlocale, locale.LC_ALL, before),
    "time-out of sockets": socket.setdefaulttimeout,
    "depth of calls": sys.setrecursionlimit,
    "turns of threads": sys.setswitchinterval,
    "log": _restore_logging,
    "collector": _restore_collector,
    "streams": _restore_streams,
    "decimals": _restore_decimals,
}


def _quietly(call: Callable[..., Any], *arguments: Any) -> None:
    with suppress(Exception):
        call(*arguments)


def _read() -> dict[str, Any]:
    return {name: read() for name, read in _READ.items()}


_lock = threading.Lock()
_running = 0
_noted: dict[str, Any] = {}


class Watch:
    """One contained call: from its start until it ends, or is given up."""

    def __init__(self) -> None:
        global _running, _noted  # noqa: PLW0603 - one for the process
        self._over = False
        with _lock:
            if _running == 0:
                _noted = _read()
            _running += 1

    def end(self) -> None:
        """Bring back what was changed since the first of the running calls began."""
        global _running  # noqa: PLW0603 - one for the process
        with _lock:
            if self._over:
                return
            self._over = True
            _running -= 1
            now = _read()
            changed = [name for name, before in _noted.items() if now[name] != before]
            for name in changed:
                _quietly(_RESTORE[name], _noted[name])
        if changed:
            log.warning("plugin.changed_process", what=changed)


def _forget() -> None:
    """Begin anew in a forked process, which has none of its parent's threads."""
    global _running, _lock
    _running, _lock = 0, threading.Lock()


os.register_at_fork(after_in_child=_forget)


@contextmanager
def kept(watch: Watch | None = None) -> Iterator[None]:
    """Keep the process, and the caller's arithmetic, as they are, whatever the block does.

    `watch` has begun already, and may be ended from elsewhere meanwhile.
    """
    watch = watch or Watch()
    signals = _Signals.of_now()
    try:
        with decimal.localcontext():
            yield
    finally:
        watch.end()
        if signals:
            signals.restore()


class _Signals:
    """Handlers of signals; only the main thread may change them for the process."""

    def __init__(self) -> None:
        self._handlers = {number: signal.getsignal(number) for number in _SIGNALS}
        self._blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())

    @classmethod
    def of_now(cls) -> _Signals | None:
        """None outside the main thread."""
        main = threading.current_thread() is threading.main_thread()
        return cls() if main else None

    def restore(self) -> None:
        """Bring back handlers, and what is blocked."""
        for number, before in self._handlers.items():
            if before is not None and signal.getsignal(number) is not before:
                signal.signal(number, before)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._blocked)


__all__ = ["Watch", "kept"]
