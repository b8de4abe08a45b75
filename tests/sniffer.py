"""HTML_CodeSniffer, a second judge of a page beside axe. ``make test`` installs it (requirements/npm.txt)."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

from playwright.sync_api import Page

BUILD = Path(sys.prefix) / "npm" / "node_modules" / "html_codesniffer" / "build" / "HTMLCS.js"

# Its errors, without warnings and notices: these ask a person to look.
ERRORS = """() => new Promise((done, fail) => {
  HTMLCS.process("WCAG2AA", document, () => done(HTMLCS.getMessages()
    .filter((told) => told.type === HTMLCS.ERROR)
    .map((told) => `${told.code}: ${told.msg} ${told.element.outerHTML?.slice(0, 120)}`)), fail);
})"""
# It takes an e-mail field with autocomplete="username" for a fault, which HTML allows, and then falls over
# a text that it lacks (docs/field-notes.md). axe and Nu judge autocomplete.
LEFT_OUT = "() => { HTMLCS_WCAG2AAA_Sniffs_Principle1_Guideline1_3_1_3_5.process = () => {}; }"


@cache
def _script() -> str:
    assert BUILD.exists(), "HTML_CodeSniffer is missing: make telegram installs it"
    return BUILD.read_text("utf-8")


def errors(page: Page) -> list[str]:
    """Faults that it finds in the page on show."""
    if not page.evaluate("'HTMLCS' in window"):
        page.evaluate(_script())
        page.evaluate(LEFT_OUT)
    found: list[str] = page.evaluate(ERRORS)
    return found
