"""The sample pages in a real Chromium, under the portal's content policy, without a server.

As a script it keeps pictures of every page, to be looked at:
``python tests/web_templates/page_viewer.py <folder> [name of a sample...]``
"""

from __future__ import annotations

import json
import mimetypes
import sys
import threading
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from playwright.sync_api import Page
from template_samples import STATIC, Pages, Sample, samples

from core.platform.web.headers import CSP
from core.testing.waiting import PATIENCE_SECONDS
from tests.axe_rules import script, violations
from tests.chromium import browser

SIZES = {"phone": (360, 740), "desk": (1280, 900)}
LOGO = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 90 90"><circle cx="45" cy="45" r="44" fill="#276"/></svg>'


class Viewer:
    """Shows samples; `complaints` gathers what the browser says against the page on show.

    A server answers, not the test: a browser that is answered by hand keeps nothing, and would read
    the style sheets and fonts of a hundred pages a hundred times. A page takes the place of the one
    before it in the same document, whose window keeps what axe was compiled to.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        page.set_default_timeout(1000 * PATIENCE_SECONDS)
        self.complaints: list[str] = []
        self.theme = ""
        """What /theme.css answers."""
        self.final = False
        """What the state of a payment answers."""
        self.loads = 0
        self._pages = Pages()
        self._html = ""
        self._loaded_theme: str | None = None
        """The theme of the document on show; None before the first."""
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Answer, self))
        self._origin = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self) -> None:
        """Stop serving, once the browser is gone."""
        self._server.shutdown()
        self._server.server_close()

    def show(self, sample: Sample, language: str = "fr") -> None:
        """Show the page of `sample`, as if it had just been loaded."""
        if "data-watch" in self._html:
            # The page before this one may be about to load itself anew, which would end this visit.
            self.page.goto("about:blank")
            self._loaded_theme = None
        self.complaints.clear()
        self._html = self._pages.render(sample, language)
        if self.theme == self._loaded_theme and "data-watch" not in self._html:
            self.page.set_content(self._html)
        else:
            self.page.goto(f"{self._origin}/page")
            self._loaded_theme = self.theme

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
        # As a file, the browser keeps what it understood of the script.
        if not self.page.evaluate("'axe' in window"):
            self.page.add_script_tag(url=f"{self._origin}/axe.js")
        return violations(self.page, rules)

    def answer(self, path: str) -> Answer:
        """The answer to a path."""
        if path == "/page":
            self.loads += 1
            return Answer(self._html, "text/html; charset=utf-8")
        if path == "/theme.css":
            return Answer(self.theme, "text/css")
        if path == "/logo":
            return Answer(LOGO, "image/svg+xml", kept=True)
        if path == "/axe.js":
            return Answer(script(), "text/javascript; charset=utf-8", kept=True)
        if path.startswith("/static/"):
            file = STATIC / path.removeprefix("/static/")
            kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
            return Answer(file.read_bytes(), kind, kept=True)
        if path.endswith("/etat"):
            return Answer(json.dumps({"state": "pending", "final": self.final}), "application/json")
        # `aller`: where a page leads by itself after a while.
        return Answer("", "text/plain", status=204 if path.endswith("/aller") else 404)


@dataclass(frozen=True)
class Answer:
    """What the server answers."""

    body: str | bytes
    kind: str
    kept: bool = False
    """Whether the browser may keep it, as it may keep the portal's own files."""
    status: int = 200


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, viewer: Viewer, *args: Any) -> None:
        self._viewer = viewer
        super().__init__(*args)

    def do_GET(self) -> None:
        answer = self._viewer.answer(self.path.partition("?")[0])
        body = answer.body.encode() if isinstance(answer.body, str) else answer.body
        self.send_response(answer.status)
        self.send_header("Content-Security-Policy", CSP)
        self.send_header("Cache-Control", "max-age=3600" if answer.kept else "no-store")
        if answer.status != 204:
            self.send_header("Content-Type", answer.kind)
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: Any) -> None:
        """Say nothing."""


def main(folder: str, *names: str) -> None:
    """Keep a picture of each sample, phone and desk, light and dark."""
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    with browser() as chromium, closing(Viewer(chromium.new_page())) as viewer:
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
