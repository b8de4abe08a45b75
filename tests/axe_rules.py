"""The rules of axe on a page that a browser shows."""

from __future__ import annotations

from functools import cache
from typing import Any

from axe_playwright_python.base import AxeResults
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

# Rows of a long list are made alike: of those that differ in words and addresses alone, the first three and the
# last are asked for their contrast, which takes longer the more rows there are of all others. Tells how many are
# left out. Every other rule is asked of every row.
MARK_ALIKE = """() => {
  const worded = new Set(["href", "id", "name", "value", "for", "title", "alt", "datetime", "action",
                          "aria-label", "aria-labelledby", "aria-describedby"]);
  const looks = (e) => e.tagName + [...e.attributes]
    .filter((a) => !worded.has(a.name)).map((a) => `[${a.name}=${a.value}]`).join("");
  let alike = 0;
  for (const list of document.querySelectorAll("tbody, ul, ol")) {
    const seen = {};
    for (const row of list.children) {
      const look = [row, ...row.querySelectorAll("*")].map(looks).join(">");
      seen[look] = (seen[look] || 0) + 1;
      if (seen[look] > 3 && row !== list.lastElementChild) { row.setAttribute("data-alike", ""); alike += 1; }
    }
  }
  return alike;
}"""
FORGET = "() => document.querySelectorAll('[data-alike]').forEach((e) => e.removeAttribute('data-alike'))"
FEW = 10
"""So many rows are asked sooner than axe begins a second time."""


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
    if rules is None and page.evaluate(MARK_ALIKE) > FEW:
        found = _asked(page, {**options, "rules": {"color-contrast": {"enabled": False}}})
        contrast = {**options, "runOnly": {"type": "rule", "values": ["color-contrast"]}}
        found += _asked(page, contrast, leaving_out="[data-alike]")
    else:
        found = _asked(page, options)
    page.evaluate(FORGET)
    return found


def _asked(page: Page, options: dict[str, Any], leaving_out: str = "") -> str:
    context = {"exclude": [[leaving_out]]} if leaving_out else None
    found = AxeResults(page.evaluate("([context, options]) => axe.run(context || document, options)", [context, options]))
    return found.generate_report() if found.violations_count else ""
