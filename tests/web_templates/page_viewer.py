"""The sample pages in a real Chromium, under the portal's content policy, without a server.

As a script it keeps pictures of every page, to be looked at:
``python tests/web_templates/page_viewer.py <folder> [name of a sample...]``
"""

from __future__ import annotations

import mimetypes
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from axe_playwright_python.base import AxeResults
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Route, sync_playwright
from template_samples import STATIC, Pages, Sample, samples

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ORIGIN = "http://portail.test"
POLICY = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; object-src 'none'"
SIZES = {"phone": (360, 740), "desk": (1280, 900)}
LOGO = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 90 90"><circle cx="45" cy="45" r="44" fill="#276"/></svg>'


@contextmanager
def browser() -> Iterator[Browser]:
    """A headless Chromium."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"],
        )
        yield chromium
        chromium.close()


class Viewer:
    """Shows samples; `complaints` gathers what the browser says against the page on show."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.theme = ""
        """What /theme.css answers."""
        self.final = False
        """What the state of a payment answers."""
        self.loads = 0
        self._axe = Axe()
        self._pages = Pages()
        self._html = ""
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.route("**/*", self._answer)

    def show(self, sample: Sample, language: str = "fr") -> None:
        """Load the page of `sample`."""
        # The page before this one may be about to load itself anew, which would end this visit.
        self.page.goto("about:blank")
        self.complaints.clear()
        self._html = self._pages.render(sample, language)
        self.page.goto(f"{ORIGIN}/page")

    def view(self, size: str, scheme: str) -> None:
        """See the page at a size of `SIZES`, `scheme` being light or dark."""
        width, height = SIZES[size]
        self.page.set_viewport_size({"width": width, "height": height})
        # Colours change gently otherwise, and would be seen half-way.
        self.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]

    def overflow(self) -> int:
        """How many pixels the page is wider than the window."""
        root = "document.documentElement"
        return self.page.evaluate(f"{root}.scrollWidth - {root}.clientWidth")

    def violations(self, rules: dict[str, Any]) -> str:
        """What axe has against the page, by some of its rules; empty if nothing."""
        # Its script is half a megabyte, and stays with the page.
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(self._axe.axe_script)
        options = {"runOnly": rules, "resultTypes": ["violations"]}
        found = AxeResults(self.page.evaluate("options => axe.run(options)", options))
        return found.generate_report() if found.violations_count else ""

    def _answer(self, route: Route) -> None:
        path = route.request.url.removeprefix(ORIGIN).partition("?")[0]
        headers = {"Content-Security-Policy": POLICY}
        if path == "/page":
            self.loads += 1
            route.fulfill(body=self._html, content_type="text/html; charset=utf-8", headers=headers)
        elif path == "/theme.css":
            route.fulfill(body=self.theme, content_type="text/css")
        elif path == "/logo":
            route.fulfill(body=LOGO, content_type="image/svg+xml")
        elif path.startswith("/static/"):
            file = STATIC / path.removeprefix("/static/")
            kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
            route.fulfill(body=file.read_bytes(), content_type=kind)
        elif path.endswith("/etat"):
            route.fulfill(json={"state": "pending", "final": self.final})
        elif path.endswith("/aller"):
            route.fulfill(status=204, body="")  # Where a page leads by itself after a while.
        else:
            route.fulfill(status=404, body="")


def main(folder: str, *names: str) -> None:
    """Keep a picture of each sample, phone and desk, light and dark."""
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    with browser() as chromium:
        viewer = Viewer(chromium.new_page())
        for sample in samples():
            if names and sample.name not in names:
                continue
            viewer.show(sample)
            for size in SIZES:
                for scheme in ("light", "dark"):
                    viewer.view(size, scheme)
                    viewer.page.screenshot(
                        path=out / f"{sample.name}-{size}-{scheme}.png", full_page=True
                    )


if __name__ == "__main__":
    main(*sys.argv[1:])
