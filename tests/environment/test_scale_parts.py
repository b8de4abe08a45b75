"""What `make scale` runs is there: nobody waits an hour to hear that a file has another name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from scale.__main__ import TESTS, TRIALS, parts

ROOT = Path(__file__).parents[2]


def test_the_tests_that_it_runs_are_there():
    named = [word for command in parts(small=True).values() for word in command if word.endswith(".py")]
    assert set(TESTS) < set(named)
    assert [path for path in named if not (ROOT / path).is_file()] == []


@pytest.mark.parametrize("trial", TRIALS)
def test_a_trial_knows_the_options_of_its_small_size(trial):
    asked = subprocess.run(
        [sys.executable, "-m", f"scale.{trial}", *TRIALS[trial], "--help"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert asked.returncode == 0, asked.stderr[-2000:]
