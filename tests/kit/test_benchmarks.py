"""The benchmarks work; what they measure is no test's business."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import names
from benchmarks.measure import Aim, Result, compared, in_turns, p99, table

ROOT = Path(__file__).parents[2]


def test_each_is_found_and_has_its_command():
    found = names()
    assert {"page", "sign_in", "csv_import", "publishing", "documents", "towns", "cold_start",
            "hooks"} <= set(found)  # fmt: skip
    for name in found:
        source = (ROOT / "benchmarks" / f"{name}.py").read_text("utf-8")
        assert '__name__ == "__main__"' in source, name
        assert source.startswith('"""'), name


def test_one_runs_alone_and_says_what_it_measured():
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.documents", "--quick", "--json"]
    done = subprocess.run(command, check=True, cwd=ROOT, capture_output=True, text=True)
    results = json.loads(done.stdout)
    assert results
    for one in results:
        assert {"name", "figure", "baseline", "ratio", "conditions"} <= set(one)
        assert one["conditions"]["baseline"]
        assert Result.from_json(one).as_json() == one


def test_ways_take_turns_and_the_first_round_does_not_count():
    said = []
    ways = {name: lambda name=name: said.append(name) or float(len(said)) for name in ("a", "b")}
    assert in_turns(ways, rounds=2) == {"a": [4.0, 5.0], "b": [3.0, 6.0]}
    assert said == ["a", "b", "b", "a", "a", "b"]


def test_a_ratio_is_the_median_of_the_rounds_own():
    """A round in which the machine was slow counts as much as another."""
    made = compared("x", [10.0, 1.0, 30.0], [20.0, 2.0, 30.0], "1/s")
    assert made.ratio == pytest.approx(0.5)
    assert made.figure == 10.0
    assert made.spread == (0.5, 1.0)


@pytest.mark.parametrize(
    ("aim", "figure", "baseline", "reached"),
    [
        (Aim("at least", 0.7), 7.0, 10.0, True),
        (Aim("at least", 0.7), 6.9, 10.0, False),
        (Aim("at most", 1.2), 1.2, 1.0, True),
        (Aim("at most", 1.2), 1.3, 1.0, False),
        (Aim("at most", 1.5, of="difference"), 3.0, 1.6, True),
        (Aim("at most", 1.5, of="difference"), 3.2, 1.6, False),
        (Aim("at most", 20, of="figure"), 21.0, None, False),
        (None, 21.0, None, None),
    ],
)
def test_an_aim_is_of_what_it_says(aim, figure, baseline, reached):
    result = Result("x", figure, baseline, "u", aim)
    assert result.reached is reached
    assert ("✓" in table([result])) is (reached is True)
    assert ("✗" in table([result])) is (reached is False)


def test_one_of_a_hundred():
    assert p99(range(1, 101)) == 100
    assert p99([3.0]) == 3.0
