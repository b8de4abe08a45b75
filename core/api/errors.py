"""Errors on either side of the plugin line, by what should be done about them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from enum import StrEnum

from core.domain.start_refusals import RefusalKind


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


class TownClosedError(PreauError):
    """The town is closed for maintenance, or lives elsewhere: none of its transactions begins.

    What was to be done may be tried again later; nothing of it was done.
    """


class PayerField(StrEnum):
    """A field that the payer types before a payment starts."""

    EMAIL = "email"


class StartRefusedError(PermanentError):
    """A provider did not open a payment: nothing was charged, and no bank was asked.

    `kind` tells whose doing it is. `reason` is a sentence for the régie, in whose language
    `PaymentProvider.start` is called. Of `RefusalKind.PAYER`, `payer_field` names what to correct,
    and `message` says to the payer how ("": core's own words): a function of no argument, which is
    called in the payer's language.
    """

    def __init__(
        self,
        kind: RefusalKind,
        reason: str,
        *,
        payer_field: PayerField | None = None,
        message: str | Callable[[], str] = "",
    ) -> None:
        if kind is RefusalKind.AWAY:
            raise ValueError("a service that is away is a RetryableError")
        if (kind is RefusalKind.PAYER) is (payer_field is None):
            raise ValueError("a refusal names a field if, and only if, it is about the payer")
        super().__init__(reason)
        self.kind = kind
        self.payer_field = payer_field
        self._message = message

    @property
    def message(self) -> str:
        """The words for the payer, in the current language."""
        return self._message if isinstance(self._message, str) else self._message()


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
