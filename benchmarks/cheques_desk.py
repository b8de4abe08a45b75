"""A simulated cash desk: lives through a labelled set, and counts what was right.

The person who reviews is one who always files the truth.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from benchmarks.cheques_files import Labelled
from benchmarks.cheques_left import reason
from benchmarks.cheques_made import Kind, Paper
from plugins.cheque_import.matcher import (
    AccountLink,
    Cheque,
    Family,
    Index,
    Match,
    OpenInvoice,
    Snapshot,
    State,
    match,
    owing_all,
)
from plugins.cheque_import.matcher.normalise import bare
from plugins.cheque_import.matcher.snapshot import Elsewhere

_FIRST = 3
_DOUBTED = "misread/"


@dataclass
class Tally:
    """Counts over some cheques: a rule's, a noise class's, or all."""

    cheques: int = 0
    exact: int = 0
    automatic: int = 0
    right: int = 0
    covered: int = 0
    wrong_family: int = 0
    wrong_split: int = 0
    reviewed_exact: int = 0
    among_three: int = 0
    first: int = 0
    manual: int = 0

    def add(self, other: Tally) -> None:
        """Add another's counts."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)

    @property
    def wrong(self) -> int:
        """Automatic and not what the person would have filed."""
        return self.wrong_family + self.wrong_split

    def figures(self) -> dict[str, float]:
        """The figures that issue and specification set aims for; bounds at 95 %."""
        return {
            "cheques": self.cheques,
            "automatic": self.automatic,
            "automatic_share": _part(self.automatic, self.cheques),
            "wrong_family": self.wrong_family,
            "wrong_family_bound_95": bound(self.wrong_family, self.automatic),
            "wrong_split": self.wrong_split,
            "wrong_bound_95": bound(self.wrong, self.automatic),
            "split_right": _part(self.right, self.automatic),
            "coverage_of_exact": _part(self.covered, self.exact),
            "reviewed_exact": self.reviewed_exact,
            "right_among_first_three": _part(self.among_three, self.reviewed_exact),
            "right_first": _part(self.first, self.reviewed_exact),
            "manual_share": _part(self.manual, self.cheques),
        }


@dataclass
class Score:
    """What a desk did with a set."""

    all: Tally = field(default_factory=Tally)
    rules: defaultdict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    classes: defaultdict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    left: Counter[str] = field(default_factory=Counter)
    """Why cheques with an exact explanation wait for a person."""
    posted_twice: int = 0
    wrong: list[tuple[Paper, Match]] = field(default_factory=list)

    def add(self, other: Score) -> None:
        """Add another set's counts."""
        self.all.add(other.all)
        for mine, others in ((self.rules, other.rules), (self.classes, other.classes)):
            for name, tally in others.items():
                mine[name].add(tally)
        self.posted_twice += other.posted_twice
        self.left += other.left
        self.wrong += other.wrong

    def figures(self) -> dict[str, float]:
        """The figures of all cheques."""
        return {**self.all.figures(), "posted_twice": self.posted_twice}

    def detail(self) -> dict[str, Any]:
        """All figures, and those of each rule and of each noise class."""
        return {
            **self.figures(),
            "left_to_a_person": dict(self.left.most_common()),
            "per_rule": {name: t.figures() for name, t in sorted(self.rules.items())},
            "per_noise": {name: t.figures() for name, t in sorted(self.classes.items())},
        }


def bound(wrong: int, of: int) -> float:
    """The rate that is exceeded with a probability of 5 %, when `wrong` of `of` were observed.

    None of many gives the rule of three (3 / `of`); the others are its Poisson relatives.
    """
    if not of:
        return 1.0
    low, high = 0.0, float(wrong + 20)
    for _halving in range(60):
        mean = (low + high) / 2
        seen = sum(math.exp(-mean) * mean**k / math.factorial(k) for k in range(wrong + 1))
        low, high = (mean, high) if seen > 0.05 else (low, mean)
    return min(high / of, 1.0)


