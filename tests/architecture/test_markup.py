"""Templates hold no script and no style of their own: the policy would block it, so it is a fault."""

from __future__ import annotations

import re
from pathlib import Path

from core.platform.web.input_validation import FILE_FIELDS

ROOT = Path(__file__).parents[2]
TEMPLATES = [
    path
    for folder in (*(ROOT / "core").rglob("templates"), *(ROOT / "plugins").iterdir())
    for path in folder.rglob("*.jinja2")
    # Papers, and the simulators' pages, are not served by the portal.
    if not {"simulator", "letters", "documents", "dev"} & set(path.parts) and not path.name.endswith(".print.jinja2")
    and path.name != "guide.jinja2"
]  # fmt: skip

FORBIDDEN = {
    "a script in the page": r"<script(?![^>]*\bsrc=)[^>]*>",
    "a style in the page": r"<style\b",
    "a style attribute": r"""<[^>]*\sstyle\s*=\s*["'{]""",
    "an event handler": r"""<[^>]*\son[a-z]+\s*=\s*["'{]""",
    "a javascript: address": r"javascript:",
    "something from another site": r"""<(?:script|link|img|iframe|source|use)\b[^>]*(?:src|href)=["'](?:https?:)?//""",
    "a form by another method": r"""<form(?![^>]*\bmethod=)""",
    "a window without rel": r"""<a\b(?=[^>]*target=["']?_blank)(?![^>]*noopener)""",
    "unescaped output": r"\|\s*safe\b",
    "autoescape off": r"autoescape\s+false",
}


def test_there_are_templates():
    assert len(TEMPLATES) > 30


def test_a_template_keeps_to_the_policy():
    wrong = []
    for path in TEMPLATES:
        name = str(path.relative_to(ROOT))
        source = re.sub(r"\{#.*?#\}", "", path.read_text("utf-8"), flags=re.DOTALL)
        wrong += [(name, why, m[0]) for why, what in FORBIDDEN.items() if (m := re.search(what, source))]
        # A form that posts holds the token, or the macro that does.
        forms = re.findall(r"<form\b[^>]*method=[\"']post[\"'].*?</form>", source, re.DOTALL | re.IGNORECASE)
        wrong += [(name, "no token", form[:200]) for form in forms if "csrf" not in form and "hidden(" not in form]
    assert wrong == []


def test_files_come_in_fields_that_may_take_one():
    """In any other field a file is refused before a view sees it."""
    sources = [path.read_text("utf-8") for path in TEMPLATES]
    tags = [tag for source in sources for tag in re.findall(r"<input[^>]*type=\"file\"[^>]*>", source)]
    assert len(tags) >= 4
    assert {re.search(r'name="([^"]+)"', tag)[1] for tag in tags} <= FILE_FIELDS


def test_the_macro_of_hidden_fields_holds_the_token():
    source = (ROOT / "core/platform/web/templates/macros.jinja2").read_text("utf-8")
    assert "csrf()" in re.search(r"macro hidden\(.*?endmacro", source, re.DOTALL)[0]
    assert "csrf_token" in re.search(r"macro csrf\(.*?endmacro", source, re.DOTALL)[0]


def test_scripts_evaluate_nothing():
    for path in (ROOT / "core/platform/web/static").rglob("*.js"):
        source = path.read_text("utf-8")
        assert not re.search(r"\beval\(|new Function\(|document\.write|\.innerHTML\s*=", source), path
