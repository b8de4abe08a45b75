"""The rules of reminders: a number of days from an invoice's due date, kept as one sees fit.

A rule of -5 is five days before the due date, 0 that day, 8 eight days after it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, time

GRACE_DAYS = 7
"""Days during which a rule still applies. What was not written on its day (an outage, a payment
under way) is written later, but a rule that is new does not wake the debts of years."""

MAX_DAYS = 366
"""Days from the due date that a rule may be."""

MAX_REMINDERS = 6
"""Rules of a régie: more letters are no reminders."""

OPENS, ENDS = time(9), time(20)
"""Nobody is reminded of a bill at night."""


class RuleError(ValueError):
    """These are no rules."""


def parse_days(text: str) -> list[int]:
    """Days as they are typed, ``8, 20``: each one once, sorted.

    Raises:
        RuleError: something is no number of days, or too far away, or there are too many.
    """
    try:
        days = {int(word) for word in text.replace(";", ",").replace(",", " ").split()}
    except ValueError:
        raise RuleError from None
    if len(days) > MAX_REMINDERS or any(not 0 <= number <= MAX_DAYS for number in days):
        raise RuleError
    return sorted(days)


def rule_that_applies(due_on: date, day: date, rules: Iterable[int]) -> int | None:
    """The rule under which an invoice is to be reminded of on `day`, or None.

    The latest that began: whoever is told "tomorrow" need not be told "in five days" as well. A
    rule before the due date ends with it. (`services/sql/reminders.sql` says the same in SQL.)
    """
    age = (day - due_on).days
    begun = [rule for rule in rules if rule <= age < rule + GRACE_DAYS and (rule >= 0 or age <= 0)]
    return max(begun, default=None)


def is_hour_to_write(local: datetime) -> bool:
    """True if a reminder may leave at this hour of the town."""
    return OPENS <= local.time() < ENDS
