"""Draws one cheque of a made-up town, and notes what went wrong with it."""

from __future__ import annotations

import random

from benchmarks.cheques_made import (
    CONFUSED,
    REGIES,
    Bill,
    Household,
    Kind,
    Paper,
    UnitOfWork,
    printed,
)
from benchmarks.cheques_names import FIRST, SURNAMES
from benchmarks.cheques_noise import Noise


class Draw:
    """Draws the cheques of one household in one month."""

    def __init__(
        self, rng: random.Random, made: UnitOfWork, noise: Noise, house: Household, month: int
    ) -> None:
        self.rng, self.made, self.noise, self.house, self.month = rng, made, noise, house, month
        self.classes: list[str] = []

    def papers(self, bills: list[Bill]) -> list[Paper]:
        """The cheque that pays `bills`; or the two that pay one of them in parts."""
        self.classes = []
        if len(bills) == 1 and bills[0].left > 1 and self.rng.random() < self.noise.instalment:
            half = bills[0].left // 2
            return [self._instalment(bills[0], cents) for cents in (half, bills[0].left - half)]
        return [self._paper(bills)]

    def for_two_regies(self, bills: list[Bill]) -> Paper:
        """One cheque for all that both régies ask, found in the first one's pile."""
        self.classes = ["two_regies"]
        references = self._references(bills)
        return self._made(
            bills[0].regie, sum(bill.left for bill in bills), references, Kind.TWO_REGIES, ()
        )

    def paid_online(self, bill: Bill) -> Paper:
        """A cheque for an invoice that was paid through the portal meanwhile."""
        self.classes = ["paid_online"]
        return self._made(bill.regie, bill.amount, self._references([bill]), Kind.FAMILY_ONLY, ())

    def not_ours(self) -> Paper:
        """A cheque that another town should have got; its amount is one of the price grid."""
        rng = self.rng
        self.classes = ["not_ours"]
        number = f"{rng.choice(('FA', 'T', '2025-010-'))}{rng.randrange(10**6):06d}"
        references = (number,) if rng.random() < 0.5 else ()
        account, issuer = f"{rng.randrange(10**24):024d}", self._stranger()
        return self._made(
            rng.choice(REGIES), rng.choice(self.made.bills).amount, references, Kind.NOT_OURS, (),
            account=account, issuer=issuer, code="", family=0,
        )  # fmt: skip

    def _paper(self, bills: list[Bill]) -> Paper:
        rng = self.rng
        due = sum(bill.left for bill in bills)
        references = self._references(bills)
        paid = keyed = due
        if self._happens("short"):
            paid = keyed = max(due - rng.choice((100, 200, 500, 1000, 37)), 1)
        elif self._happens("over"):
            paid = keyed = due + rng.choice((100, 200, 500, 13))
        elif self._happens("swapped_digits"):
            keyed = _swapped(rng, due)
        elif self._happens("keyed_wrong"):
            keyed = max(due + rng.choice((-1, 1)) * rng.choice((1, 10, 100, 1000)), 1)
        elif self._happens("comma_lost"):
            keyed = due * 100
        truth = _filed(bills, paid, self.month)
        return self._made(
            bills[0].regie,
            keyed,
            references,
            Kind.PAYS,
            truth,
            exact=keyed == due,
        )

    def _instalment(self, bill: Bill, cents: int) -> Paper:
        self.classes = ["instalment"]
        references = self._references([bill])
        truth = _filed([bill], cents, self.month)
        return self._made(bill.regie, cents, references, Kind.PAYS, truth)

    def _made(
        self, regie: str, amount: int, references: tuple[str, ...], kind: Kind,
        truth: tuple[tuple[int, int], ...], *, exact: bool = False, account: str | None = None,
        issuer: str | None = None, code: str | None = None, family: int | None = None,
    ) -> Paper:  # fmt: skip
        account = self._account() if account is None else account
        number = f"{self.rng.randrange(10**7):07d}"
        issuer = self._issuer() if issuer is None else issuer
        code = self._code() if code is None else code
        misread = "misread_account" in self.classes
        rlmc = ("bad" if misread else "good") if self.noise.keyed and account else ""
        key = number + account if account else f"{number}/{self.month}/{self.rng.random()}"
        return Paper(
            key=key, regie=regie, month=self.month, slip="", rank=0, number=number,
            account=account, amount=amount, issuer=issuer, references=references, code=code,
            family=self.house.id if family is None else family, kind=kind, truth=truth,
            exact=exact, classes=tuple(self.classes) or ("clean",), rlmc=rlmc,
        )  # fmt: skip

    def _happens(self, name: str) -> bool:
        happened = self.rng.random() < getattr(self.noise, name)
        if happened:
            self.classes.append(name)
        return happened

    def _account(self) -> str:
        rng, account = self.rng, self.house.account
        if self.house.patron:
            self.classes.append("grandparent")
        if self._happens("no_account"):
            return ""
        if self._happens("foreign_account"):
            return f"{rng.randrange(10**24):024d}"
        return _misread(rng, account) if self._happens("misread_account") else account

    def _stranger(self) -> str:
        rng = self.rng
        title = rng.choice(("M", "MME", "M OU MME"))
        return f"{title} {rng.choice(SURNAMES)} {rng.choice(FIRST)}"

    def _issuer(self) -> str:
        rng = self.rng
        if self._happens("no_name"):
            return ""
        if self.house.patron:
            return self.house.patron
        if self._happens("foreign_name"):
            return self._stranger()
        surname, first = rng.choice(self.house.names).split(" ", 1)
        if rng.random() < 0.04:
            at = rng.randrange(1, len(surname))
            surname = surname[:at] + rng.choice("AEIORSTLN") + surname[at + 1 :]
        forms = (
            f"{surname} {first}", f"{first} {surname}", f"M OU MME {surname} {first[0]}",
            f"MME {surname} {first}", f"M {surname}", f"MME {self.house.double}-{surname} {first}",
            f"M ET MME {surname}",
        )  # fmt: skip
        return rng.choice(forms)

    def _references(self, bills: list[Bill]) -> tuple[str, ...]:
        rng = self.rng
        if not self._happens("referenced"):
            return ()
        check = rng.random() < self.noise.check_character
        numbers = [bill.number for bill in bills]
        if len(numbers) > 1 and self._happens("first_only"):
            numbers = numbers[:1]
        if self._happens("old_coupon"):
            old = [
                b.number
                for b in self.made.bills
                if b.family == self.house.id
                and b.regie == bills[0].regie
                and b.paid_in < self.month
            ]
            numbers = [rng.choice(old)] if old else numbers
        elif self._happens("neighbours_coupon"):
            numbers = [rng.choice(self.made.bills).number]
        texts = [printed(number, check=check) for number in numbers]
        return tuple(_misread(rng, t) if self._happens("misread_reference") else t for t in texts)

    def _code(self) -> str:
        if not self._happens("coded"):
            return ""
        if self._happens("wrong_code"):
            other = self.rng.choice(self.made.households).code
            return _misread(self.rng, self.house.code) if self.rng.random() < 0.5 else other
        return self.house.code


def _filed(bills: list[Bill], paid: int, month: int) -> tuple[tuple[int, int], ...]:
    """Take `paid` cents off the bills, oldest first."""
    shares = []
    for bill in bills:
        taken = min(paid, bill.left)
        bill.left -= taken
        paid -= taken
        if not bill.left:
            bill.paid_in = month
        if taken:
            shares.append((bill.id, taken))
    return tuple(shares)


def _misread(rng: random.Random, text: str) -> str:
    places = [i for i, c in enumerate(text) if c.isdigit()]
    at = rng.choice(places)
    wrong = CONFUSED.get(text[at]) if rng.random() < 0.7 else None
    new = rng.choice(wrong or [d for d in "0123456789" if d != text[at]])
    return text[:at] + new + text[at + 1 :]


def _swapped(rng: random.Random, amount: int) -> int:
    text = str(amount)
    at = rng.randrange(len(text) - 1)
    return int(text[:at] + text[at + 1] + text[at] + text[at + 2 :])
