"""The rules of axe on a page that a browser shows."""

from __future__ import annotations

from functools import cache
from typing import Any

from axe_playwright_python.base import AxeResults
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page


@cache
def script() -> str:
    """The half megabyte that a page is given once."""
    return Axe().axe_script


def violations(page: Page, rules: dict[str, Any] | None = None) -> str:
    """What axe has against the page, by all its rules or by `rules`; empty if nothing."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(script())
    # Nothing of ours is loaded from elsewhere: nothing has to be fetched a second time.
    options = {"resultTypes": ["violations"], "preload": False, **({"runOnly": rules} if rules else {})}
    found = AxeResults(page.evaluate("options => axe.run(options)", options))
    return found.generate_report() if found.violations_count else ""
