"""Questions to plugins that are not asked for a while, since they hung or failed slowly."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from core.api.errors import RetryableError
from core.platform.interruption import Interruption
from core.platform.sharing import NotNowError, share

COOLDOWN_SECONDS = 60.0
"""Seconds for which a plugin is not asked again, in a town, what it hung on there."""
MAX_COOLDOWN_SECONDS = 3600.0
"""The same, at most: each time that it hangs again, it rests twice as long."""
SLOW_FAILURE_SECONDS = 0.25
"""Seconds after which a call that failed lets others pass: it rests for some time, too."""
COOLDOWN_FACTOR = 10
"""It rests so many times as long as it took: failing slowly costs a tenth of a thread at most."""
MAX_ABANDONED_CALLS = 2
"""Calls of a plugin that may run on after they were given up; then it rests until one ends."""

Key = tuple[str, str, str]
"""The town ("" outside any), the plugin, and what it is asked."""


class FaultError(RetryableError):
    """A plugin's fault, already logged and counted: do without, or try again later."""


class CoolingDownError(FaultError, NotNowError):
    """The plugin was not asked: it rests after a fault, or takes all that it may already."""


class Rests:
    """What rests in this process."""

    def __init__(self) -> None:
        self._until: dict[Key, float] = {}
        self._times: dict[Key, int] = {}
        self._left: dict[Key, list[threading.Thread]] = {}

    def left(self, key: Key) -> float:
        """Seconds until it may be asked again."""
        left = self._until.get(key, 0.0) - time.monotonic()
        if left <= 0 and key in self._left:
            running = [thread for thread in self._left[key] if thread.is_alive()]
            self._left[key] = running
            if len(running) >= MAX_ABANDONED_CALLS:
                return COOLDOWN_SECONDS
        return max(0.0, left)

    def refuse(self, key: Key) -> None:
        """Refuse to ask what rests.

        Raises:
            FaultError: it rests; to be asked again when it does no more.
        """
        if not self._until and not self._left:  # Nearly always.
            return
        left = self.left(key)
        if left > 0:
            raise CoolingDownError(
                f"plugin {key[1]!r} rests: it hung in {key[2]}", timedelta(seconds=left)
            )

    def add(self, key: Key) -> None:
        """It hung."""
        times = self._times[key] = self._times.get(key, 0) + 1
        seconds = min(COOLDOWN_SECONDS * 2 ** (times - 1), MAX_COOLDOWN_SECONDS)
        self._until[key] = time.monotonic() + seconds

    def end(self, key: Key) -> None:
        """It answered."""
        if self._times:
            self._times.pop(key, None)

    def leave(self, key: Key, thread: threading.Thread) -> None:
        """It hung, and runs on in this thread."""
        self._left.setdefault(key, []).append(thread)

    def let_pass(self, key: Key, seconds: float) -> None:
        """It failed, after `seconds`: if that was long, others come before it is asked again."""
        if seconds > SLOW_FAILURE_SECONDS:
            self._until[key] = time.monotonic() + min(seconds * COOLDOWN_FACTOR, COOLDOWN_SECONDS)

    def clear(self) -> None:
        """All may be asked."""
        self.__init__()  # type: ignore[misc]


rests = Rests()


def forget_rests() -> None:
    """Ask plugins again that hung (tests)."""
    rests.clear()


def rest_of(town: str, plugin: str, what: str) -> float:
    """Seconds for which a plugin is not asked this in a town; 0 when it is."""
    return rests.left((town, plugin, what))


@contextmanager
def resting(town: str, plugin: str, what: str) -> Iterator[None]:
    """Do work of a plugin that has a time limit of its own: it rests if that ends it.

    Raises:
        CoolingDownError: it rests, or takes all that it may already.
    """
    key = town, plugin, what
    rests.refuse(key)
    try:
        with share(town, plugin):
            yield
    except Interruption:
        rests.add(key)
        raise
    rests.end(key)
