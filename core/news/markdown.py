"""Agents' texts: Markdown to safe HTML, and the pictures that a text names.

A picture is named by its number, ``![what it shows](image:12)``: none comes from elsewhere, and
each has its words, for those who do not see it (RGAA 1.1).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import TYPE_CHECKING

from markupsafe import Markup
from nh3 import clean

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token
    from pyramid.request import Request

_PICTURE = re.compile(r"image:([0-9]{1,18})")


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt  # noqa: PLC0415 - where there is news

    return MarkdownIt("commonmark", {"html": False})


def render(source: str, picture_url: Callable[[int], str]) -> Markup:
    """Safe HTML: no raw HTML, no script, links to http(s) and mail only, pictures of our own."""
    environment: dict[str, object] = {}
    parser = _parser()
    tokens = parser.parse(source, environment)
    for picture in _images(tokens):
        named = _PICTURE.fullmatch(str(picture.attrs.get("src", "")))
        if named:
            picture.attrs["src"] = picture_url(int(named[1]))
        else:  # Said in words, where it cannot be shown.
            picture.type, picture.tag = "text", ""
    html = parser.renderer.render(tokens, parser.options, environment)
    return Markup(clean(html, url_schemes={"http", "https", "mailto"}))  # noqa: S704 - cleaned


def pictures(source: str) -> list[tuple[str, int | None]]:
    """Description and number of each picture in a text; no number for one from elsewhere."""
    found = []
    for picture in _images(_parser().parse(source)):
        named = _PICTURE.fullmatch(str(picture.attrs.get("src", "")))
        found.append((picture.content.strip(), int(named[1]) if named else None))
    return found


def picture_line(alt: str, number: int) -> str:
    """The Markdown that shows a picture."""
    words = re.sub(r"([\\\[\]])", r"\\\1", " ".join(alt.split()))
    return f"![{words}](image:{number})"


def _images(tokens: list[Token]) -> Iterator[Token]:
    for token in tokens:
        if token.type == "image":
            yield token
        else:
            yield from _images(token.children or [])


def page_html(request: Request, source: str) -> Markup:
    """Render an agent's text as safe HTML, with the town's own pictures."""
    return render(source, lambda number: request.route_path("news_image", id=number))
