"""A meaning: a wish, and what it is about."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum


class Wish(StrEnum):
    """Wishes that a parent may have. Plugins add wishes of their own by name."""

    START = "start"
    UNPAID = "unpaid"
    PAY = "pay"
    PAY_ALL = "pay_all"
    INVOICE_FILE = "invoice_file"
    MISSING_INVOICE = "missing_invoice"
    HISTORY = "history"
    RECEIPT = "receipt"
    TAX_CERTIFICATE = "tax_certificate"
    ALREADY_PAID = "already_paid"
    PAYMENT_PROBLEM = "payment_problem"
    OTHER_HOME = "other_home"
    REFUND = "refund"
    HOW_TO_PAY = "how_to_pay"
    DELAY = "delay"
    DISPUTE = "dispute"
    ABSENCE = "absence"
    REGISTRATION = "registration"
    CHANGE_DETAILS = "change_details"
    CONTACT = "contact"
    SIGN_IN = "sign_in"
    ALERTS = "alerts"
    STOP = "stop"
    LANGUAGE = "language"
    UNLINK = "unlink"
    DELETE_ACCOUNT = "delete_account"
    THANKS = "thanks"
    GREETING = "greeting"
    HELP = "help"
    INSULT = "insult"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Meaning:
    """A wish, and what it is about.

    Attributes:
        wish: a `Wish`, or the name of another plugin's intent.
        words: what is left of the text, normalised: maybe a label, a child, a régie.
        month: 1 to 12; 0 when none is named.
        year: 0 when none is named.
        days: the first and last day of a named date or week.
        amounts: cents.
        numbers: figures and codes that may be an invoice's number, normalised.
        argument: a start token, a language, or ``on``/``off``.
        is_command: whether it was a command, which acts without being asked back.
    """

    wish: str
    words: tuple[str, ...] = ()
    month: int = 0
    year: int = 0
    days: tuple[date, date] | None = None
    amounts: tuple[int, ...] = ()
    numbers: tuple[str, ...] = ()
    argument: str = ""
    is_command: bool = False

    @property
    def narrows(self) -> bool:
        """True if a date, an amount or a number says which invoices are meant."""
        return bool(self.month or self.year or self.days or self.amounts or self.numbers)


COMMANDS: dict[str, Wish] = {
    "start": Wish.START,
    "factures": Wish.UNPAID,
    "invoices": Wish.UNPAID,
    "payer": Wish.PAY,
    "pay": Wish.PAY,
    "payees": Wish.HISTORY,
    "paid": Wish.HISTORY,
    "recus": Wish.HISTORY,
    "attestation": Wish.TAX_CERTIFICATE,
    "certificate": Wish.TAX_CERTIFICATE,
    "contact": Wish.CONTACT,
    "mairie": Wish.CONTACT,
    "alertes": Wish.ALERTS,
    "alerts": Wish.ALERTS,
    "langue": Wish.LANGUAGE,
    "language": Wish.LANGUAGE,
    "aide": Wish.HELP,
    "help": Wish.HELP,
    "menu": Wish.HELP,
    "deconnexion": Wish.UNLINK,
    "logout": Wish.UNLINK,
    "stop": Wish.STOP,
}
