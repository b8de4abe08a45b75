"""One call of a plugin's code: what it may open, and how the process is left as it was."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import nullcontext, suppress
from contextvars import ContextVar
from enum import Enum
from typing import Protocol, TypeVar

from core.platform.interruption import Interruption, errors_only
from core.platform.plugins import process_state

T = TypeVar("T")


class LeftError(Interruption):
    """Nobody waits for this call any more."""


class Access(Enum):
    """Rights of a contained call on the database, over a session of its own."""

    NONE = "none"
    """Nothing: it answers from the settings alone."""
    READ = "read"
    WRITE = "write"
    """Its changes are committed if it ends well."""


class Resource(Protocol):
    """Something that a call opened for itself, such as a session."""

    def end(self, *, well: bool) -> None:
        """Keep what was done, or undo it; then close. In the thread that opened it."""
        ...

    def break_off(self) -> None:
        """Stop what it does, from another thread."""
        ...


R = TypeVar("R", bound=Resource)


class Visit:
    """One contained call, and what was opened for it."""

    def __init__(self, access: Access, seconds: float) -> None:
        self.access = access
        self.seconds = seconds
        self._opened: dict[object, Resource] = {}
        self._over = False
        self._lock = threading.Lock()
        self.watch: process_state.Watch | None = None

    def opened(self, key: object, open_: Callable[[], R]) -> R:
        """Resource under `key`, opened when first asked for, for the length of this call.

        Raises:
            Interruption: the call was given up.
        """
        with self._lock:
            if self._over:
                raise LeftError
            if key not in self._opened:
                self._opened[key] = open_()
            found: R = self._opened[key]  # type: ignore[assignment]
            return found

    def end(self, *, well: bool) -> None:
        """Close what was opened, in the thread of the call. What closing raises, passes."""
        with self._lock:
            self._over = True
        failed: Exception | None = None
        for resource in self._opened.values():
            try:
                resource.end(well=well and failed is None)
            except Exception as error:  # noqa: BLE001 - all of them are closed first
                failed = error
        if failed is not None and well:
            raise failed

    def break_off(self) -> None:
        """Stop what was opened, from another thread: nobody waits for this call any more."""
        with self._lock:
            if self._over:
                return
            self._over = True
        for resource in self._opened.values():
            resource.break_off()
        if self.watch is not None:
            self.watch.end()


_visit: ContextVar[Visit | None] = ContextVar("_visit", default=None)


def current_visit() -> Visit | None:
    """The contained call from which this is called."""
    return _visit.get()


def visited(visit: Visit, call: Callable[[], T], *, watched: bool = True) -> T:
    """Make a call as a visit. `watched`: it leaves the process as it was, which takes a while."""
    token = _visit.set(visit)
    if watched:
        visit.watch = process_state.Watch()
    try:
        with errors_only(), process_state.kept(visit.watch) if watched else nullcontext():
            answer = call()
    except BaseException:
        with suppress(Exception):
            visit.end(well=False)
        raise
    else:
        visit.end(well=True)
        return answer
    finally:
        _visit.reset(token)
