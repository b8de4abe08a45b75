"""Refusals at the start: why a provider did not open a payment, and what follows from it.

The payer was not sent anywhere and no bank was asked, so nothing here is about a card.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class RefusalKind(StrEnum):
    """Cause of a refusal. The text is stable: the database keeps it."""

    PAYER = "payer"
    """A field that the payer typed: the payer corrects it, and pays."""
    INVOICE = "invoice"
    """A field of the invoice, its reference or its amount: the régie corrects it."""
    SETTINGS = "settings"
    """The settings of the régie at the provider: the operator corrects them."""
    AWAY = "away"
    """The service does not answer, or is in trouble: it passes by itself."""
    UNKNOWN = "unknown"
    """A refusal that the provider's plugin cannot attribute."""


class Retry(StrEnum):
    """Result of another try by the same payer."""

    CORRECTED = "corrected"
    """It succeeds once the payer has corrected the field."""
    SOON = "soon"
    """It may succeed within minutes."""
    LATER = "later"
    """It is refused again until a person has acted."""


@dataclass(frozen=True, slots=True)
class Consequence:
    """Consequences of a refusal."""

    retry: Retry
    closes: bool
    """The attempt is over; a later try is a new one."""
    for_the_office: bool
    """It stands under *À faire* until a person or a later success resolves it."""
    resolved_by_regie: bool = False
    """A later payment of the régie that opens resolves it; else one of the same invoice does."""


CONSEQUENCES = {
    RefusalKind.PAYER: Consequence(Retry.CORRECTED, closes=True, for_the_office=False),
    RefusalKind.INVOICE: Consequence(Retry.LATER, closes=True, for_the_office=True),
    RefusalKind.SETTINGS: Consequence(
        Retry.LATER, closes=True, for_the_office=True, resolved_by_regie=True
    ),
    RefusalKind.AWAY: Consequence(Retry.SOON, closes=False, for_the_office=False),
    RefusalKind.UNKNOWN: Consequence(Retry.LATER, closes=True, for_the_office=True),
}
