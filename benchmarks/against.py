"""The same benchmark on two builds, which take turns in one run: ``make bench AGAINST=<commit>``.

The other build stands in a worktree and an environment of its own, below `build/against`, and runs
the benchmarks of its own tree: modules may have had other names. A measurement of the one follows
the same measurement of the other, so that both meet the same machine. Compared are the times of
each pair: by the clock, and of the CPU, in which a busy machine shows least, with the time of all
processes below the benchmark's (PostgreSQL, workers).
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import zip_longest
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.measure import digits

ROOT = Path(__file__).parent.parent
BUILDS = ROOT / "build" / "against"
STEPS = Path(__file__).with_name("steps.py")
ROUNDS = 9
SHORTEST_SECONDS = 0.05
"""CPU time below which a measurement of hundredths of a second says nothing."""


@dataclass(frozen=True, slots=True)
class Step:
    """One measurement of one build."""

    way: str
    round: int
    wall: float
    cpu: float
    statements: int


@dataclass
class Found:
    """All that one build told of a benchmark: steps by the result that came of them."""

    steps: dict[str, list[Step]] = field(default_factory=dict)
    results: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times as fast this build is: median, smallest and largest of the pairs."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, pairs: Iterable[tuple[float, float]]) -> Ratio | None:
        """The ratio of pairs of times, this build's first."""
        ratios = [other / ours for ours, other in pairs if ours > 0]
        return cls(median(ratios), min(ratios), max(ratios)) if ratios else None

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.least:.2f} to {self.most:.2f})"


@dataclass(frozen=True, slots=True)
class Line:
    """One way of one result, on both builds."""

    benchmark: str
    name: str
    way: str
    cpu: Ratio | None
    wall: Ratio | None
    seconds: tuple[float, float]
    statements: tuple[int, int]

    def as_json(self) -> dict[str, Any]:
        """The line as a program reads it."""
        ratios = {
            name: ratio and [ratio.median, ratio.least, ratio.most]
            for name, ratio in (("cpu", self.cpu), ("wall", self.wall))
        }
        return {
            "benchmark": self.benchmark, "name": self.name, "way": self.way, **ratios,
            "seconds": self.seconds, "statements": self.statements,
        }  # fmt: skip


class Build:
    """A tree with its environment, and the benchmark that runs in it."""

    def __init__(self, tree: Path, python: Path) -> None:
        self.tree, self._python = tree, python
        self.found = Found()
        self._loose: list[Step] = []
        self._name = ""

    @cached_property
    def benchmarks(self) -> frozenset[str]:
        """Every benchmark that this build has."""
        paths = (self.tree / "benchmarks").glob("*.py")
        return frozenset(path.stem for path in paths if "\ndef run(" in path.read_text("utf-8"))

    def start(self, name: str, *options: str) -> None:
        """Begin a benchmark; it then waits at its first measurement."""
        self.found, self._loose, self._name = Found(), [], name
        command = [str(self._python), "-W", "ignore", "-c", STEPS.read_text("utf-8")]
        self._process = subprocess.Popen(
            [*command, name, *options],
            cwd=self.tree, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
        )  # fmt: skip

    def wait(self) -> tuple[str, int] | None:
        """The measurement that waits for its word, or None at the end.

        Raises:
            CalledProcessError: the benchmark broke.
        """
        assert self._process.stdout is not None
        for line in self._process.stdout:
            message = json.loads(line)
            if "ready" in message:
                return message["ready"], message["round"]
            if "result" in message:
                self._note(message["result"])
            else:
                self._loose.append(Step(**message))
        if code := self._process.wait():
            raise subprocess.CalledProcessError(code, self._name)
        return None

    def _note(self, result: dict[str, Any]) -> None:
        name = result["name"]
        self.found.results[name] = result
        # Several results may come of the same measurements: the first one names them.
        if self._loose:
            self.found.steps[name], self._loose = self._loose, []

    def say(self, word: str) -> None:
        """Give the word: go on, or end these measurements."""
        assert self._process.stdin is not None
        self._process.stdin.write(word + "\n")

    def stop(self) -> None:
        """End what may still run."""
        with self._process:
            if self._process.poll() is None:
                self._process.terminate()


def this_build() -> Build:
    """The tree that one works in, with what is not committed."""
    return Build(ROOT, Path(sys.executable))


