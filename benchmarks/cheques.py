"""How well and how fast cheques are matched with the invoices they pay.

Quality on labelled towns that nobody tuned on (``--detail``: per rule and per kind of noise, with
the bounds that the number of cases allows) and on cases written by hand to mislead; speed as a
ratio to a bare pass of rapidfuzz over the same names.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import tracemalloc
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path

from rapidfuzz import fuzz, process

from benchmarks import cheques_files, measure
from benchmarks.cheques_desk import Desk, Score
from benchmarks.cheques_files import Labelled
from benchmarks.cheques_noise import NOISES
from benchmarks.cheques_town import town
from benchmarks.measure import Aim, Result
from plugins.cheque_import.matcher import Cheque, Family, Index, OpenInvoice, Snapshot, match

DEV, TEST = range(1, 11), range(1001, 1021)
"""Seeds to tune on, and seeds that nobody tuned on, whose files are frozen."""

COVERAGE = {
    "base": 89, "hard": 86, "base-own": 88.5, "hard-own": 86, "base-key": 89, "hard-key": 86,
    "base-known": 92, "hard-known": 90,
}  # fmt: skip
"""Percent of the cheques with an exact explanation that are to be matched without a person."""
SIZES = ((5_000, 50_000), (10_000, 100_000), (20_000, 200_000))


def quality(noise: str, seeds: Sequence[int]) -> Score:
    """Live through the town of every seed, read from its files, and add up.

    Raises:
        ValueError: a frozen set is not what it was.
    """
    total, frozen = Score(), cheques_files.frozen()
    for seed in seeds:
        made = cheques_files.files(town(seed, NOISES[noise]))
        known = frozen.get(f"{noise}-{seed}")
        if known not in {None, cheques_files.digest(made)}:
            raise ValueError(f"the set {noise}-{seed} changed: its figures would not compare")
        total.add(Desk(cheques_files.read(made)).run())
    return total


def adversarial() -> Score:
    """Every case that was written by hand to mislead, each on a desk of its own."""
    whole = cheques_files.read_folder(cheques_files.ADVERSARIAL)
    total = Score()
    for slip in dict.fromkeys(paper.slip for paper in whole.papers):
        papers = [paper for paper in whole.papers if paper.slip == slip]
        total.add(Desk(Labelled(whole.families, whole.bills, papers, whole.accounts)).run())
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


def linearity(smallest: Result, largest: Result) -> Result:
    """What one cheque costs at the largest size, against the smallest; 1 is exactly linear."""
    return Result(
        "cost of a cheque, fourfold size over single", 1 / largest.figure, 1 / smallest.figure,
        "s of one core", Aim("at most", 1.5),
        conditions={"sizes": [list(size) for size in SIZES]},
    )  # fmt: skip


def memory(cheques: int, invoices: int) -> Result:
    """Bytes that matching adds for each cheque, beside the index: flat if it is only the answer."""
    snapshot, batch = _large(invoices, cheques)
    index = Index(snapshot)
    match(batch[: cheques // 4], index)
    tracemalloc.start()
    half = _peak(batch[: cheques // 2], index)
    whole = _peak(batch, index)
    tracemalloc.stop()
    return Result(
        "cheque matching: memory of a cheque", (whole - half) / (cheques - cheques // 2) / 1e3,
        None, "kB", Aim("at most", 8, of="figure"),
        conditions={"cheques": cheques, "invoices": invoices, "peak_megabytes": whole / 1e6},
    )  # fmt: skip


def _peak(batch: list[Cheque], index: Index) -> int:
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    match(batch, index)
    return tracemalloc.get_traced_memory()[1] - before


def run(quick: bool) -> Iterator[Result]:
    """Quality on seeds that nobody tuned on and on the adversarial cases, then speed and memory."""
    misled = adversarial()
    yield Result(
        "adversarial cheques: wrong", misled.all.wrong, None, "cheques",
        Aim("at most", 0, of="figure"), conditions={"cheques": misled.all.cheques},
    )  # fmt: skip
    for noise in NOISES:
        yield from _judged(noise, TEST[:1] if quick else TEST)
    sizes = ((500, 5_000),) if quick else SIZES
    speeds = [speed(*size, rounds=1 if quick else 3) for size in sizes]
    yield from speeds
    if not quick:
        yield linearity(speeds[0], speeds[-1])
    yield memory(*sizes[-1])


def _judged(noise: str, seeds: Sequence[int]) -> Iterator[Result]:
    score = quality(noise, seeds).figures()
    told = {
        "seeds": len(seeds), "cheques": score["cheques"], "automatic": score["automatic"],
        "wrong_family_bound_95": score["wrong_family_bound_95"],
    }  # fmt: skip
    none, few = Aim("at most", 0, of="figure"), Aim("at most", 2, of="figure")
    covered, among = (Aim("at least", aim, of="figure") for aim in (COVERAGE[noise], 95))
    for name, figure, unit, aim in (
        ("wrong family", score["wrong_family"], "cheques", none),
        ("posted twice", score["posted_twice"], "invoices", none),
        ("split wrong", 1e4 * (1 - score["split_right"]), "of 10 000 automatic", few),
        ("matched alone", 100 * score["coverage_of_exact"], "% of exact ones", covered),
        ("first three hold it", 100 * score["right_among_first_three"], "% of the rest", among),
    ):
        yield Result(f"cheques, {noise}: {name}", figure, None, unit, aim, conditions=told)


def detail(seeds: Sequence[int], *, wrong: bool) -> None:
    """Print everything that is counted."""
    scores = {"adversarial": adversarial()}
    scores |= {noise: quality(noise, seeds) for noise in NOISES}
    print(json.dumps({name: score.detail() for name, score in scores.items()}, indent=1))
    for score in scores.values() if wrong else ():
        for paper, one in score.wrong:
            print(paper, one.proposals[0], sep="\n  ", end="\n\n")


def write(folder: Path, seeds: Sequence[int]) -> None:
    """Write the sets of these seeds as files, to look at or to try another matcher on."""
    for noise, rates in NOISES.items():
        for seed in seeds:
            cheques_files.write(cheques_files.files(town(seed, rates)), folder / f"{noise}-{seed}")


def freeze() -> None:
    """Say that the test sets are to be what they are now."""
    digests = {
        f"{noise}-{seed}": cheques_files.digest(cheques_files.files(town(seed, rates)))
        for noise, rates in NOISES.items()
        for seed in TEST
    }
    cheques_files.FROZEN.write_text(json.dumps(digests, indent=1) + "\n")


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--detail", action="store_true", help="everything that is counted")
    parser.add_argument("--dev", action="store_true", help="the seeds to tune on")
    parser.add_argument("--wrong", action="store_true", help="print each wrong automatic match")
    parser.add_argument("--write", type=Path, metavar="FOLDER", help="the sets as files")
    parser.add_argument("--freeze", action="store_true", help="after a change of the generator")
    options, others = parser.parse_known_args()
    seeds = DEV if options.dev else TEST
    if options.write:
        write(options.write, seeds)
    elif options.freeze:
        freeze()
    elif options.detail:
        detail(seeds, wrong=options.wrong)
    else:
        sys.argv[1:] = others
        measure.main(run, __doc__)


if __name__ == "__main__":
    main()
