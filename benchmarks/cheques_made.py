"""What a made-up town is made of: families, invoices, cheques, and the truth about each."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

MEALS = (98, 145, 210, 287, 345, 402, 465, 530)
CARE = (62, 90, 135, 180, 224, 260, 301, 348)
REGIES = ("CANTINE", "GARDERIE")
CONFUSED = {"0": "8", "8": "03", "1": "7", "7": "1", "3": "8", "5": "6", "6": "5"}
_CHECK = "0123456789ABCDEFGHJKMNPQRSTVWXYZ*~$=U"


class Kind(StrEnum):
    """What a person with the paper in hand does with a cheque."""

    PAYS = "pays"
    """It pays the invoices of its truth."""
    FAMILY_ONLY = "family_only"
    """Its family is known, but nothing of this régie is to be paid: given back, or a credit."""
    TWO_REGIES = "two_regies"
    """It pays both régies at once: refused."""
    NOT_OURS = "not_ours"
    """No family of this town sent it."""
    DUPLICATE = "duplicate_of"
    """The very same cheque, read a second time."""


@dataclass(slots=True)
class Household:
    """A family as it is: what it is called, how it pays."""

    id: int
    code: str
    names: tuple[str, ...]
    account: str
    habit: str
    meals: int
    care: int
    children: int
    double: str = ""
    patron: str = ""
    """The grandparent who signs its cheques, if any."""


@dataclass(slots=True)
class Bill:
    """An invoice, and who owes it. `left` is what is still due."""

    id: int
    family: int
    regie: str
    number: str
    amount: int
    issued_on: date
    due_on: date
    left: int = 0
    paid_in: int = 99
    """The month that settled it."""


@dataclass(slots=True)
class Paper:
    """A cheque as it reaches the portal, its truth, and what went wrong with it."""

    key: str
    regie: str
    month: int
    slip: str
    rank: int
    number: str
    account: str
    amount: int
    issuer: str
    references: tuple[str, ...]
    code: str
    family: int
    kind: Kind
    truth: tuple[tuple[int, int], ...]
    """(invoice, cents) as a person with the paper in hand files it, a wrong amount corrected."""
    exact: bool
    """Whether the amount as it was imported is that of the invoices meant."""
    classes: tuple[str, ...] = ()
    rlmc: str = ""
    """What the key said of the line that was read, ``good`` or ``bad``; "" without a key."""


@dataclass(slots=True)
class UnitOfWork:
    """All of it. `papers` are in the order they arrive."""

    households: list[Household]
    bills: list[Bill] = field(default_factory=list)
    papers: list[Paper] = field(default_factory=list)
    online: list[tuple[int, tuple[int, ...]]] = field(default_factory=list)
    """(month, invoices) that were paid through the portal before the month's cheques came."""
    known: list[Household] = field(default_factory=list)
    """Those whose account was confirmed before."""


def printed(number: str, *, check: bool = True) -> str:
    """The reference as a coupon prints it."""
    bare = "".join(c for c in number.upper() if c.isalnum())
    return f"{number}-{_CHECK[int(bare, 36) % 37]}" if check else number
