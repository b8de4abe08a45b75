"""How well and how fast cheques are matched.

``--detail`` prints every figure per rule and kind of noise instead, ``--dev`` with the seeds that
were tuned on, ``--wrong`` each wrong automatic match.

Quality is reported per rule and per kind of noise, with the bound that the number of cases allows
(rule of three); speed as a ratio to a bare pass of rapidfuzz over the same names, in the same run.
The person who reviews is simulated as one who always files the truth.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import tracemalloc
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta

from rapidfuzz import fuzz, process

from benchmarks import measure
from benchmarks.cheques_town import BASE, HARD, Noise, Paper, Town, town
from benchmarks.measure import Aim, Result
from plugins.cheque_import.matcher import (
    AccountLink,
    Cheque,
    Family,
    Index,
    Match,
    OpenInvoice,
    Rule,
    Snapshot,
    State,
    match,
)
from plugins.cheque_import.matcher.normalise import bare
from plugins.cheque_import.matcher.snapshot import Elsewhere

DEV, TEST = range(1, 11), range(1001, 1021)
"""Seeds to tune on, and seeds that nobody tuned on."""

LEARNS = {Rule.REFERENCE, Rule.REFERENCE_PART, Rule.AGREEMENT, Rule.CODE}


@dataclass
class Score:
    """Counts over many cheques."""

    cheques: int = 0
    exact: int = 0
    automatic: int = 0
    right: int = 0
    wrong_family: int = 0
    wrong_split: int = 0
    posted_twice: int = 0
    reviewed_exact: int = 0
    among_three: int = 0
    first: int = 0
    manual: int = 0
    rules: Counter[str] = field(default_factory=Counter)
    rules_wrong: Counter[str] = field(default_factory=Counter)
    classes: Counter[str] = field(default_factory=Counter)
    classes_auto: Counter[str] = field(default_factory=Counter)
    wrong: list[tuple[Paper, Match]] = field(default_factory=list)

    def add(self, other: Score) -> None:
        """Add another seed's counts."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)

    def figures(self) -> dict[str, float]:
        """The figures that issue and specification set aims for."""
        automatic = max(self.automatic, 1)
        return {
            "cheques": self.cheques,
            "automatic": self.automatic,
            "automatic_share": self.automatic / max(self.cheques, 1),
            "wrong_family": self.wrong_family,
            "wrong_family_bound_95": 3 / automatic,
            "posted_twice": self.posted_twice,
            "split_right": self.right / automatic,
            "coverage_of_exact": self.right / max(self.exact, 1),
            "right_among_first_three": self.among_three / max(self.reviewed_exact, 1),
            "right_first": self.first / max(self.reviewed_exact, 1),
            "manual_share": self.manual / max(self.cheques, 1),
        }


