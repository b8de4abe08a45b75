"""Calling a plugin's code so that its faults stay its own: raising, hanging, answering nonsense.

A call that may hang is made in a companion thread: what waits for it gives up after a while. A
thread cannot be ended from outside, so the call itself is left to its fate, and the plugin's next
calls of that kind are spared for a minute (`core.platform.plugins.rests`): a plugin that hangs
costs one wait a minute and process, not one a page.

A contained call never sees the session of the request or companion that makes it: what it opens is
kept in its `Visit`, closed with it, and broken off when the call is given up.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar, cast

import structlog

from core.api.checked import Checked, exactly
from core.api.errors import PreauError
from core.platform import metrics
from core.platform.interruption import Interruption, error_words
from core.platform.plugins.companions import HookTimeoutError, gathering, take
from core.platform.plugins.rests import CoolingDownError, FaultError, Key, rests
from core.platform.plugins.visits import Access, LeftError, Visit, visited
from core.platform.sharing import NotNowError, share

T = TypeVar("T")

CALL_TIMEOUT_SECONDS = 2.0
"""Seconds that a page waits for a hook."""

log = structlog.get_logger(__name__)


class ContractError(Exception):
    """An answer that is not what the contract says."""


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
    rests.refuse(key)
    companion = gathering()
    longest = CALL_TIMEOUT_SECONDS if seconds is None else seconds
    visit = Visit(access, longest)
    began = time.monotonic()
    try:
        if here:
            answer = visited(visit, call, watched=False)
        elif companion is not None and seconds is None:
            answer = companion.ask(key, visit, call)
        elif seconds is None:
            answer = _bounded(longest, partial(visited, visit, call), visit, key)
        else:  # Long enough to keep others waiting.
            with share(town, plugin):
                answer = _bounded(longest, partial(visited, visit, call), visit, key)
    except NotNowError as error:
        raise CoolingDownError(error.reason, error.after) from error
    except passing:
        raise
    except LeftError:
        raise
    except Interruption:  # The time of who called it is over.
        rests.add(key)
        raise
    except Exception as error:
        if isinstance(error, HookTimeoutError):
            rests.add(key)
        else:
            rests.let_pass(key, time.monotonic() - began)
        if companion is None or companion.is_news(key):
            report_fault(plugin, what, error)
        raise FaultError(f"plugin {plugin!r} failed in {what}: {error_words(error)}") from error
    rests.end(key)
    return answer


def batch_calls(ask: Callable[[], T]) -> T:
    """Call what calls several plugins, each by `contain`, in one companion.

    Each has `CALL_TIMEOUT_SECONDS`. One that hangs is a fault and cools down, and all is asked once
    more without it:
    `ask` must do nothing but ask. What it raises passes.
    """
    if gathering() is not None:
        return ask()
    told: set[Key] = set()
    stood_still = False
    while True:
        companion = take()
        companion.gather(told)
        try:
            return companion.answer(ask, CALL_TIMEOUT_SECONDS)
        except HookTimeoutError as error:
            told |= companion.told
            if error.asked is not None:
                rests.leave(error.asked, companion)
                rests.add(error.asked)
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


def _bounded(seconds: float, call: Callable[[], T], visit: Visit, key: Key) -> T:
    companion = take()
    try:
        return companion.answer(call, seconds, visit)
    except HookTimeoutError:
        rests.leave(key, companion)
        raise
