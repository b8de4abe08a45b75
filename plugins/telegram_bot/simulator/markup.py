"""Telegram's HTML: a few tags, strictly nested, nothing else."""

from __future__ import annotations

import re
from html import unescape

TAGS = frozenset(
    ("b", "strong", "i", "em", "u", "ins", "s", "strike", "del", "code", "pre", "a", "blockquote")
)
_TOKEN = re.compile(
    r"<(?P<close>/?)(?P<tag>[a-zA-Z][\w-]*)(?P<rest>[^<>]*)>|(?P<bad><)|(?P<text>[^<]+)"
)
_HREF = re.compile(r'\s+href="(?P<url>https?://[^"<>]+)"\s*\Z')
_ENTITY = re.compile(r"&(?!(?:lt|gt|amp|quot|#\d+|#x[0-9a-fA-F]+);)")


class MarkupError(ValueError):
    """The text is not the HTML that Telegram takes."""


def plain(html: str) -> str:
    """The text that a reader sees, without its tags.

    Raises:
        MarkupError: for a tag that Telegram does not know or that is not closed in order, and for
            an attribute other than a link's address.
    """
    open_tags: list[str] = []
    seen: list[str] = []
    for token in _TOKEN.finditer(html):
        tag = (token["tag"] or "").lower()
        if token["bad"]:
            raise MarkupError(f"Unsupported start tag at byte offset {token.start()}")
        if token["text"] is not None:
            seen.append(token["text"])
        elif tag not in TAGS:
            raise MarkupError(f'Unsupported start tag "{tag}" at byte offset {token.start()}')
        elif token["close"]:
            if not open_tags or open_tags.pop() != tag:
                raise MarkupError(f'Unmatched end tag at byte offset {token.start()}: "</{tag}>"')
        else:
            if token["rest"].strip() and not (tag == "a" and _HREF.match(token["rest"])):
                raise MarkupError(f'Unexpected attributes of tag "{tag}"')
            open_tags.append(tag)
    if open_tags:
        raise MarkupError(f'Can\'t find end tag corresponding to start tag "{open_tags[-1]}"')
    return unescape("".join(seen))


def shown(html: str) -> str:
    """The same HTML for a browser: an ``&`` that Telegram lets pass is escaped."""
    return _ENTITY.sub("&amp;", html)
