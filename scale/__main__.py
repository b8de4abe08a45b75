"""All trials, one after the other, and the tests on several servers: ``make scale``.

``ARGS=--small`` runs each at a size that takes minutes; ``ARGS="morning --towns 8"`` runs one, with its
own options. What failed, and what each took, is told at the end.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
TESTS = (
    "tests/isolation/test_cells.py",
    "tests/isolation/test_distribution.py",
    "tests/faults/test_object_store.py",
    "tests/platform/test_standby.py",
    "tests/environment/test_partitions.py",
    "tests/faults/test_failover.py",
    "tests/faults/test_processes.py",
    "tests/deploy/test_cells_map.py",
)
TRIALS = {
    "kills": ("--families", "30", "--papers", "60"),
    "morning": ("--towns", "2", "--families", "15", "--rounds", "2"),
    "months": ("--rows", "100000"),
}
"""Each trial, and its options where all is small."""
LAST_WORDS = 160
"""Characters of a part's last line that the report repeats."""


@dataclass
class Told:
    """What the report says of a part."""

    part: str
    failed: bool
    seconds: float
    cpu_seconds: float
    load: float
    last: str


def parts(small: bool) -> dict[str, list[str]]:
    """Each part's name, and what Python is given for it."""
    routes = ["tests/isolation/test_routes.py"]
    pytest = ["-m", "pytest", "-q", "-n", "2", "--dist", "loadfile"]
    return {
        "servers": [*pytest, *TESTS],
        "statements": [*pytest[:3], "-p", "tests.town_statements", *routes],
        **{
            name: ["-m", f"scale.{name}", *(options if small else ())]
            for name, options in TRIALS.items()
        },
    }


def run(part: str, command: list[str]) -> Told:
    """Run a part, whose lines are shown as they come."""
    print(f"== {part}: python {' '.join(command)}", flush=True)
    began, used, last = time.monotonic(), os.times(), ""
    process = subprocess.Popen(
        [sys.executable, *command], cwd=ROOT, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    for line in process.stdout or ():
        print(line, end="", flush=True)
        last = line.strip() or last
    failed, now = process.wait() != 0, os.times()
    cpu = now.children_user + now.children_system - used.children_user - used.children_system
    return Told(part, failed, time.monotonic() - began, cpu, os.getloadavg()[0], last)


def report(told: list[Told]) -> str:
    """A line for each part."""
    head = f"{'part':<12}{'':<8}{'seconds':>9}{'CPU':>8}{'load':>7}  last line"
    lines = [
        f"{t.part:<12}{'FAILED' if t.failed else 'ok':<8}{t.seconds:>9.0f}{t.cpu_seconds:>8.0f}{t.load:>7.1f}"
        f"  {t.last[:LAST_WORDS]}"
        for t in told
    ]
    return "\n".join(["", head, *lines])


def main() -> int:
    """Run what is asked for, or all; the number of parts that failed."""
    asked = argparse.ArgumentParser(prog="python -m scale", description=__doc__)
    asked.add_argument("--small", action="store_true", help="a size that takes minutes")
    asked.add_argument("part", nargs="?", choices=parts(small=True), help="one part only")
    asked.add_argument("options", nargs=argparse.REMAINDER, help="more of that part's own options")
    options = asked.parse_args()
    commands = parts(options.small)
    if options.part:
        commands = {options.part: [*commands[options.part], *options.options]}
    told = [run(part, command) for part, command in commands.items()]
    print(report(told))
    return sum(one.failed for one in told)


if __name__ == "__main__":
    sys.exit(main())
