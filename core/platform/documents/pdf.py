"""HTML to PDF: the one place that knows WeasyPrint.

PDF/UA-1: tagged, titled, in a stated language, with embedded fonts. Nothing is fetched from a
network or a disk: images come as ``data:`` URLs and fonts from this package. The same HTML gives
the same bytes.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from datetime import date
from functools import cache
from importlib import import_module, resources
from io import BytesIO
from typing import Any

from markupsafe import Markup

_FONT = "preau-font:"
_CONTROLS = dict.fromkeys({*range(0x20), *range(0x7F, 0xA0)} - {*map(ord, "\t\n\f\r")})
_EMPTY_ROWS = re.compile(r"<(tbody[^>]*)>\s+</tbody>")


class _Typesetter(threading.local):
    """Fonts and style sheet, loaded once a thread: neither is safe to share between threads.

    WeasyPrint takes half a second to import, which only a process that prints should pay.
    """

    def __init__(self) -> None:
        weasyprint: Any = _weasyprint()
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
        self.stylesheet = weasyprint.CSS
        sheet = (folder / "templates" / "paper.css").read_text("utf-8")
        self.faces = "".join(
            line for line in sheet.splitlines(True) if line.startswith("@font-face")
        )
        self.css = weasyprint.CSS(
            string=sheet,
            url_fetcher=self.fetcher,
            font_config=self.fonts,
        )

    def set(self, html: str) -> bytes:
        # No font draws control characters; a space between rows that are not there is tagged.
        html = _EMPTY_ROWS.sub(r"<\1></tbody>", html.translate(_CONTROLS))
        document = self.html(string=html, url_fetcher=self.fetcher)
        content: bytes = document.write_pdf(
            stylesheets=[self.css],
            font_config=self.fonts,
            pdf_variant="pdf/ua-1",
        )
        return content

    def draw(self, html: str, sheet: str) -> bytes:
        """Set a whole document by a sheet of its own, with the papers' fonts."""
        css = self.stylesheet(
            string=self.faces + sheet, url_fetcher=self.fetcher, font_config=self.fonts
        )
        document = self.html(string=html, url_fetcher=self.fetcher)
        content: bytes = document.write_pdf(stylesheets=[css], font_config=self.fonts)
        return content


@cache
def _weasyprint() -> Any:
    """The library, with what it lacks."""
    library = import_module("weasyprint")
    _state_languages(import_module("weasyprint.pdf.tags"), import_module("pydyf").String)
    return library


def _state_languages(tags: Any, text: Any) -> None:
    """Let WeasyPrint write the ``lang`` of each part into its tag, which it leaves out.

    It builds the tag of a box in this one function, which calls itself for what is inside.
    """
    build = tags._build_box_tree  # noqa: SLF001 - its version is pinned, and a test reads the tags

    def build_and_state(box: Any, *arguments: Any) -> Iterator[Any]:
        inner = getattr(box, "_box", box)  # What is positioned is wrapped.
        language = None
        if inner.element is not None and inner.element_tag not in {"html", "body"}:
            language = inner.element.get("lang")
        for tag in build(box, *arguments):
            if language:
                tag["Lang"] = text(language)
            yield tag

    tags._build_box_tree = build_and_state  # noqa: SLF001


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


def picture(html: str, sheet: str, *, scale: float = 1.5) -> bytes:
    """Draw a whole HTML document by its own style sheet, as a PNG of its first page, cropped below.

    `sheet` may use the papers' fonts. Twenty times as quick as a browser's start, and no browser is
    wanted on the servers that serve.
    """
    pdfium: Any = import_module("pypdfium2")
    chops: Any = import_module("PIL.ImageChops")
    with pdfium.PdfDocument(_typesetter().draw(html, sheet)) as document:
        image = document[0].render(scale=scale).to_pil().convert("RGB")
    ground = image.copy()
    ground.paste(image.getpixel((0, image.height - 1)), (0, 0, *image.size))
    _left, _top, _right, bottom = chops.difference(image, ground).getbbox() or (0, 0, 0, 1)
    stream = BytesIO()
    # Few colours make a small file, and letters stay smooth.
    image.crop((0, 0, image.width, bottom)).quantize(64).save(stream, "PNG", optimize=True)
    return stream.getvalue()
