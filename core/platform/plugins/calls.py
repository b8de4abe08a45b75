"""Calling a plugin's code so that its faults stay its own: raising, hanging, answering nonsense.

A call that may hang is made in a companion thread: what waits for it gives up after a while. A
thread cannot be ended from outside, so the call itself is left to its fate, and the plugin's next
calls of that kind are spared for a minute: a plugin that hangs costs one wait a minute and process,
not one a page.

Waking another thread takes longer (25 to 150 µs) than most answers. So what a page asks of several
plugins is asked `together`, in one companion.
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

from core.api.errors import PreauError, RetryableError
from core.platform import metrics

T = TypeVar("T")

PATIENCE = 2.0
"""Seconds that a page waits for a hook."""
MOST_IDLE = 16
"""Threads that wait for a call: more than a process answers requests at a time."""
REST = 60.0
"""Seconds for which a plugin is not asked again what it hung on."""

log = structlog.get_logger(__name__)
_resting: dict[tuple[str, str], float] = {}


class FaultError(RetryableError):
    """A plugin's fault, already logged and counted: do without, or try again later."""


class StuckError(Exception):
    """No answer within the time."""

    def __init__(self, seconds: float, asked: tuple[str, str] | None) -> None:
        super().__init__(f"no answer within {seconds:g} s")
        self.asked = asked
        """Of several plugins, the one that does not answer, and what it was asked."""


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
    companion = _gathering()
    try:
        if here:
            return call()
        if companion is not None and seconds is None:
            return companion.ask(key, call)
        return bounded(PATIENCE if seconds is None else seconds, call)
    except passing:
        raise
    except (Exception, SystemExit) as error:
        if isinstance(error, StuckError):
            _resting[key] = time.monotonic() + REST
        if companion is None or companion.is_news(key):
            report_fault(plugin, what, error)
        raise FaultError(f"plugin {plugin!r} failed in {what}: {_words(error)}") from error


def together(ask: Callable[[], T]) -> T:
    """Call what calls several plugins, each by `contain`, in one companion.

    Each has `PATIENCE`. One that hangs is a fault and rests, and all is asked once more without it:
    `ask` must do nothing but ask. What it raises passes.
    """
    if _gathering() is not None:
        return ask()
    told: set[tuple[str, str]] = set()
    stood_still = False
    while True:
        companion = _take()
        companion.gather(told)
        try:
            return companion.answer(ask, PATIENCE)
        except StuckError as error:
            told |= companion.told
            if error.asked is not None:
                _resting[error.asked] = time.monotonic() + REST
                report_fault(*error.asked, error)
            elif stood_still:
                return ask()  # Here, where only the plugins' own calls are waited for.
            else:
                stood_still = True  # Between two questions: the machine is busy, not a plugin.


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


class _LeftError(BaseException):
    """Nobody waits for this companion any more."""


class _Companion(threading.Thread):
    """A thread that makes one call after another for whoever took it."""

    def __init__(self) -> None:
        super().__init__(name="plugin-call", daemon=True)
        self.gathers = False
        """Whether what runs now, asks several plugins, and is not a plugin's code itself."""
        self.told: set[tuple[str, str]] = set()
        """What failed of what was asked."""
        self._told_before: set[tuple[str, str]] = set()
        self._asking: tuple[str, str] | None = None
        self._since = 0.0
        self._left = False
        # Whether somebody waits is one question for both threads.
        self._lock = threading.Lock()
        self._calls: SimpleQueue[tuple[Context, Callable[[], Any]] | None] = SimpleQueue()
        self._answers: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()

    def run(self) -> None:
        while (call := self._calls.get()) is not None:
            context, function = call
            try:
                self._answers.put((context.run(function), None))
            except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
                self._answers.put((None, error))

    def gather(self, told_before: set[tuple[str, str]]) -> None:
        """The next call asks several plugins; of these, faults were reported already."""
        self.gathers, self.told, self._told_before = True, set(), told_before

    def is_news(self, key: tuple[str, str]) -> bool:
        """Whether a fault was not reported when all was asked before."""
        self.told.add(key)
        return key not in self._told_before

    def ask(self, key: tuple[str, str], call: Callable[[], T]) -> T:
        """In the companion: make one call of several."""
        self._step(key)
        try:
            return copy_context().run(call)
        finally:
            self._step(None)

    def _step(self, asking: tuple[str, str] | None) -> None:
        with self._lock:
            if self._left:
                # The page goes on without it, and with the same session: nobody is asked here any
                # more, and what the last call said does not count.
                raise _LeftError
            self.gathers, self._asking = asking is None, asking
            self._since = time.monotonic()

    def answer(self, call: Callable[[], T], seconds: float) -> T:
        """In the thread that waits: have a call made, and wait `seconds` for each that it asks.

        Raises:
            StuckError: it still runs.
        """
        self._since = time.monotonic()
        self._calls.put((copy_context(), call))
        try:
            answer, error = self._wait(seconds)
        except BaseException:  # the alarm of who waits, too
            with self._lock:
                self._left = True
            self._calls.put(None)  # If it ever comes back, it ends.
            raise
        self.gathers = False
        if len(_idle) < MOST_IDLE:
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
                        raise StuckError(seconds, self._asking) from None


_idle: list[_Companion] = []
# A forked worker inherits the list, but none of its threads.
os.register_at_fork(after_in_child=_idle.clear)


def _take() -> _Companion:
    try:
        return _idle.pop()
    except IndexError:
        companion = _Companion()
        companion.start()
        return companion


def _gathering() -> _Companion | None:
    """The companion in which this is called, if it asks several plugins."""
    thread = threading.current_thread()
    return thread if isinstance(thread, _Companion) and thread.gathers else None


def bounded(seconds: float, call: Callable[[], T]) -> T:
    """Call, but wait for the end no longer than `seconds`. What it raises passes.

    Raises:
        StuckError: it still runs.
    """
    return _take().answer(call, seconds)
