"""Calling a plugin's code so that its faults stay its own: raising, hanging, answering nonsense.

A call that may hang is made in a companion thread: what waits for it gives up after a while. A
thread cannot be ended from outside, so the call itself is left to its fate, and the plugin's next
calls of that kind are spared for a minute: a plugin that hangs costs one wait a minute and process,
not one a page.

Waking another thread takes longer (25 to 150 µs) than most answers. So what a page asks of several
plugins is asked `together`, in one companion.

A contained call never sees the session of the request or worker that makes it: what it opens is
kept in its `Visit`, closed with it, and broken off when the call is given up.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from contextvars import Context, ContextVar, copy_context
from datetime import timedelta
from enum import Enum
from functools import partial
from queue import Empty, Full, Queue, SimpleQueue
from typing import Any, Protocol, TypeVar, cast

import structlog

from core.api.checked import Checked, exactly
from core.api.errors import PreauError, RetryableError
from core.platform import metrics
from core.platform.interruption import Interruption, error_words, errors_only
from core.platform.plugins import process_state
from core.platform.sharing import NotNowError, share

T = TypeVar("T")

CALL_TIMEOUT_SECONDS = 2.0
"""Seconds that a page waits for a hook."""
MAX_IDLE_WORKERS = 16
"""Threads that wait for a call: more than a process answers requests at a time."""
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

log = structlog.get_logger(__name__)

Key = tuple[str, str, str]
"""The town ("" outside any), the plugin, and what it is asked."""


class FaultError(RetryableError):
    """A plugin's fault, already logged and counted: do without, or try again later."""


class CoolingDownError(FaultError, NotNowError):
    """The plugin was not asked: it rests after a fault, or takes all that it may already."""


class HookTimeoutError(Exception):
    """No answer within the time."""

    def __init__(self, seconds: float, asked: Key | None) -> None:
        super().__init__(f"no answer within {seconds:g} s")
        self.asked = asked
        """Of several plugins, the one that does not answer, and what it was asked."""


class ContractError(Exception):
    """An answer that is not what the contract says."""


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
                raise _LeftError
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


def contain(
    plugin: str,
    what: str,
    call: Callable[[], T],
    *,
    town: str = "",
    seconds: float | None = None,
    passing: tuple[type[BaseException], ...] = (),
    access: Access = Access.READ,
    here: bool = False,
) -> T:
    """Call a plugin's code, for `CALL_TIMEOUT_SECONDS` unless `seconds` says otherwise.

    Exceptions of the types `passing` are its answer and pass. `here`: in this thread, however long
    it takes; for code of ours, or what its caller ends and watches.

    Raises:
        FaultError: it raised something else, hung, or rests after having hung in this town.
    """
    # What takes long has a share only: see `core.platform.sharing`.
    key = town, plugin, what
    _resting.refuse(key)
    worker = _gathering()
    longest = CALL_TIMEOUT_SECONDS if seconds is None else seconds
    visit = Visit(access, longest)
    began = time.monotonic()
    try:
        if here:
            answer = _visited(visit, call, watched=False)
        elif worker is not None and seconds is None:
            answer = worker.ask(key, visit, call)
        elif seconds is None:
            answer = _bounded(longest, partial(_visited, visit, call), visit, key)
        else:  # Long enough to keep others waiting.
            with share(town, plugin):
                answer = _bounded(longest, partial(_visited, visit, call), visit, key)
    except NotNowError as error:
        raise CoolingDownError(error.reason, error.after) from error
    except passing:
        raise
    except _LeftError:
        raise
    except Interruption:  # The time of who called it is over.
        _resting.add(key)
        raise
    except Exception as error:
        if isinstance(error, HookTimeoutError):
            _resting.add(key)
        else:
            _resting.let_pass(key, time.monotonic() - began)
        if worker is None or worker.is_news(key):
            report_fault(plugin, what, error)
        raise FaultError(f"plugin {plugin!r} failed in {what}: {error_words(error)}") from error
    _resting.end(key)
    return answer


def _visited(visit: Visit, call: Callable[[], T], *, watched: bool = True) -> T:
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


