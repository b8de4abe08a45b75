"""Two builds measure in turns, and their times are compared pair by pair."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.against import Build, Found, Ratio, Step, differences, lines, table, take_turns

MEASURE = Path(__file__).parents[2] / "benchmarks" / "measure.py"
TOY = '''
"""Loops."""
from pathlib import Path
from benchmarks.measure import compared, in_turns, seconds

def work(name, loops):
    with Path("../order").open("a") as file:
        file.write(f"{Path.cwd().name}/{name} ")
    for _number in range(loops):
        pass

def run(quick):
    took = in_turns(
        {name: lambda name=name: seconds(lambda: work(name, LOOPS)) for name in ("ours", "bare")}, 99
    )
    yield compared("loops", took["ours"], took["bare"], "s", loops=LOOPS)
    raise SystemExit(BROKEN)
'''


def build(folder: Path, name: str, loops: int, broken: int = 0) -> Build:
    """A tree as small as can be, whose one benchmark loops so many times."""
    benchmarks = folder / name / "benchmarks"
    benchmarks.mkdir(parents=True)
    (benchmarks / "__init__.py").touch()
    shutil.copy(MEASURE, benchmarks)
    text = TOY.replace("LOOPS", str(loops)).replace("BROKEN", str(broken))
    (benchmarks / "toy.py").write_text(text, "utf-8")
    return Build(folder / name, Path(sys.executable))


def test_builds_take_turns_and_each_pair_is_compared(tmp_path):
    # So far apart that no pause of the machine makes them equal.
    ours, other = build(tmp_path, "new", 20_000), build(tmp_path, "old", 10_000_000)
    assert ours.benchmarks == {"toy"}
    for one in (ours, other):
        one.start("toy")
    take_turns((ours, other), 2)
    for one in (ours, other):
        one.stop()
    found = {line.way: line for line in lines("toy", ours.found, other.found)}
    mine, bare = found["ours"], found["bare"]
    assert mine.wall is not None
    assert mine.wall.least <= mine.wall.median <= mine.wall.most
    assert mine.wall.median > 1.5
    assert "loops" in table([mine, bare])
    assert list(differences(ours.found, other.found)) == ["loops: not the same loops"]
    # The round before the first, then two; pairs stay together, and who is first changes.
    assert (tmp_path / "order").read_text().split() == [
        "new/ours", "old/ours", "old/bare", "new/bare",
        "new/bare", "old/bare", "old/ours", "new/ours",
        "new/ours", "old/ours", "old/bare", "new/bare",
    ]  # fmt: skip


def test_a_benchmark_that_breaks_says_so(tmp_path):
    broken = build(tmp_path, "new", 10, broken=3)
    broken.start("toy")
    with pytest.raises(subprocess.CalledProcessError):
        take_turns((broken,), 1)
    broken.stop()


def test_a_ratio_is_of_pairs_and_more_than_one_is_faster():
    assert Ratio.of([(1.0, 2.0), (3.0, 9.0), (4.0, 4.0)]) == Ratio(2.0, 1.0, 3.0)
    assert Ratio.of([]) is None


def test_too_short_a_cpu_time_is_not_compared():
    def found(cpu: float) -> Found:
        return Found({"page": [Step("ours", 0, 0.2, cpu, 3)]}, {})

    (line,) = lines("page", found(0.01), found(0.04))
    assert (line.cpu, line.statements) == (None, (3, 3))
    (line,) = lines("page", found(0.1), found(0.2))
    assert line.cpu == Ratio(2.0, 2.0, 2.0)
