"""What may go wrong on either side of the plugin line, by what should be done about it."""

from __future__ import annotations

from datetime import timedelta


class PreauError(Exception):
    """Anything that Préau raises on purpose."""


class RetryableError(PreauError):
    """The other side is away or busy: the same request may succeed later."""

    def __init__(self, reason: str, after: timedelta | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.after = after


class PermanentError(PreauError):
    """Asking again will not help; a person has to read `reason`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class SettingsProblemError(PreauError):
    """A setting of a town is wrong: `key` says which one, `reason` why."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(f"{key}: {reason}")
        self.key = key
        self.reason = reason


class UserError(PreauError):
    """A person asked for something that cannot be done.

    `message` is a sentence for that person, already in their language: what happened, and what to
    do next.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
