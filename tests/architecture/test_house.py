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
