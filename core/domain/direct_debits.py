"""Recurring direct debits: how long one may still be rejected, and why a bank rejects one."""

from __future__ import annotations

from datetime import date, timedelta
from enum import StrEnum

MARGIN_DAYS = 10
"""Days after a debit during which its bank's answer may still come.

A rejection travels five working days at most; two week-ends and a holiday may lie among them.
"""


def may_be_handed_over(debited_on: date, day: date) -> bool:
    """True if an invoice that nobody noted as debited may be taken for one that was not."""
    return day > debited_on + timedelta(days=MARGIN_DAYS)


class RejectReason(StrEnum):
    """Reason why a SEPA direct debit came back: the codes of ISO 20022 that banks of payers use."""

    INSUFFICIENT_FUNDS = "AM04"
    WRONG_ACCOUNT = "AC01"
    ACCOUNT_CLOSED = "AC04"
    ACCOUNT_BLOCKED = "AC06"
    NO_DEBITS_ON_ACCOUNT = "AG01"
    BAD_OPERATION = "AG02"
    DUPLICATE = "AM05"
    WRONG_BANK = "RC01"
    NO_MANDATE = "MD01"
    UNAUTHORISED = "MD06"
    DEBTOR_DECEASED = "MD07"
    REFUSED_BY_DEBTOR = "MS02"
    UNSPECIFIED = "MS03"
    REGULATORY = "RR04"
    BANK_SERVICE = "SL01"