class Desk:
    """One town's cash desk over its months: a ledger, learned accounts, a person who reviews."""

    def __init__(self, made: Town) -> None:
        self.town = made
        self.left = {bill.id: bill.amount for bill in made.bills}
        self.links: dict[str, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
        self.seen: set[str] = set()
        self.families = tuple(Family(h.id, h.code, h.names) for h in made.households)
        self.score = Score()

    def run(self) -> Score:
        """Live through all months, one slip per régie and month."""
        slips: dict[tuple[int, str], list[Paper]] = defaultdict(list)
        for paper in self.town.papers:
            slips[paper.month, paper.regie].append(paper)
        month_seen = -1
        for month, regie in sorted(slips):
            if month != month_seen:
                for when, bills in self.town.online:
                    if when == month:
                        self.left.update(dict.fromkeys(bills, 0))
                month_seen = month
            self._slip(slips[month, regie], month, regie)
        return self.score

    def _slip(self, papers: list[Paper], month: int, regie: str) -> None:
        waiting = []
        for paper in papers:
            self.score.cheques += 1
            if paper.key in self.seen:
                continue
            self.seen.add(paper.key)
            self.score.exact += paper.exact
            for name in paper.classes:
                self.score.classes[name] += paper.exact
            waiting.append(paper)
        self._file(waiting, month, regie)

    def _file(self, waiting: list[Paper], month: int, regie: str) -> None:
        while waiting:
            found = match([_cheque(paper) for paper in waiting], self._index(month, regie))
            certain = [(p, m) for p, m in zip(waiting, found, strict=True)
                       if m.state is State.CERTAIN]  # fmt: skip
            if not certain:
                break
            for paper, one in certain:
                self._post(paper, one)
            done = {paper.key for paper, _m in certain}
            waiting = [paper for paper in waiting if paper.key not in done]
        # Once a person has confirmed one cheque of an account, the others are matched anew.
        first = {paper.account: paper.key for paper in reversed(waiting)}
        again = []
        for paper, one in zip(waiting, found, strict=True) if waiting else ():
            if first[paper.account] == paper.key:
                self._review(paper, one)
            else:
                again.append(paper)
        if again:
            self._file(again, month, regie)

    def _index(self, month: int, regie: str) -> Index:
        invoices, elsewhere = [], {}
        for bill in self.town.bills:
            if (bill.issued_on.year, bill.issued_on.month) > _month(month):
                continue
            if bill.regie != regie:
                elsewhere[bare(bill.number)] = Elsewhere("autre régie", bill.family)
            elif self.left[bill.id]:
                invoices.append(
                    OpenInvoice(bill.id, bill.family, bill.number, "", bill.regie,
                                self.left[bill.id], bill.issued_on, bill.due_on)
                )  # fmt: skip
            else:
                elsewhere[bare(bill.number)] = Elsewhere("déjà payée", bill.family, bill.amount)
        accounts = {
            account: tuple(AccountLink(f, tuple(sorted(p))) for f, p in sorted(links.items()))
            for account, links in self.links.items()
        }
        return Index(Snapshot(regie, tuple(invoices), self.families, accounts, elsewhere))

    def _post(self, paper: Paper, one: Match) -> None:
        score, proposal = self.score, one.proposals[0]
        score.automatic += 1
        score.rules[proposal.rule] += 1
        if dict(proposal.shares) == dict(paper.truth) and paper.exact:
            score.right += 1
            for name in paper.classes:
                score.classes_auto[name] += 1
        else:
            score.rules_wrong[proposal.rule] += 1
            score.wrong.append((paper, one))
            if proposal.family_id == paper.family:
                score.wrong_split += 1
            else:
                score.wrong_family += 1
        for invoice, cents in proposal.shares:
            self.left[invoice] -= cents
            score.posted_twice += self.left[invoice] < 0
        if proposal.rule in LEARNS or proposal.rule is Rule.ACCOUNT:
            self._learn(paper, proposal.family_id)

    def _review(self, paper: Paper, one: Match) -> None:
        score = self.score
        score.manual += one.state is State.MANUAL
        if paper.exact:
            score.reviewed_exact += 1
            splits = [dict(p.shares) for p in one.proposals]
            score.among_three += dict(paper.truth) in splits[:3]
            score.first += dict(paper.truth) in splits[:1]
        for invoice, cents in paper.truth:
            self.left[invoice] = max(self.left[invoice] - cents, 0)
        self._learn(paper, paper.family)

    def _learn(self, paper: Paper, family: int) -> None:
        payers = self.links[paper.account][family]
        if paper.issuer:
            payers.add(paper.issuer)


def _month(month: int) -> tuple[int, int]:
    return (2025, 9 + month) if month < 4 else (2026, month - 3)


def _cheque(paper: Paper) -> Cheque:
    return Cheque(
        key=paper.key, amount=paper.amount, slip=paper.slip, rank=paper.rank, number=paper.number,
        account=paper.account, issuer=paper.issuer, references=paper.references,
        family_code=paper.code,
    )  # fmt: skip


def quality(noise: Noise, seeds: range) -> Score:
    """Run every seed and add up."""
    total = Score()
    for seed in seeds:
        total.add(Desk(town(seed, noise)).run())
    return total


def _large(invoices: int, cheques: int) -> tuple[Snapshot, list[Cheque]]:
    made = town(7, families=invoices // 2, months=1)
    issued = date(2025, 9, 5)
    grid = sorted({bill.amount for bill in made.bills})
    opened = tuple(
        OpenInvoice(
            n + 1, n // 4 + 1, f"2025-009-{n + 1:07d}", "", "", grid[n * 37 % len(grid)],
            issued + timedelta(days=30 * (n % 4)), issued + timedelta(days=30 * (n % 4 + 1)),
        )
        for n in range(invoices)
    )  # fmt: skip
    families = tuple(Family(h.id, h.code, h.names) for h in made.households[: invoices // 4 + 1])
    bills = {i.family_id: i for i in opened}
    papers = [p for p in made.papers if p.family in bills]
    picked = [
        Cheque(
            key=str(n), amount=bills[p.family].balance, account=p.account, issuer=p.issuer,
            references=(bills[p.family].number,) if p.references else (), family_code=p.code,
        )
        for n, p in enumerate((papers * (cheques // max(len(papers), 1) + 1))[:cheques])
    ]  # fmt: skip
    return Snapshot("", opened, families), picked


def speed(cheques: int, invoices: int, rounds: int = 3) -> Result:
    """Cheques a second of one core, indexing included, against one bare name look-up a cheque."""
    snapshot, batch = _large(invoices, cheques)
    names = [name for family in snapshot.families for name in family.names]
    sample = batch[:: max(len(batch) // 50, 1)]

    def ours() -> float:
        started = time.process_time()
        match(batch, Index(snapshot))
        return len(batch) / (time.process_time() - started)

    def bare_look_up() -> float:
        started = time.process_time()
        for cheque in sample:
            process.extractOne(cheque.issuer, names, scorer=fuzz.token_sort_ratio)
        return len(sample) / (time.process_time() - started)

    took = measure.in_turns({"ours": ours, "bare": bare_look_up}, rounds)
    return measure.compared(
        f"cheques matched against {invoices} invoices", took["ours"], took["bare"], "cheques/s",
        cheques=cheques, invoices=invoices,
        baseline="rapidfuzz.process.extractOne over the families' names, once a cheque",
    )  # fmt: skip


def memory(cheques: int, invoices: int) -> Result:
    """Megabytes at the peak of matching, beyond the snapshot's own."""
    snapshot, batch = _large(invoices, cheques)
    tracemalloc.start()
    match(batch, Index(snapshot))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return Result(
        "cheque matching: memory", peak / 1e6, None, "MB",
        conditions={"cheques": cheques, "invoices": invoices},
    )  # fmt: skip


def run(quick: bool) -> Iterator[Result]:
    """Quality on seeds that nobody tuned on, then speed and memory."""
    seeds = TEST[:1] if quick else TEST
    for name, noise, coverage in (("base", BASE, 0.88), ("hard", HARD, 0.80)):
        figures = quality(noise, seeds).figures()
        told = {"seeds": len(seeds), "noise": name, "cheques": figures["cheques"]}
        yield Result(
            f"cheques of the {name} town: wrong family", figures["wrong_family"], None, "cheques",
            Aim("at most", 0, of="figure"),
            conditions=told | {"bound_95": figures["wrong_family_bound_95"]},
        )  # fmt: skip
        yield Result(
            f"cheques of the {name} town: matched alone", figures["coverage_of_exact"], None,
            "of exact ones", Aim("at least", coverage, of="figure"), conditions=told,
        )  # fmt: skip
    for cheques, invoices in ((500, 5_000),) if quick else ((5_000, 50_000), (20_000, 200_000)):
        yield speed(cheques, invoices, rounds=1 if quick else 3)
    yield memory(*((500, 5_000) if quick else (20_000, 200_000)))


def detail(seeds: range, *, wrong: bool) -> None:
    """Print everything that is counted."""
    report: dict[str, object] = {}
    for name, noise in (("base", BASE), ("hard", HARD)):
        score = quality(noise, seeds)
        report[name] = {
            **score.figures(),
            "per_rule": {
                rule: {"automatic": n, "wrong": score.rules_wrong[rule], "bound_95": 3 / n}
                for rule, n in sorted(score.rules.items())
            },
            "coverage_per_noise": {
                kind: score.classes_auto[kind] / n for kind, n in sorted(score.classes.items()) if n
            },
        }
        for paper, one in score.wrong if wrong else ():
            print(paper, one.proposals[0], sep="\n  ", end="\n\n")
    print(json.dumps(report, indent=1))


def main() -> None:
    """The command."""
    if "--detail" not in sys.argv:
        measure.main(run, __doc__)
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--detail", action="store_true")
    parser.add_argument("--dev", action="store_true", help="the seeds to tune on")
    parser.add_argument("--wrong", action="store_true", help="print each wrong automatic match")
    options = parser.parse_args()
    detail(DEV if options.dev else TEST, wrong=options.wrong)


if __name__ == "__main__":
    main()
