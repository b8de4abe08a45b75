"""Exceptions that may end a thread or a process, apart from errors, which end a piece of work."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

MAX_WORDS_CHARACTERS = 1000
"""Maximum length of what an error is quoted for."""


class Interruption(BaseException):
    """An order to stop, from outside a plugin's code: nobody contains it."""


class EscapedError(Exception):
    """A plugin raised what would end the thread, or the process: `SystemExit`, `CancelledError`."""


@contextmanager
def errors_only() -> Iterator[None]:
    """Let plugin code in the block raise errors, and nothing that ends a thread or the process.

    Raises:
        EscapedError: it raised a `BaseException` of another kind.
    """
    try:
        yield
    except BaseException as error:
        if isinstance(error, Exception | Interruption) or _is_from_keyboard(error):
            raise
        raise EscapedError(error_words(error)) from error


def _is_from_keyboard(error: BaseException) -> bool:
    """True if a person interrupts the process, which only its main thread learns."""
    return (
        isinstance(error, KeyboardInterrupt)
        and threading.current_thread() is threading.main_thread()
    )


def error_words(error: BaseException) -> str:
    """An error's kind, and what it says, if it can; in a few lines at most."""
    try:
        words = str.__str__(str(error))[:MAX_WORDS_CHARACTERS]
    except Exception:  # noqa: BLE001 - whatever it does instead of saying something
        words = ""
    return f"{type(error).__name__}: {words}" if words else type(error).__name__
