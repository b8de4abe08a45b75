"""What the benchmarks share: results, and measuring several ways in turns.

A ratio says how Préau compares with its baseline; times of one machine say nothing about another.
`README.md` shows how a benchmark is written.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from statistics import median
from typing import Any, Literal

ROUNDS = 5


@dataclass(frozen=True)
class Aim:
    """What a result should reach: ``Aim("at least", 0.7)``, of its ratio unless `of` says else."""

    kind: Literal["at least", "at most"]
    value: float
    of: Literal["ratio", "figure", "difference"] = "ratio"

    def __str__(self) -> str:
        sign = "≥" if self.kind == "at least" else "≤"
        return f"{sign} {self.value:g}" + ("" if self.of == "ratio" else f" ({self.of})")


@dataclass(frozen=True)
class Result:
    """One line of the table.

    `figure` is Préau's and `baseline` the bare way's, both in `unit`; a figure that has nothing to
    be compared with has no baseline, and its `aim` is of the figure. `ratio` is figure / baseline.
    """

    name: str
    figure: float
    baseline: float | None
    unit: str
    aim: Aim | None = None
    spread: tuple[float, float] | None = None
    """Smallest and largest ratio of the rounds."""
    conditions: Mapping[str, object] = field(default_factory=dict)
    """What one must know to measure the same: sizes, rounds, what the baseline does."""

    @property
    def ratio(self) -> float | None:
        """Figure over baseline."""
        return self.figure / self.baseline if self.baseline else None

    @property
    def reached(self) -> bool | None:
        """Whether the aim is reached; None without one."""
        if self.aim is None:
            return None
        judged = {
            "ratio": self.ratio,
            "figure": self.figure,
            "difference": self.figure - (self.baseline or 0.0),
        }[self.aim.of]
        if judged is None:
            raise ValueError(f"{self.name}: an aim for a ratio needs a baseline")
        # Judged as it is shown: with two digits after the point.
        if self.aim.kind == "at least":
            return round(judged, 2) >= self.aim.value
        return round(judged, 2) <= self.aim.value

    def as_json(self) -> dict[str, Any]:
        """The result as results.json holds it."""
        return {**asdict(self), "ratio": self.ratio, "reached": self.reached}

    @classmethod
    def from_json(cls, held: Mapping[str, Any]) -> Result:
        """What `as_json` made."""
        own = {one.name: held[one.name] for one in fields(cls)}
        return cls(**own | {"aim": Aim(**held["aim"]) if held["aim"] else None})


def in_turns(
    ways: Mapping[str, Callable[[], float]], rounds: int = ROUNDS
) -> dict[str, list[float]]:
    """Call each way once a round and keep what it measured.

    The order turns round every time, so that whatever warms up, fills up or slows down the machine
    meets all ways alike. One round before the first is thrown away; what it made is frozen, as
    `core.processes.wsgi` does after a start.
    """
    kept: dict[str, list[float]] = {name: [] for name in ways}
    order = list(ways)
    for number in range(-1, rounds):
        for name in order:
            gc.collect()
            value = ways[name]()
            if number >= 0:
                kept[name].append(value)
        order.reverse()
        if number < 0:
            gc.freeze()
    gc.unfreeze()
    return kept


def compared(
    name: str,
    figures: list[float],
    baselines: list[float],
    unit: str,
    aim: Aim | None = None,
    **conditions: object,
) -> Result:
    """A result of the rounds of `in_turns`.

    The figure is the median round. The ratio is the median of the rounds' own ratios, because the
    two ways of a round met the same machine; the baseline shown is the one that fits to it.
    """
    ratios = [ours / bare for ours, bare in zip(figures, baselines, strict=True)]
    figure = median(figures)
    return Result(
        name,
        figure,
        figure / median(ratios),
        unit,
        aim,
        (min(ratios), max(ratios)),
        {"rounds": len(ratios), **conditions},
    )


def seconds(work: Callable[[], object]) -> float:
    """How long `work` takes by the clock on the wall."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def rate(work: Callable[[], object], count: int) -> float:
    """How often a second `work` is done, when done `count` times."""
    started = time.perf_counter()
    for _number in range(count):
        work()
    return count / (time.perf_counter() - started)


def each(work: Callable[[], object], count: int) -> list[float]:
    """The seconds of each of `count` times."""
    return [seconds(work) for _number in range(count)]


def p99(times: Iterable[float]) -> float:
    """The time that one of a hundred exceeds."""
    ordered = sorted(times)
    return ordered[min(int(len(ordered) * 0.99), len(ordered) - 1)]


def table(results: Iterable[Result]) -> str:
    """The results for the eye."""
    lines = [f"{'':46}{'Préau':>12}{'bare':>12} {'unit':14}{'ratio':>7}  aim"]
    for one in results:
        bare = "" if one.baseline is None else digits(one.baseline)
        ratio = "" if one.ratio is None else f"{one.ratio:.2f}"
        aim = f"{one.aim} {'✓' if one.reached else '✗'}" if one.aim else ""
        lines.append(
            f"{one.name:46}{digits(one.figure):>12}{bare:>12} {one.unit:14}{ratio:>7}  {aim}"
        )
    return "\n".join(line.rstrip() for line in lines)


def digits(value: float) -> str:
    """Three digits that count."""
    return f"{value:,.0f}".replace(",", " ") if abs(value) >= 100 else f"{value:.3g}"


Run = Callable[[bool], Iterable[Result]]


def main(run: Run, description: str) -> None:
    """The command of a benchmark: ``python -m benchmarks.<name> [--quick] [--json]``."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small sizes: does it run at all?")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    results = list(run(options.quick))
    if options.json:
        json.dump([one.as_json() for one in results], sys.stdout, ensure_ascii=False, indent=1)
    else:
        print(table(results))