class Desk:
    """One town's cash desk over its months: a ledger, learned accounts, a person who reviews."""

    def __init__(self, labelled: Labelled) -> None:
        self.set = labelled
        self.left = {bill.id: bill.amount for bill in labelled.bills}
        self.links: dict[str, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
        self.flagged = {one.account for one in labelled.accounts if one.flagged}
        for one in labelled.accounts:
            self.links[one.account][one.family] |= set(one.payers)
        self.seen: set[str] = set()
        self.near: dict[str, frozenset[str]] = {}
        once = {paper.key: paper for paper in labelled.papers}
        self.twins = Counter((paper.number, paper.amount) for paper in once.values())
        self.families = tuple(Family(*family) for family in labelled.families)
        self.score = Score()
        self.waiting: dict[str, list[Paper]] = {}
        self.found: dict[str, Match] = {}
        self.indices: dict[str, Index] = {}

    def run(self) -> Score:
        """Live through all months: the piles of all régies lie on the desk together."""
        months: dict[int, dict[str, list[Paper]]] = defaultdict(lambda: defaultdict(list))
        for paper in self.set.papers:
            months[paper.month][paper.regie].append(paper)
        for month in sorted(months):
            for bill in self.set.bills:
                if bill.paid_in <= month:
                    self.left[bill.id] = 0
            self._month(dict(sorted(months[month].items())), month)
        return self.score

    def _month(self, piles: dict[str, list[Paper]], month: int) -> None:
        self.waiting = {regie: self._new(papers) for regie, papers in piles.items()}
        here = {_learnt(paper) for papers in self.waiting.values() for paper in papers} - {""}
        for papers in self.waiting.values():
            for paper in papers:
                self.near[paper.key] = frozenset(self._near(paper, here))
        self._accept(self.waiting, month)
        for regie in self.waiting:
            while self.waiting[regie]:
                paper = self.waiting[regie].pop(0)
                self._review(paper, self.found[paper.key], self.indices[regie])
                told = self._told(paper, regie)
                if told:
                    self._accept(told, month)

    def _new(self, papers: list[Paper]) -> list[Paper]:
        """Those that come for the first time."""
        new = []
        for paper in papers:
            again = paper.key in self.seen
            for tally in self._tallies(paper):
                tally.cheques += 1
                tally.exact += paper.exact and not again
            if not again:
                self.seen.add(paper.key)
                new.append(paper)
        return new

    def _accept(self, regies: Iterable[str], month: int) -> None:
        """Accept what is certain, until a whole round over the régies finds nothing more."""
        todo = list(regies)
        while todo:
            regie = todo.pop(0)
            accounts: set[str] = set()
            while self.waiting[regie]:
                waiting = self.waiting[regie]
                self.indices[regie] = index = self._index(month, regie)
                found = match([self._cheque(paper) for paper in waiting], index)
                self.found |= {paper.key: one for paper, one in zip(waiting, found, strict=True)}
                certain = [paper for paper in waiting if self._certain(paper)]
                for paper in certain:
                    self._post(paper, self.found[paper.key])
                    accounts.add(_learnt(paper))
                self.waiting[regie] = [paper for paper in waiting if not self._certain(paper)]
                if not certain:
                    break
            for other, papers in self.waiting.items():
                if other != regie and other not in todo and self._of(accounts, papers):
                    todo.append(other)

    def _certain(self, paper: Paper) -> bool:
        return self.found[paper.key].state is State.CERTAIN

    def _of(self, accounts: set[str], papers: list[Paper]) -> bool:
        """True if some of the cheques are of these accounts, or of one a digit away."""
        return any(
            _account(paper) in accounts - {""} or self.near[paper.key] & accounts
            for paper in papers
        )

    def _told(self, paper: Paper, regie: str) -> list[str]:
        """The régies whose queue is matched anew after a person's decision, as the plugin does."""
        account = {_learnt(paper)} - {""} if paper.kind is Kind.PAYS else set()
        told = [one for one, papers in self.waiting.items() if self._of(account, papers)]
        likeliest = {
            self.found[one.key].proposals[0].family_id
            for one in self.waiting[regie]
            if self.found[one.key].proposals
        }
        return told if regie in told or paper.family not in likeliest else [regie, *told]

    def _cheque(self, paper: Paper) -> Cheque:
        twin = self.twins[paper.number, paper.amount] > 1
        return Cheque(
            key=paper.key, amount=paper.amount, slip=paper.slip, rank=paper.rank,
            number=paper.number, account=_account(paper), issuer=paper.issuer,
            references=paper.references, family_code=paper.code,
            blockers=("twin",) if twin else (), near_accounts=self.near[paper.key],
        )  # fmt: skip

    def _near(self, paper: Paper, here: set[str]) -> Iterator[str]:
        """As the intake does it: accounts one digit away, known or of the same pile (`here`).

        When the key proves the line, only of those that a false key was said of. Where it is
        false, the account itself may be right.
        """
        account = paper.account
        if paper.rlmc == "bad":
            yield from {account, _DOUBTED + account} & {*self.links, *here}
        for at, old in enumerate(account if account not in self.links else ""):
            for digit in "0123456789":
                variant = account[:at] + digit + account[at + 1 :]
                if digit != old:
                    near = {_DOUBTED + variant} if paper.rlmc != "bad" else set()
                    near |= {variant} if paper.rlmc != "good" else set()
                    yield from (one for one in near if one in self.links or one in here)

    def _index(self, month: int, regie: str) -> Index:
        invoices, elsewhere = [], {}
        others: dict[str, list[OpenInvoice]] = defaultdict(list)
        for bill in self.set.bills:
            if (bill.issued_on.year, bill.issued_on.month) > _month(month):
                continue
            one = OpenInvoice(
                bill.id, bill.family, bill.number, "", bill.regie, self.left[bill.id],
                bill.issued_on, bill.due_on,
            )  # fmt: skip
            if bill.regie != regie:
                elsewhere[bare(bill.number)] = Elsewhere("autre régie", bill.family)
                if one.balance:
                    others[bill.regie].append(one)
            elif one.balance:
                invoices.append(one)
            else:
                elsewhere[bare(bill.number)] = Elsewhere("déjà payée", bill.family, bill.amount)
        beside: dict[str, frozenset[int]] = {}
        for other in self.waiting.keys() - {regie}:
            asked: dict[str, list[int]] = defaultdict(list)
            for paper in self.waiting[other]:
                if _account(paper) and _account(paper) not in self.links:
                    asked[_account(paper)].append(paper.amount)
            for account, families in owing_all(others[other], asked).items():
                beside[account] = beside.get(account, families) & families
        accounts = {
            account: tuple(
                AccountLink(f, tuple(sorted(p)), account in self.flagged)
                for f, p in sorted(links.items())
            )
            for account, links in self.links.items()
        }
        holders = frozenset(family for links in self.links.values() for family in links)
        return Index(
            Snapshot(
                regie, tuple(invoices), self.families, accounts, elsewhere, holders, beside
            )
        )

    def _tallies(self, paper: Paper, rule: str = "") -> list[Tally]:
        tallies = [self.score.all, *(self.score.classes[name] for name in set(paper.classes))]
        return [*tallies, self.score.rules[rule]] if rule else tallies

    def _post(self, paper: Paper, one: Match) -> None:
        proposal = one.proposals[0]
        right = paper.kind is Kind.PAYS and dict(proposal.shares) == dict(paper.truth)
        wrong_family = not right and proposal.family_id != paper.family
        if not right:
            self.score.wrong.append((paper, one))
        for tally in self._tallies(paper, str(proposal.rule)):
            tally.automatic += 1
            tally.right += right
            tally.covered += right and paper.exact
            tally.wrong_family += wrong_family
            tally.wrong_split += not right and not wrong_family
        for invoice, cents in proposal.shares:
            self.left[invoice] -= cents
            self.score.posted_twice += self.left[invoice] < 0
        self._learn(paper, proposal.family_id)

    def _review(self, paper: Paper, one: Match, index: Index) -> None:
        if paper.exact:
            self.score.left[reason(paper, self._cheque(paper), one, index)] += 1
        splits = [dict(proposal.shares) for proposal in one.proposals]
        for tally in self._tallies(paper):
            tally.manual += one.state is State.MANUAL
            if paper.exact:
                tally.reviewed_exact += 1
                tally.among_three += dict(paper.truth) in splits[:_FIRST]
                tally.first += dict(paper.truth) in splits[:1]
        for invoice, cents in paper.truth if paper.kind is Kind.PAYS else ():
            self.left[invoice] = max(self.left[invoice] - cents, 0)
        if paper.kind is Kind.PAYS:
            self._learn(paper, paper.family)

    def _learn(self, paper: Paper, family: int) -> None:
        if paper.account:
            payers = self.links[_learnt(paper)][family]
            if paper.issuer:
                payers.add(paper.issuer)


def _account(paper: Paper) -> str:
    """The account as it counts: a false key hides it."""
    return "" if paper.rlmc == "bad" else paper.account


def _learnt(paper: Paper) -> str:
    """The account that a confirmed cheque teaches: of a false key, what was read, as doubtful."""
    return _DOUBTED + paper.account if paper.rlmc == "bad" else paper.account


def _month(month: int) -> tuple[int, int]:
    return (2025, 9 + month) if month < 4 else (2026, month - 3)


def _part(some: int, of: int) -> float:
    return some / of if of else 1.0
