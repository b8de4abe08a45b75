"""axe and HTML_CodeSniffer, who judge what visitors see in a window of their own.

Each takes half a second to begin with a page that was just loaded, since the browser has to understand
them anew. In their window they are read once: each page is put there as it stands on the visitor's
screen, with what scripts made of it and what is ticked and typed, in a window of the same size.
"""

from __future__ import annotations

from urllib.parse import urljoin

from playwright.sync_api import Browser, Page

from core.testing.waiting import PATIENCE_SECONDS
from tests import sniffer
from tests.axe_rules import violations

# A page that is the same but for its figures, and what its fields hold, is the same to the judges of its HTML,
# who take a second for each. Another word, width or attribute is another page, and so is one on which other
# figures are alike (an id that is there twice).
LOOK = """() => {
  const seen = new Map();
  return innerWidth + document.documentElement.outerHTML
    .replace(/ value="[^"]+"/g, ' value="x"')
    .replace(/[0-9]+/g, (figure) => seen.get(figure) ?? (seen.set(figure, seen.size), seen.size - 1));
}"""
# Scripts have done what they do. What is ticked, chosen or typed is no attribute by itself.
COPY = """() => {
  const copy = document.documentElement.cloneNode(true);
  const theirs = document.querySelectorAll("input, option, textarea");
  copy.querySelectorAll("input, option, textarea").forEach((mine, place) => {
    const its = theirs[place];
    if (its.matches("option")) mine.toggleAttribute("selected", its.selected);
    else if (its.matches("textarea")) mine.textContent = its.value;
    else {
      mine.toggleAttribute("checked", its.checked);
      if (!["file", "password"].includes(its.type)) mine.setAttribute("value", its.value);
    }
  });
  copy.querySelectorAll("script").forEach((script) => script.remove());
  return "<!DOCTYPE html>" + copy.outerHTML;
}"""
# Its elements, and the words that one sees.
CONTENT = """() => [
  document.querySelectorAll("body, body :not(script)").length, document.body.innerText,
]"""


class Judges:
    """Both of them, and the looks of the pages that they had nothing against."""

    def __init__(self, chromium: Browser) -> None:
        self._chromium = chromium
        self._looks: set[str] = set()
        self._window: Page | None = None
        self._origin = ""

    def judge(self, page: Page) -> None:
        """See whether they have anything against the page, unless they have seen its like.

        Raises:
            AssertionError: they have; with what it is.
        """
        look = page.evaluate(LOOK)
        if look in self._looks:
            return
        window = self._at(page.evaluate("location.origin"))
        assert page.viewport_size
        window.set_viewport_size(page.viewport_size)
        # Pictures may be for those who signed in.
        window.context.add_cookies(page.context.cookies())  # type: ignore[arg-type]
        window.evaluate("address => history.replaceState(null, '', address)", page.url)
        window.set_content(page.evaluate(COPY))
        assert window.evaluate(CONTENT) == page.evaluate(CONTENT), f"{page.url} is another page to its judges"
        found = violations(window)
        assert not found, f"{page.url}\n{found}"
        assert sniffer.errors(window) == []
        self._looks.add(look)

    def close(self) -> None:
        """Close their window."""
        if self._window:
            self._window.context.close()

    def _at(self, origin: str) -> Page:
        """Their window on a page of this origin, whose files the browser may then read."""
        if self._window is None:
            # What the content policy forbids, visitors complain of: here the copy is what was allowed.
            context = self._chromium.new_context(locale="fr-FR", bypass_csp=True)
            context.set_default_timeout(1000 * PATIENCE_SECONDS)
            self._window = context.new_page()
        if self._origin != origin:
            self._window.goto(urljoin(origin, "/"))
            self._origin = origin
        return self._window
