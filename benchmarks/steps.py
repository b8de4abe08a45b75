"""One benchmark of one build, which waits before each of its measurements until it may go on.

`benchmarks.against` starts this file's text in the environment and folder of each build, an older
one included: nothing is imported here but what every build has, and no name of Préau's modules.
What is told, and the word to go on, are lines of JSON on the standard streams.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def cpu_seconds() -> float:
    """CPU time of this process and all below it: servers, workers, and those that have ended."""
    times: dict[int, int] = {}
    parents: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # It ended meanwhile; its parent has its time.
        number = int(folder.name)
        parents[number] = int(fields[1])
        times[number] = sum(map(int, fields[11:15]))
    children: dict[int, list[int]] = {}
    for number, parent in parents.items():
        children.setdefault(parent, []).append(number)
    total, waiting = 0, [os.getpid()]
    while waiting:
        number = waiting.pop()
        total += times.get(number, 0)
        waiting += children.get(number, [])
    # The own process by a finer clock: its ticks are of ten milliseconds.
    own = sum(os.times()[:2]) * TICKS_PER_SECOND
    return (total - own) / TICKS_PER_SECOND + time.process_time()


class Steps:
    """The two streams to the one who gives the word, and the statements that SQLAlchemy sent."""

    def __init__(self) -> None:
        # What the benchmark prints is no message.
        self._out = os.fdopen(os.dup(1), "w", buffering=1)
        os.dup2(2, 1)
        self._in = sys.stdin
        self._statements = 0

    def count_statements(self) -> None:
        """Count what SQLAlchemy sends from now on."""
        from sqlalchemy import event
        from sqlalchemy.engine import Engine

        @event.listens_for(Engine, "before_cursor_execute")
        def count(*_args: object) -> None:
            self._statements += 1

    def tell(self, **message: Any) -> None:
        """Send a message."""
        self._out.write(json.dumps(message) + "\n")

    def in_turns(
        self, ways: Mapping[str, Callable[[], Any]], _rounds: int = 0
    ) -> dict[str, list[Any]]:
        """Stand in for `benchmarks.measure.in_turns`: each measurement waits for its word."""
        kept: dict[str, list[Any]] = {name: [] for name in ways}
        order, number = list(ways), -1
        while True:
            for name in order:
                gc.collect()
                self.tell(ready=name, round=number)
                word = self._in.readline().strip()
                if word == "end":
                    gc.unfreeze()
                    return kept
                statements, cpu, wall = self._statements, cpu_seconds(), time.perf_counter()
                value = ways[name]()
                wall = time.perf_counter() - wall
                cpu = cpu_seconds() - cpu
                if number >= 0:
                    kept[name].append(value)
                self.tell(
                    way=name, round=number, wall=wall, cpu=cpu,
                    statements=self._statements - statements,
                )  # fmt: skip
            order.reverse()
            if number < 0:
                gc.freeze()
            number += 1


def main(name: str, *options: str) -> None:
    """Run the benchmark `name`, and tell its results and measurements."""
    sys.path.insert(0, str(Path.cwd()))
    steps = Steps()
    measure = importlib.import_module("benchmarks.measure")
    measure.in_turns = steps.in_turns  # type: ignore[attr-defined]
    benchmark = importlib.import_module(f"benchmarks.{name}")
    if "sqlalchemy" in sys.modules:
        steps.count_statements()
    for result in benchmark.run("--quick" in options):
        steps.tell(result=result.as_json())


if __name__ == "__main__":
    main(*sys.argv[1:])
