"""Items that a plugin yields, read in a thread of their own within bounds of time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from contextvars import copy_context
from queue import Empty, Full, Queue
from typing import Any, TypeVar

from core.api.errors import PreauError
from core.platform.interruption import error_words
from core.platform.plugins.calls import report_fault
from core.platform.plugins.companions import HookTimeoutError
from core.platform.plugins.rests import CoolingDownError, FaultError, rests
from core.platform.plugins.visits import Access, Visit, visited
from core.platform.sharing import NotNowError, share

T = TypeVar("T")

BATCH = 500
"""Items that a stream hands over at a time; fewer when they are slow to come."""
FLUSH_SECONDS = 0.2


class TooLongError(NotNowError):
    """A stream did not end within the time of who reads it; somebody else may have more."""


def stream(
    plugin: str,
    what: str,
    items: Callable[[], Iterator[T]],
    *,
    town: str,
    silence_seconds: float,
    whole_seconds: float | None = None,
) -> Iterator[T]:
    """Items that a plugin's generator yields, made in a thread of its own a few batches ahead.

    Raises:
        FaultError: it raised, or yielded nothing for `silence_seconds`.
        TooLongError: it did not end within `whole_seconds`.
        CoolingDownError: it rests, or takes all that it may already.
    """
    key = town, plugin, what
    rests.refuse(key)
    visit = Visit(Access.READ, silence_seconds)
    reader = _Reader(items, visit)
    deadline = None if whole_seconds is None else time.monotonic() + whole_seconds
    ended = False
    try:
        with share(town, plugin):
            reader.start()
            while True:
                batch = reader.next(silence_seconds, deadline)
                if batch is None:
                    ended = True
                    rests.end(key)
                    return
                yield from batch
    except TooLongError:
        raise
    except NotNowError as error:
        raise CoolingDownError(error.reason, error.after) from error
    except PreauError:
        raise
    except _StreamError as error:
        cause = error.__cause__ or error
        if isinstance(cause, PreauError):
            raise cause from None
        if isinstance(cause, HookTimeoutError):
            rests.add(key)
        report_fault(plugin, what, cause)
        raise FaultError(f"plugin {plugin!r} failed in {what}: {error_words(cause)}") from cause
    finally:
        if not ended:
            reader.leave()
            if reader.is_alive():
                rests.leave(key, reader)


class _StreamError(Exception):
    """The cause is what the plugin's code raised; not what the reader of its stream did."""


class _Reader(threading.Thread):
    """A thread that makes the items of a stream."""

    def __init__(self, items: Callable[[], Iterator[Any]], visit: Visit) -> None:
        super().__init__(name="plugin-stream", daemon=True)
        self._items = items
        self._visit = visit
        self._context = copy_context()
        self._left = threading.Event()
        self._made: Queue[list[Any] | BaseException | None] = Queue(maxsize=4)

    def run(self) -> None:
        try:
            self._context.run(visited, self._visit, self._make)
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            self._put(error)
        else:
            self._put(None)

    def _make(self) -> None:
        batch: list[Any] = []
        since = time.monotonic()
        for item in self._items():
            if self._left.is_set():
                return
            batch.append(item)
            if len(batch) >= BATCH or time.monotonic() - since > FLUSH_SECONDS:
                self._put(batch)
                batch, since = [], time.monotonic()
        if batch:
            self._put(batch)

    def _put(self, made: list[Any] | BaseException | None) -> None:
        while not self._left.is_set():
            with suppress(Full):
                self._made.put(made, timeout=FLUSH_SECONDS)
                return

    def next(self, silence_seconds: float, deadline: float | None) -> list[Any] | None:
        """The next batch; None at the end."""
        left = silence_seconds
        if deadline is not None:
            left = min(left, deadline - time.monotonic())
        try:
            made = self._made.get(timeout=max(0.0, left))
        except Empty:
            if deadline is not None and time.monotonic() >= deadline:
                raise TooLongError("reading takes its time") from None
            raise _StreamError from HookTimeoutError(silence_seconds, None)
        if isinstance(made, BaseException):
            raise _StreamError from made
        if deadline is not None and made is not None and time.monotonic() >= deadline:
            raise TooLongError("reading takes its time")
        return made

    def leave(self) -> None:
        """Read no more of it."""
        self._left.set()
        self._visit.break_off()
        if self.is_alive():
            self.join(FLUSH_SECONDS * 2)
