"""Decisions about a direct debit of which a bank tells: what it changes, seen what is known.

A file may come twice, after another, or late: each debit is decided by what stands at that moment.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import StrEnum
from typing import Final

from core.domain.debit_files.report import Told
from core.domain.direct_debits import MARGIN_DAYS


class Finding(StrEnum):
    """Meaning of what a bank tells of a debit."""

    SETTLE = "settle"
    SETTLE_ANEW = "settle_anew"
    """It was not, or no longer, under debit here; the sum is exactly what is left."""
    OTHER_AMOUNT = "other_amount"
    """The bank took another sum than what is left."""
    PAID_TWICE = "paid_twice"
    """Nothing is left: it was paid otherwise, and the bank took it as well."""
    PAID = "paid"
    """As before, and the file gives no sum: nothing can be noted."""
    HELD = "held"
    """An online payment under way may pay it, too."""
    AFTER_REJECT = "after_reject"
    """It came back a few days ago: this may be the debit that came back."""
    NOTED = "noted"
    NOTED_OTHERWISE = "noted_otherwise"
    """It is noted already, with another sum."""
    CAME_BACK = "came_back"
    """It came back after that day: nothing of it is left on the account."""
    NOT_COME = "not_come"
    NOT_ISSUED = "not_issued"

    REVERSE = "reverse"
    """It was noted as debited: that is taken back."""
    REVERSE_OTHER = "reverse_other"
    """It was noted with another sum than the one that came back."""
    REFUSE = "refuse"
    """It was not noted as debited: the invoice leaves the debit."""
    REFUSE_PAID = "refuse_paid"
    """It was not noted, and the invoice was paid otherwise meanwhile."""
    KNOWN = "known"
    """That it came back is noted already."""
    NOT_DEBITED = "not_debited"
    """The invoice was never under debit."""

    NO_DAY = "no_day"
    UNKNOWN = "unknown"
    """No invoice has this name."""
    AMBIGUOUS = "ambiguous"
    """Several invoices have this name."""


SETTLING: Final = frozenset(
    {
        Finding.SETTLE, Finding.SETTLE_ANEW, Finding.OTHER_AMOUNT, Finding.PAID_TWICE, Finding.HELD,
        Finding.AFTER_REJECT,
    }
)  # fmt: skip
"""Findings after which the sum may be noted as debited."""
REJECTING: Final = frozenset(
    {Finding.REVERSE, Finding.REVERSE_OTHER, Finding.REFUSE, Finding.REFUSE_PAID}
)
CLEAR: Final = frozenset(
    {
        Finding.SETTLE, Finding.SETTLE_ANEW, Finding.REVERSE, Finding.REFUSE, Finding.REFUSE_PAID,
    }
)  # fmt: skip
"""Findings that leave no doubt: they are proposed. The others wait for a person's word."""


@dataclass(frozen=True, slots=True)
class Noted:
    """A debit that is noted and in force."""

    cents: int
    day: date
    used: int
    """Cents of it that the invoice took; the rest became a credit."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Facts of an invoice and its debits. `left` is in cents, 0 if nobody pays it here."""

    left: int
    direct_debit: bool
    issued_on: date
    debit_day: date
    is_held: bool = False
    noted: Noted | None = None
    rejected_on: date | None = None
    """Day of the last rejection."""


def decide(
    told: Told, cents: int | None, day: date | None, standing: Standing, today: date
) -> Finding:
    """Say what a bank's word about an invoice's debit of `cents` means; None: it gives no sum."""
    if day is None:
        return Finding.NO_DAY
    if told is Told.SETTLED:
        return _settled(cents, day, standing, today)
    return _rejected(cents, day, standing)


def _settled(cents: int | None, day: date, standing: Standing, today: date) -> Finding:
    if standing.noted is not None:
        same = cents is None or cents == standing.noted.cents
        return Finding.NOTED if same else Finding.NOTED_OTHERWISE
    if day > today:
        return Finding.NOT_COME
    if day < standing.issued_on:
        return Finding.NOT_ISSUED
    if standing.rejected_on is not None and day <= standing.rejected_on:
        return Finding.CAME_BACK
    if standing.left <= 0:
        return Finding.PAID if cents is None else Finding.PAID_TWICE
    if standing.is_held:
        return Finding.HELD
    if cents is not None and cents != standing.left:
        return Finding.OTHER_AMOUNT
    if standing.direct_debit:
        return Finding.SETTLE
    rejected = standing.rejected_on
    if rejected is not None and day <= rejected + timedelta(days=MARGIN_DAYS):
        return Finding.AFTER_REJECT
    return Finding.SETTLE_ANEW


def _rejected(cents: int | None, day: date, standing: Standing) -> Finding:
    noted, rejected = standing.noted, standing.rejected_on
    if noted is not None:
        if rejected is not None and day < noted.day:
            return Finding.KNOWN  # It is the debit before this one that came back.
        same = cents is None or cents == noted.cents
        return Finding.REVERSE if same else Finding.REVERSE_OTHER
    if rejected is not None and (
        not standing.direct_debit or day <= rejected or day < standing.debit_day
    ):
        return Finding.KNOWN
    if not standing.direct_debit:
        return Finding.NOT_DEBITED
    return Finding.REFUSE if standing.left > 0 else Finding.REFUSE_PAID


def after(finding: Finding, cents: int | None, day: date, standing: Standing) -> Standing:
    """The standing once what was found is done: the next line of the same file is decided by it."""
    if finding in SETTLING:
        taken = standing.left if cents is None else cents
        return replace(
            standing,
            left=max(standing.left - taken, 0),
            direct_debit=standing.direct_debit and taken >= standing.left,
            noted=Noted(taken, day, min(taken, standing.left)),
        )
    if finding in REJECTING:
        return replace(
            standing,
            left=standing.left + (standing.noted.used if standing.noted else 0),
            direct_debit=False,
            noted=None,
            rejected_on=max(day, standing.rejected_on or day),
        )
    return standing
