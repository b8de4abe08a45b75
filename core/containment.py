"""Calling a plugin's code so that its faults stay its own: raising, hanging, answering nonsense.

A call that may hang is made in a companion thread, which costs some 25 µs: what waits for it gives
up after a while. A thread cannot be ended from outside, so the call itself is left to its fate, and
the plugin's next calls of that kind are spared for a minute: a plugin that hangs costs one wait a
minute and process, not one a page.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextvars import Context, copy_context
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

import structlog

from core import metrics
from core.api.errors import PreauError, RetryableError

T = TypeVar("T")

PATIENCE = 2.0
"""Seconds that a page waits for a hook."""
REST = 60.0
"""Seconds for which a plugin is not asked again what it hung on."""

log = structlog.get_logger(__name__)
_resting: dict[tuple[str, str], float] = {}


class FaultError(RetryableError):
    """A plugin's fault, already logged and counted: do without, or try again later."""


class StuckError(Exception):
    """No answer within the time."""


class NonsenseError(Exception):
    """An answer that is not what the contract says."""


def contain(
    plugin: str,
    what: str,
    call: Callable[[], T],
    *,
    seconds: float | None = None,
    passing: tuple[type[BaseException], ...] = (),
    here: bool = False,
) -> T:
    """Call a plugin's code, for `PATIENCE` unless `seconds` says otherwise.

    Exceptions of the types `passing` are its answer and pass. `here`: in this thread, however long
    it takes.

    Raises:
        FaultError: it raised something else, hung, or rests after having hung.
    """
    key = plugin, what
    if _resting.get(key, 0.0) > time.monotonic():
        raise FaultError(f"plugin {plugin!r} rests: it hung in {what}")
    try:
        return call() if here else bounded(PATIENCE if seconds is None else seconds, call)
    except passing:
        raise
    except (Exception, SystemExit) as error:
        if isinstance(error, StuckError):
            _resting[key] = time.monotonic() + REST
        report_fault(plugin, what, error)
        raise FaultError(f"plugin {plugin!r} failed in {what}: {_words(error)}") from error


def consult(
    plugin: str,
    what: str,
    call: Callable[[], T],
    answers: tuple[type[Any], ...],
    *,
    seconds: float | None = None,
    here: bool = False,
) -> T:
    """`contain` for a method of a plugin's object: a `PreauError` is its answer and passes.

    `answers` are the types that the contract promises.
    """

    def checked() -> T:
        answer = call()
        if not isinstance(answer, answers):
            raise NonsenseError(f"answered {answer!r:.80}")
        return answer

    return contain(plugin, what, checked, seconds=seconds, passing=(PreauError,), here=here)


def report_fault(plugin: str, what: str, error: BaseException) -> None:
    """Log and count a fault of a plugin that was done without."""
    metrics.plugin_faults.labels(plugin, what).inc()
    log.error("plugin.fault", plugin=plugin, hook=what, exc_info=error)


def forget_rests() -> None:
    """Ask plugins again that hung (tests)."""
    _resting.clear()


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


class _Companion(threading.Thread):
    """A thread that makes one call after another for whoever took it from `_idle`."""

    def __init__(self) -> None:
        super().__init__(name="plugin-call", daemon=True)
        self.calls: SimpleQueue[tuple[Context, Callable[[], Any]] | None] = SimpleQueue()
        self.answers: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()

    def run(self) -> None:
        while (call := self.calls.get()) is not None:
            context, function = call
            try:
                self.answers.put((context.run(function), None))
            except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
                self.answers.put((None, error))


_idle: list[_Companion] = []
# A forked worker inherits the list, but none of its threads.
os.register_at_fork(after_in_child=_idle.clear)


def bounded(seconds: float, call: Callable[[], T]) -> T:
    """Call, but wait for the end no longer than `seconds`. What it raises passes.

    Raises:
        StuckError: it still runs.
    """
    try:
        companion = _idle.pop()
    except IndexError:
        companion = _Companion()
        companion.start()
    companion.calls.put((copy_context(), call))
    try:
        answer, error = companion.answers.get(timeout=seconds)
    except Empty:
        companion.calls.put(None)  # If it ever comes back, nobody needs it any more.
        raise StuckError(f"no answer within {seconds:g} s") from None
    _idle.append(companion)
    if error is not None:
        raise error
    result: T = answer
    return result
