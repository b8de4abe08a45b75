"""Threads in which plugins' code is called, so that who waits for it may give up.

Waking another thread takes longer (25 to 150 µs) than most answers. So what a page asks of several
plugins is asked in one companion (`core.platform.plugins.calls.batch_calls`).
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextvars import Context, copy_context
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from core.platform.plugins.rests import Key
from core.platform.plugins.visits import LeftError, Visit, visited

T = TypeVar("T")

MAX_IDLE_COMPANIONS = 16
"""Threads that wait for a call: more than a process answers requests at a time."""


class HookTimeoutError(Exception):
    """No answer within the time."""

    def __init__(self, seconds: float, asked: Key | None) -> None:
        super().__init__(f"no answer within {seconds:g} s")
        self.asked = asked
        """Of several plugins, the one that does not answer, and what it was asked."""


class Companion(threading.Thread):
    """A thread that makes one call after another for whoever took it."""

    def __init__(self) -> None:
        super().__init__(name="plugin-call", daemon=True)
        self.gathers = False
        """True if the running code asks several plugins, and is not a plugin's code itself."""
        self.told: set[Key] = set()
        """Questions that failed, of all that were asked."""
        self._told_before: set[Key] = set()
        self._asking: Key | None = None
        self._visit: Visit | None = None
        self._since = 0.0
        self._left = False
        # Whether somebody waits is one question for both threads.
        self._lock = threading.Lock()
        self._calls: SimpleQueue[tuple[Context, Callable[[], Any]] | None] = SimpleQueue()
        self._answers: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()

    def run(self) -> None:
        """Make calls until there are none, and keep each one's answer, or what it raised."""
        while (call := self._calls.get()) is not None:
            context, function = call
            try:
                self._answers.put((context.run(function), None))
            except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
                self._answers.put((None, error))

    def gather(self, told_before: set[Key]) -> None:
        """The next call asks several plugins; of these, faults were reported already."""
        self.gathers, self.told, self._told_before = True, set(), told_before

    def is_news(self, key: Key) -> bool:
        """True if a fault was not reported when all was asked before."""
        self.told.add(key)
        return key not in self._told_before

    def ask(self, key: Key, visit: Visit, call: Callable[[], T]) -> T:
        """In the companion: make one call of several."""
        self._step(key, visit)
        try:
            return copy_context().run(visited, visit, call)
        finally:
            self._step(None, None)

    def _step(self, asking: Key | None, visit: Visit | None) -> None:
        with self._lock:
            if self._left:
                # The page goes on without it: nobody is asked here any more, and what the last
                # call said does not count.
                raise LeftError
            self.gathers, self._asking, self._visit = asking is None, asking, visit
            self._since = time.monotonic()

    def answer(self, call: Callable[[], T], seconds: float, visit: Visit | None = None) -> T:
        """In the thread that waits: have a call made, and wait `seconds` for each that it asks.

        `visit` is what the call opens, unless it asks several plugins.

        Raises:
            HookTimeoutError: it still runs.
        """
        self._since, self._visit = time.monotonic(), visit
        self._calls.put((copy_context(), call))
        try:
            answer, error = self._wait(seconds)
        except BaseException:  # the alarm of who waits, too
            with self._lock:
                self._left = True
                visit = self._visit
            self._calls.put(None)  # If it ever comes back, it ends.
            if visit is not None:
                visit.break_off()
            raise
        self.gathers = False
        if len(_idle) < MAX_IDLE_COMPANIONS:
            _idle.append(self)
        else:
            self._calls.put(None)
        if error is not None:
            raise error
        result: T = answer
        return result

    def _wait(self, seconds: float) -> tuple[Any, BaseException | None]:
        left = seconds
        while True:
            try:
                return self._answers.get(timeout=left)
            except Empty:
                with self._lock:
                    left = self._since + seconds - time.monotonic()
                    if left <= 0:
                        self._left = True
                        raise HookTimeoutError(seconds, self._asking) from None


_idle: list[Companion] = []
# A forked companion inherits the list, but none of its threads.
os.register_at_fork(after_in_child=_idle.clear)


def take() -> Companion:
    """Take a companion that waits, or a new one."""
    try:
        return _idle.pop()
    except IndexError:
        companion = Companion()
        companion.start()
        return companion


def gathering() -> Companion | None:
    """The companion in which this is called, if it asks several plugins."""
    thread = threading.current_thread()
    return thread if isinstance(thread, Companion) and thread.gathers else None


def bounded(seconds: float, call: Callable[[], T]) -> T:
    """Call, but wait for the end no longer than `seconds`. What it raises passes.

    Raises:
        HookTimeoutError: it still runs.
    """
    return take().answer(call, seconds)