def other_build(commit: str) -> Build:
    """The build of `commit`, made if it is not there.

    Raises:
        CalledProcessError: there is no such commit, or its environment could not be made.
    """
    asked = ["git", "-C", str(ROOT), "rev-parse", "--short=12", "--verify", f"{commit}^{{commit}}"]
    name = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()
    tree = BUILDS / name
    python = tree / ".venv" / "bin" / "python"
    if not (tree / "setup.cfg").exists():
        _run("git", "-C", str(ROOT), "worktree", "prune")
        _run("git", "-C", str(ROOT), "worktree", "add", "--quiet", "--detach", str(tree), name)
    if not (tree / ".venv" / ".ready").exists():
        print(f"Making the environment of {name} (some minutes, once)", file=sys.stderr)
        _run(sys.executable, "-m", "venv", str(tree / ".venv"))
        pip = (str(python), "-m", "pip", "-qq", "--disable-pip-version-check", "install")
        _run(*pip, "-r", "requirements/run.txt", "-r", "requirements/dev.txt", cwd=tree)
        _run(*pip, "--no-deps", "--no-build-isolation", "--config-settings",
             "editable_mode=compat", "-e", ".", cwd=tree)  # fmt: skip
        (tree / ".venv" / ".ready").touch()
    return Build(tree, python)


def _run(*command: str, cwd: Path | None = None) -> None:
    subprocess.run(command, check=True, cwd=cwd)


def take_turns(builds: Sequence[Build], rounds: int) -> None:
    """Let the builds measure one after the other; who is first changes with each measurement."""
    waiting = [build.wait() for build in builds]
    first = 0
    while any(waiting):
        order = range(len(builds)) if not first else reversed(range(len(builds)))
        first = 1 - first
        for number in order:
            if (step := waiting[number]) is None:
                continue
            builds[number].say("end" if step[1] >= rounds else "go")
            waiting[number] = builds[number].wait()


def lines(benchmark: str, ours: Found, other: Found) -> Iterator[Line]:
    """Each way of each result that both have measured."""
    for name, steps in ours.steps.items():
        theirs = {(one.way, one.round): one for one in other.steps.get(name, ())}
        pairs: dict[str, list[tuple[Step, Step]]] = {}
        for one in steps:
            if one.round >= 0 and (match := theirs.get((one.way, one.round))):
                pairs.setdefault(one.way, []).append((one, match))
        for way, both in pairs.items():
            long_enough = all(min(a.cpu, b.cpu) >= SHORTEST_SECONDS for a, b in both)
            yield Line(
                benchmark, name, way,
                Ratio.of((a.cpu, b.cpu) for a, b in both) if long_enough else None,
                Ratio.of((a.wall, b.wall) for a, b in both),
                (median(a.wall for a, _b in both), median(b.wall for _a, b in both)),
                (both[0][0].statements, both[0][1].statements),
            )  # fmt: skip


def differences(ours: Found, other: Found) -> Iterator[str]:
    """Results that only one build has, and conditions that changed between them."""
    for name, result in ours.results.items():
        if name not in other.results:
            yield f"{name}: only this build measures it"
            continue
        then: Mapping[str, Any] = other.results[name]["conditions"]
        changed = {key for key, value in result["conditions"].items() if then.get(key) != value}
        changed -= {"rounds", "cores", "baseline"}
        if changed:
            yield f"{name}: not the same {', '.join(sorted(changed))}"


def figures(ours: Found, other: Found) -> Iterator[str]:
    """What each build says of itself: its figure, and its ratio to the bare floor."""
    for name, result in ours.results.items():
        then = other.results.get(name)
        if then is None:
            continue
        told = [
            f"{digits(one['figure'])} {one['unit']}"
            + (f" ({one['ratio']:.2f} of bare)" if one["ratio"] else "")
            for one in (then, result)
        ]
        yield f"{name}: {told[0]} before, {told[1]} now"


def table(found: Iterable[Line]) -> str:
    """The lines for the eye. More than 1 means: this build is faster."""
    rows = [("", "way", "× CPU", "× clock", "seconds then, now", "statements")]
    for one in found:
        now, then = one.seconds
        made, before = one.statements
        rows.append((
            one.name, one.way, str(one.cpu or ""), str(one.wall or ""),
            f"{digits(then)}, {digits(now)}", f"{before}, {made}" if before or made else "",
        ))  # fmt: skip
    widths = [max(map(len, column)) for column in zip_longest(*rows, fillvalue="")]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def compare(
    names: Sequence[str], commit: str, *, rounds: int, quick: bool
) -> tuple[list[Line], list[str], list[str]]:
    """The lines of the benchmarks `names`, remarks, and the names of those that broke."""
    builds = this_build(), other_build(commit)
    found: list[Line] = []
    remarks: list[str] = []
    broken: list[str] = []
    for name in names:
        if lacking := [build.tree for build in builds if name not in build.benchmarks]:
            remarks.append(f"{name}: not measured, {lacking[0].name} has no such benchmark")
            continue
        print(f"{name} ...", file=sys.stderr, flush=True)
        try:
            for build in builds:
                build.start(name, *(["--quick"] if quick else []))
            take_turns(builds, 1 if quick else rounds)
        except subprocess.CalledProcessError:
            broken.append(name)
        finally:
            for build in builds:
                build.stop()
        mine, theirs = (build.found for build in builds)
        found += lines(name, mine, theirs)
        remarks += [*figures(mine, theirs), *differences(mine, theirs)]
    return found, remarks, broken
