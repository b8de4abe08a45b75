"""Recurring direct debits: how long one may still be rejected, and why a bank rejects one."""

from __future__ import annotations

import re
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
    """Reason why a SEPA direct debit came back.

    The codes of ISO 20022 (external lists of status and return reasons) that concern a direct
    debit; those of cards and of transfers between banks are left out.
    """

    # The usual ones first, as pages list them.
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

    # The debtor's account and bank.
    WRONG_DEBTOR_ACCOUNT = "AC02"
    DEBTOR_ACCOUNT_CLOSED = "AC05"
    CONSUMER_ACCOUNT = "AC13"
    NOT_ALLOWED = "AG03"
    DEBIT_FAILED = "AG07"
    CREDITOR_BANK_UNKNOWN = "CNOR"
    DEBTOR_BANK_UNKNOWN = "DNOR"
    SETTLEMENT_FAILED = "ED05"
    BANK_ERROR = "BE08"
    INVALID_BIC = "RC03"
    MISSING_BIC = "RC04"
    NOT_ROUTABLE = "PY01"

    # The debtor's wish, and the services of the bank.
    CANCELLED_BY_DEBTOR = "CUST"
    FOLLOWING_CANCELLATION = "FOCR"
    REQUESTED_BY_CUSTOMER = "MD16"
    REQUESTED_BY_CREDITOR = "MD17"
    STOPPED = "SP01"
    STOPPED_BEFORE = "SP02"
    CREDITOR_BANK_SERVICE = "SL02"
    NOT_ON_WHITELIST = "SL11"
    ON_BLACKLIST = "SL12"
    TOO_MANY_DEBITS = "SL13"
    ABOVE_LIMIT = "SL14"
    UNDUE = "UPAY"
    FRAUD = "FRAD"
    FRAUDULENT = "FR01"
    NO_ANSWER = "NOAS"

    # The mandate.
    MANDATE_INCOMPLETE = "MD02"
    BAD_GROUPING = "MD03"
    BAD_GROUP = "MD04"
    NOT_DUE = "MD05"
    NO_MANDATE_SERVICE = "MD08"
    NO_MANDATE_SERVICE_FOR_DEBTOR = "MD09"
    NO_MANDATE_SERVICE_FOR_CREDITOR = "MD10"
    UNRECOGNISED_AGENT = "MD11"
    MANDATE_NOT_UNIQUE = "MD12"
    WRONG_AUTHENTICATION = "MD13"
    MANDATE_AMOUNT_DIFFERS = "MD15"
    MANDATE_ENDED = "MD20"
    MANDATE_CANCELLED = "MD21"

    # The amount and the day.
    ZERO_AMOUNT = "AM01"
    AMOUNT_TOO_HIGH = "AM02"
    WRONG_CURRENCY = "AM03"
    AMOUNT_TOO_LOW = "AM06"
    AMOUNT_BLOCKED = "AM07"
    WRONG_AMOUNT = "AM09"
    WRONG_SUM = "AM10"
    OTHER_CURRENCY = "CURR"
    WRONG_DATE = "DT01"
    TOO_LATE = "TM01"

    # The names, and the town's own file.
    INCONSISTENT_DEBTOR = "BE01"
    CREDITOR_ADDRESS = "BE04"
    CREDITOR_UNKNOWN = "BE05"
    DEBTOR_UNKNOWN = "BE06"
    DEBTOR_ADDRESS = "BE07"
    BAD_FILE = "FF01"
    BAD_SERVICE_LEVEL = "FF03"
    BAD_SERVICE = "FF04"
    BAD_SCHEME = "FF05"
    SAME_REFERENCE = "RF01"
    DUPLICATE_MESSAGE = "DUPL"
    MISSING_DEBTOR_ACCOUNT = "RR01"
    MISSING_DEBTOR_NAME = "RR02"
    MISSING_CREDITOR_NAME = "RR03"
    ALREADY_RETURNED = "ARDT"
    NO_ORIGINAL = "NOOR"
    NARRATIVE = "NARR"


UNKNOWN_REASON = RejectReason.UNSPECIFIED
"""Reason of a rejection of which a file gives no code."""
_CODE = re.compile(r"[A-Z0-9]{4}")


def reject_code(text: str) -> str:
    """The code of a reason as it may be kept: another text is no code, and says nothing."""
    code = text.strip().upper()
    return code if _CODE.fullmatch(code) else UNKNOWN_REASON.value