def batch_calls(ask: Callable[[], T]) -> T:
    """Call what calls several plugins, each by `contain`, in one companion.

    Each has `CALL_TIMEOUT_SECONDS`. One that hangs is a fault and cools down, and all is asked once
    more without it:
    `ask` must do nothing but ask. What it raises passes.
    """
    if _gathering() is not None:
        return ask()
    told: set[Key] = set()
    stood_still = False
    while True:
        worker = _take()
        worker.gather(told)
        try:
            return worker.answer(ask, CALL_TIMEOUT_SECONDS)
        except HookTimeoutError as error:
            told |= worker.told
            if error.asked is not None:
                _resting.leave(error.asked, worker)
                _resting.add(error.asked)
                _town, plugin, what = error.asked
                report_fault(plugin, what, error)
            elif stood_still:
                return ask()  # Here, where only the plugins' own calls are waited for.
            else:
                stood_still = True  # Between two questions: the machine is busy, not a plugin.


def call_bounded(
    plugin: str,
    what: str,
    call: Callable[[], T],
    answers: tuple[type[Any], ...],
    *,
    town: str = "",
    seconds: float | None = None,
    access: Access = Access.READ,
    here: bool = False,
) -> T:
    """`contain` for a method of a plugin's object: a `PreauError` is its answer and passes.

    `answers` are the types that the contract promises.
    """

    def checked() -> T:
        answer = call()
        for kind in answers:
            if isinstance(answer, kind):
                return cast("T", exactly(kind, answer)) if issubclass(kind, Checked) else answer
        raise ContractError(f"answered {answer!r:.80}")

    return contain(
        plugin,
        what,
        checked,
        town=town,
        seconds=seconds,
        passing=(PreauError,),
        access=access,
        here=here,
    )


def report_fault(plugin: str, what: str, error: BaseException) -> None:
    """Log and count a fault of a plugin that was done without."""
    metrics.plugin_faults.labels(plugin, what).inc()
    log.error("plugin.fault", plugin=plugin, hook=what, exc_info=error)


def forget_rests() -> None:
    """Ask plugins again that hung (tests)."""
    _resting.clear()


@contextmanager
def resting(town: str, plugin: str, what: str) -> Iterator[None]:
    """Do work of a plugin that has a time limit of its own: it rests if that ends it.

    Raises:
        CoolingDownError: it rests, or takes all that it may already.
    """
    key = town, plugin, what
    _resting.refuse(key)
    try:
        with share(town, plugin):
            yield
    except Interruption:
        _resting.add(key)
        raise
    _resting.end(key)


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
    _resting.refuse(key)
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
                    _resting.end(key)
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
            _resting.add(key)
        report_fault(plugin, what, cause)
        raise FaultError(f"plugin {plugin!r} failed in {what}: {error_words(cause)}") from cause
    finally:
        if not ended:
            reader.leave()
            if reader.is_alive():
                _resting.leave(key, reader)


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
            self._context.run(_visited, self._visit, self._make)
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


def rest_of(town: str, plugin: str, what: str) -> float:
    """Seconds for which a plugin is not asked this in a town; 0 when it is."""
    return _resting.left((town, plugin, what))


class _Rests:
    """Questions to plugins that are not asked for a while, in this process."""

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


_resting = _Rests()


class _LeftError(Interruption):
    """Nobody waits for this companion any more."""


class _Worker(threading.Thread):
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
            return copy_context().run(_visited, visit, call)
        finally:
            self._step(None, None)

    def _step(self, asking: Key | None, visit: Visit | None) -> None:
        with self._lock:
            if self._left:
                # The page goes on without it: nobody is asked here any more, and what the last
                # call said does not count.
                raise _LeftError
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
        if len(_idle) < MAX_IDLE_WORKERS:
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


_idle: list[_Worker] = []
# A forked worker inherits the list, but none of its threads.
os.register_at_fork(after_in_child=_idle.clear)


def _take() -> _Worker:
    try:
        return _idle.pop()
    except IndexError:
        worker = _Worker()
        worker.start()
        return worker


def _gathering() -> _Worker | None:
    """The companion in which this is called, if it asks several plugins."""
    thread = threading.current_thread()
    return thread if isinstance(thread, _Worker) and thread.gathers else None


def bounded(seconds: float, call: Callable[[], T]) -> T:
    """Call, but wait for the end no longer than `seconds`. What it raises passes.

    Raises:
        HookTimeoutError: it still runs.
    """
    return _take().answer(call, seconds)


def _bounded(seconds: float, call: Callable[[], T], visit: Visit, key: Key) -> T:
    worker = _take()
    try:
        return worker.answer(call, seconds, visit)
    except HookTimeoutError:
        _resting.leave(key, worker)
        raise
