"""Advisory locks: each number stands for one thing, and docs/locks.md says which."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
NUMBER = re.compile(r"hashtextextended\(.*?, (\d+)\)")


def test_each_number_is_of_one_thing_and_said():
    """Two things under one number wait for each other, or for ever: one takes a town's imports' lock besides."""
    said = NUMBER.findall((ROOT / "docs" / "locks.md").read_text("utf-8"))
    assert len(said) == len(set(said))
    used = {
        number
        for path in (ROOT / "core").rglob("*.py")
        if not {"migrations", "testing"} & set(path.parts)
        for number in NUMBER.findall(path.read_text("utf-8"))
    }
    assert used == set(said)
