"""HTML to PDF: the one place that knows WeasyPrint.

PDF/UA-1: tagged, titled, in a stated language, with embedded fonts. Nothing is fetched from a
network or a disk: images come as ``data:`` URLs and fonts from this package. The same HTML gives
the same bytes.
"""

from __future__ import annotations

import hashlib
import threading
from datetime import date
from functools import cache
from importlib import import_module, resources
from typing import Any

from markupsafe import Markup

_FONT = "preau-font:"


class _Typesetter(threading.local):
    """Fonts and style sheet, loaded once a thread: neither is safe to share between threads.

    WeasyPrint takes half a second to import, which only a process that prints should pay.
    """

    def __init__(self) -> None:
        weasyprint: Any = import_module("weasyprint")
        folder = resources.files(__package__)
        fonts = {
            _FONT + file.name: file.read_bytes()
            for file in (folder / "fonts").iterdir()
            if file.name.endswith(".ttf")
        }

        class Fetcher(weasyprint.urls.URLFetcher):
            """Knows the bundled fonts and what stands in the document; refuses all else."""

            def fetch(self, url: str, headers: dict[str, str] | None = None) -> Any:
                if url in fonts:
                    return weasyprint.urls.URLFetcherResponse(
                        url, fonts[url], {"Content-Type": "font/ttf"}
                    )
                return super().fetch(url, headers)

        self.html = weasyprint.HTML
        self.fetcher = Fetcher(allowed_protocols=("data",))
        self.fonts = weasyprint.text.fonts.FontConfiguration()
        self.css = weasyprint.CSS(
            string=(folder / "templates" / "paper.css").read_text("utf-8"),
            url_fetcher=self.fetcher,
            font_config=self.fonts,
        )

    def set(self, html: str) -> bytes:
        identifier = hashlib.sha256(html.encode()).digest()[:16]
        document = self.html(string=html, url_fetcher=self.fetcher)
        content: bytes = document.write_pdf(
            stylesheets=[self.css],
            font_config=self.fonts,
            pdf_variant="pdf/ua-1",
            pdf_identifier=identifier,
        )
        return content


@cache
def _typesetter() -> _Typesetter:
    return _Typesetter()


def page(
    html: str, *, title: str, language: str, author: str = "", created: date | None = None
) -> str:
    """The whole HTML document around a body, as `render_pdf` sets it."""
    meta = Markup("")
    if author:
        meta += Markup('<meta name="author" content="{}">').format(author)
    if created:
        meta += Markup('<meta name="dcterms.created" content="{}">').format(created.isoformat())
    return Markup(
        '<!doctype html><html lang="{}"><head><meta charset="utf-8"><title>{}</title>{}</head>'
        "<body>{}</body></html>"
    ).format(language, title, meta, Markup(html))  # noqa: S704 - markup by contract


def render_pdf(
    html: str, *, title: str, language: str, author: str = "", created: date | None = None
) -> bytes:
    """Print `html` (what stands in ``<body>``) on A4 in the house style, as a PDF/UA-1.

    `html` is trusted markup: build it with an autoescaping template, never from text. It may bring
    a ``<style>`` of its own; ``docs/documents.md`` describes the classes of the house style.
    Pictures must be ``data:`` URLs; any other address is refused, logged and left out. `title`,
    `language` (``fr``), `author` and `created` go into the document's metadata; no other date does,
    so that the same arguments give the same bytes.
    """
    return _typesetter().set(
        page(html, title=title, language=language, author=author, created=created)
    )
