"""Input and answer of the matcher; both frozen."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from operator import attrgetter
from typing import NamedTuple

from plugins.cheque_import.matcher.names import NameIndex
from plugins.cheque_import.matcher.normalise import Name, Scorer, bare, people
from plugins.cheque_import.matcher.subsets import exact_subsets, sums_of


@dataclass(frozen=True, slots=True)
class OpenInvoice:
    """An invoice of the régie that still owes `balance` cents."""

    id: int
    family_id: int
    number: str
    payment_reference: str
    label: str
    balance: int
    issued_on: date
    due_on: date
    under_way: bool = False
    """True if a parent is paying the invoice online now."""


@dataclass(frozen=True, slots=True)
class Family:
    """A family's file: its printed code, and every name it may sign with, its own first."""

    id: int
    code: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AccountLink:
    """A family that confirmed cheques of one account were posted to, and who signed them."""

    family_id: int
    payers: tuple[str, ...] = ()
    flagged: bool = False
    """A cheque of this account bounced: worth a word, never a ban."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A reference that exists but cannot be paid by this cheque, and why, in words."""

    reason: str
    family_id: int | None = None
    settled: int = 0
    """Amount in cents, if the reference is an invoice of this régie paid in full; else 0."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The open invoices of one régie, and what is known, at one moment."""

    regie: str
    invoices: tuple[OpenInvoice, ...]
    families: tuple[Family, ...]
    accounts: Mapping[str, tuple[AccountLink, ...]] = field(default_factory=dict)
    elsewhere: Mapping[str, Elsewhere] = field(default_factory=dict)
    """By bare reference: invoices that are paid, of another régie, handed over."""
    account_holders: frozenset[int] = frozenset()
    """Families that paid with a cheque before, of whatever account."""
    beside: Mapping[str, frozenset[int]] = field(default_factory=dict)
    """By account: the families who owe all that its cheques at hand ask of another régie."""


@dataclass(frozen=True, slots=True)
class Cheque:
    """A cheque to match. `blockers` are reasons why a person must see it whatever matches."""

    key: str
    amount: int
    slip: str = ""
    rank: int = 0
    number: str = ""
    account: str = ""
    near_accounts: frozenset[str] = frozenset()
    issuer: str = ""
    references: tuple[str, ...] = ()
    family_code: str = ""
    blockers: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    """Remarks about the cheque for a person; they stop nothing."""


class State(StrEnum):
    """Answer of the matcher for a cheque."""

    CERTAIN = "certain"
    PROPOSED = "proposed"
    MANUAL = "manual"


class Rule(StrEnum):
    """Reason for a proposal; all but the last may be applied without a person."""

    REFERENCE = "reference"
    """(i) The references' invoices add up to the amount."""
    REFERENCE_PART = "reference+subset"
    """(i) One reference, and the one way to complete it exactly."""
    ACCOUNT = "account"
    """(ii) A known account, and one exact way."""
    AGREEMENT = "agreement"
    """(iii) Two independent signs of one family, and one exact way."""
    CODE = "code+name"
    """(iv) The family code and the name, and one exact way."""
    NEAR = "near-account+name"
    """(v) A known account one misread digit away, the name, and one exact way."""
    BESIDE = "beside"
    """(vi) An account's cheques to two régies, and the one family that owes both amounts."""
    CANDIDATE = "candidate"
    """Something points to this family; a person decides."""


class Proposal(NamedTuple):
    """One way to explain a cheque.

    `shares` are (invoice id, cents) and never exceed the cheque; `gap` is the cheque less what the
    invoices meant owe: negative when it is short. `scores` are the figures behind `confidence`.
    """

    family_id: int
    shares: tuple[tuple[int, int], ...]
    gap: int
    confidence: int
    rule: Rule
    reasons: tuple[str, ...]
    scores: Mapping[str, int]
    algorithm: str


@dataclass(frozen=True, slots=True)
class Match:
    """Result of the matcher for one cheque; the best proposal first."""

    key: str
    state: State
    proposals: tuple[Proposal, ...]
    warnings: tuple[str, ...] = ()


