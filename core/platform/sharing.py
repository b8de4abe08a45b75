"""Limits on a process's threads, or a machine's workers, that plugin code may take at a time.

A call that is not bounded in seconds, but in a minute, could otherwise fill them all: what a plugin
of one town waits for would then be waited for by every town.
"""

from __future__ import annotations

import fcntl
import tempfile
import threading
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta

from core.api.errors import RetryableError

BUSY_SECONDS = 5.0
"""Wait after which work that found no room may be tried again."""


class NotNowError(RetryableError):
    """Nothing was tried: no room is left, or the plugin rests. The same may be asked for later."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Maximum number of calls at a time: of all plugins, and of one plugin in one town."""

    all: int
    each: int


_lock = threading.Lock()
_running: Counter[tuple[str, str]] = Counter()
_limits: Limits | None = None
_slots: _Slots | None = None
_inside: ContextVar[bool] = ContextVar("_inside", default=False)


def limit_threads(threads: int) -> None:
    """Leave, in this process, a quarter of its threads to what is no plugin."""
    global _limits  # noqa: PLW0603 - one for the process
    _limits = Limits(max(1, threads * 3 // 4), max(1, threads // 2))


def limit_processes(processes: int) -> None:
    """Leave, of this process and those that it will fork, one to what is no plugin."""
    global _slots  # noqa: PLW0603 - one for the process
    _slots = _Slots(Limits(max(1, processes - 1), max(1, processes // 2)))


def lift_limits() -> None:
    """Let plugin code take what it wants, as in a command."""
    global _limits, _slots  # noqa: PLW0603 - one for the process
    if _slots is not None:
        _slots.close()
    _limits = _slots = None


@contextmanager
def share(town: str, plugin: str) -> Iterator[None]:
    """Take a share for the length of the block.

    Raises:
        NotNowError: there is none left.
    """
    if _inside.get() or (_limits is None and _slots is None):
        yield
        return
    key = town, plugin
    _take(key)
    token = _inside.set(True)
    try:
        if _slots is None:
            yield
        else:
            with _slots.taken(key):
                yield
    finally:
        with suppress(ValueError):  # A generator that was forgotten ends anywhere.
            _inside.reset(token)
        with _lock:
            _running[key] -= 1
            if not _running[key]:
                del _running[key]


def _take(key: tuple[str, str]) -> None:
    with _lock:
        if _limits is not None and (
            _running[key] >= _limits.each or _running.total() >= _limits.all
        ):
            raise _busy(key)
        _running[key] += 1


def _busy(key: tuple[str, str]) -> NotNowError:
    return NotNowError(
        f"plugin {key[1]!r} takes all that it may in {key[0]!r}", timedelta(seconds=BUSY_SECONDS)
    )


class _Slots:
    """Shares of several processes: locks on the bytes of a file that they all have open.

    The kernel frees them when a process ends, however it ends.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the process

    def close(self) -> None:
        """Give the file back."""
        self._file.close()

    @contextmanager
    def taken(self, key: tuple[str, str]) -> Iterator[None]:
        own = _OWN + zlib.crc32("/".join(key).encode()) % _KEYS * _ROOM
        taken: list[int] = []
        try:
            for first, count in ((0, self._limits.all), (own, self._limits.each)):
                taken.append(self._lock_one(key, first, count))
            yield
        finally:
            for byte in taken:
                fcntl.lockf(self._file, fcntl.LOCK_UN, 1, byte)

    def _lock_one(self, key: tuple[str, str], first: int, count: int) -> int:
        for byte in range(first, first + count):
            try:
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
            except OSError:
                continue
            return byte
        raise _busy(key)


_OWN, _KEYS, _ROOM = 4096, 65_536, 1024
"""First byte of the places, one for a plugin in a town; number of places; bytes of each."""
