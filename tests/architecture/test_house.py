"""House rules that no linter knows."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
OPENING = re.compile(r'^ *"""([A-Z]\w*)', re.MULTILINE)
QUESTIONS = {"What", "Who", "Whose", "Which", "Where", "When", "Whether", "How"}


def test_docstrings_begin_with_a_verb_or_a_noun():
    """Two in a hundred may not: "What is left" says it best at times, and is a riddle at most."""
    openings = [
        found[1]
        for folder in ("core", "plugins")
        for path in (ROOT / folder).rglob("*.py")
        for found in OPENING.finditer(path.read_text("utf-8"))
    ]
    assert len(openings) > 4000
    assert sum(word in QUESTIONS for word in openings) <= len(openings) // 50


def test_folders_of_tests_are_rooms_or_said_to_span_them():
    """A test stands where its room's name says; what spans rooms is in docs/testing.md."""
    chapter = (ROOT / "docs/testing.md").read_text("utf-8").split("## Where a room's tests are")[1].split("## ")[0]
    named = set(re.findall(r"`(?:tests/)?(\w+)`", chapter))
    rooms = {path.parent.name for path in (ROOT / "core").glob("*/__init__.py")}
    folders = {path.parent.name for path in (ROOT / "tests").glob("*/test_*.py")}
    assert folders - named - rooms == set()