class Index:
    """A snapshot made quick to ask. Building it is linear in the snapshot; asking is not."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.by_family: dict[int, list[OpenInvoice]] = defaultdict(list)
        self._by_reference: dict[str, OpenInvoice | None] = {}
        by_reference = self._by_reference
        # The oldest first; two sorts, for a key of both makes as many tuples as there are invoices.
        for invoice in sorted(
            sorted(snapshot.invoices, key=attrgetter("id")), key=attrgetter("due_on")
        ):
            self.by_family[invoice.family_id].append(invoice)
            number = bare(invoice.number)
            other = bare(invoice.payment_reference) if invoice.payment_reference else ""
            # Two invoices under one reference: it designates neither.
            if number:
                by_reference[number] = None if number in by_reference else invoice
            if other and other != number:
                by_reference[other] = None if other in by_reference else invoice
        self._lengths = set(map(len, by_reference))
        self._owing: dict[int, set[int]] = defaultdict(set)
        self._first_owing: dict[tuple[int, bool], list[int]] = defaultdict(list)
        for family in sorted(self.by_family):
            holder = family in snapshot.account_holders
            for invoice in self.by_family[family]:
                owing = self._owing[invoice.balance]
                if family not in owing:
                    owing.add(family)
                    first = self._first_owing[invoice.balance, holder]
                    if len(first) < _FEW:
                        first.append(family)
        self.by_id = {invoice.id: invoice for invoice in snapshot.invoices}
        self._words = {family.id: _names(family) for family in snapshot.families}
        self._issuer: tuple[Name, ...] = ()
        self._scorer = Scorer(())
        self._scores: dict[int, int] = {}
        self._named: dict[int, list[tuple[int, int]]] = {}
        self._codes: dict[str, int | None] = {}
        for one in snapshot.families:
            code = bare(one.code)
            self._codes[code] = None if code in self._codes else one.id
        self._names = NameIndex(self._words)
        self._owners: dict[bool, tuple[dict[int, int | None], list[int]]] = {}

    def invoice(self, bare_reference: str) -> OpenInvoice | None:
        """The one open invoice of this reference."""
        return self._by_reference.get(bare_reference)

    def as_long(self, bare_reference: str) -> bool:
        """True if some open invoice's reference has the same number of characters."""
        return len(bare_reference) in self._lengths

    def family_of_code(self, code: str) -> int | None:
        """The family of a printed code, however it was typed."""
        return self._codes.get(bare(code)) if code else None

    def name_score(self, issuer: tuple[Name, ...], family_id: int) -> int:
        """Score of the issuer against the family's best name, 0 to 100."""
        self._asked_of(issuer)
        score = self._scores.get(family_id)
        if score is None:
            score = self._scorer.best(self._words.get(family_id, ()))
            self._scores[family_id] = score
        return score

    def _asked_of(self, issuer: tuple[Name, ...]) -> None:
        """One cheque asks the same several times; the next has another issuer."""
        if issuer is not self._issuer and issuer != self._issuer:
            self._issuer, self._scorer, self._scores, self._named = issuer, Scorer(issuer), {}, {}

    def owing(self, amount: int) -> AbstractSet[int]:
        """Families with an invoice of exactly this balance."""
        return self._owing.get(amount, _NOBODY)

    def owes(self, family_id: int, amount: int) -> bool:
        """True if some of a family's invoices add up to exactly this amount.

        Unproven because they are too many counts as yes.
        """
        if family_id in self.owing(amount):
            return True
        found = exact_subsets(
            [invoice.balance for invoice in self.by_family.get(family_id, ())], amount, limit=1
        )
        return bool(found.found) or not found.complete

    def owing_beside(self, account: str, amount: int) -> int | None:
        """The one family that owes this amount, and what the account asks of another régie."""
        others = self.snapshot.beside.get(account)
        if not others or len(self.snapshot.invoices) < TELLING:
            return None
        found = [family for family in sorted(others) if self.owes(family, amount)]
        return found[0] if len(found) == 1 else None

    def only_one_owing(self, family_id: int, amount: int, *, strangers: bool = False) -> bool:
        """True if no other family's invoices, in whatever combination, add up to this amount.

        With `strangers`, no other of those whose account is not known. Among few invoices it says
        little, and among very many nearly every amount is owed by several: both count as no.
        """
        if not TELLING <= len(self.snapshot.invoices) <= ALL_SUMS:
            return False
        others = self.owing(amount) - {family_id}
        if strangers:
            others -= self.snapshot.account_holders
        if others:
            return False
        if strangers not in self._owners:
            self._owners[strangers] = self._sums(strangers=strangers)
        owners, long = self._owners[strangers]
        return owners.get(amount, family_id) == family_id and not any(
            other != family_id and self.owes(other, amount) for other in long
        )

    def _sums(self, *, strangers: bool) -> tuple[dict[int, int | None], list[int]]:
        """The one family whose invoices add up to an amount, None of several.

        And the families who owe too many invoices to write all their sums down.
        """
        owners: dict[int, int | None] = {}
        long: list[int] = []
        for family, invoices in self.by_family.items():
            if strangers and family in self.snapshot.account_holders:
                continue
            if len(invoices) > FEW_OPEN:
                long.append(family)
                continue
            for one in sums_of(invoice.balance for invoice in invoices):
                owners[one] = family if owners.get(one, family) == family else None
        return owners, long

    def first_owing(self, amount: int, *, holders: bool) -> list[int]:
        """The first few of them, always the same ones.

        Those who paid with a cheque before come first when `holders`, else last: an account that
        is not known is more likely that of a family whose account is not.
        """
        found = self._first_owing.get((amount, holders), [])
        return (found + self._first_owing.get((amount, not holders), []))[:_FEW]

    def families_named(self, issuer: tuple[Name, ...], amount: int) -> list[tuple[int, int]]:
        """(score, family) of those whose names resemble the issuer, the best first; bounded.

        Of a frequent name, those with an invoice of this amount come first.
        """
        self._asked_of(issuer)
        if amount not in self._named:
            scores, scorer, words = self._scores, self._scorer, self._words
            found = []
            for family in self._names.candidates(issuer, self.owing(amount)):
                score = scores.get(family)
                if score is None:
                    score = scores[family] = scorer.best(words[family])
                if score >= _RESEMBLES:
                    found.append((-score, family))
            self._named[amount] = [(-negative, family) for negative, family in sorted(found)]
        return self._named[amount]


_FEW = 4
FEW_OPEN = 8
"""Open invoices of a family whose sums are all written down: 255 at most."""
TELLING, ALL_SUMS = 100, 10_000
"""Open invoices of a régie from which, and up to which, it is looked for who else owes a sum."""
_RESEMBLES = 60
_NOBODY: frozenset[int] = frozenset()


def _names(family: Family) -> tuple[Name, ...]:
    """The names of a family's people. A child's given name alone is no name to know it by."""
    own = people(family.names[0]) if family.names else ()
    others = [
        name
        for text in family.names[1:]
        for name in people(text)
        if sum(len(word) > 1 for word in name) > 1
    ]
    return tuple(dict.fromkeys((*own, *others)))
