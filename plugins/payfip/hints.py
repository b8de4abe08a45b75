"""The payments that a notification may be about, however it is written.

Nothing in a notification is believed: it is a hint that it is worth asking. Public receivers met it
in the form and in the query, spelt ``idOp`` and ``idop``, so its type, its encoding and its case do
not matter here.
"""

from __future__ import annotations

import re
import uuid
from urllib.parse import unquote_plus

MAX_HINT_BYTES = 16_384
"""Bytes of a body that are looked at: an idOp has 36."""
MAX_HINTS = 8
"""Largest number of ids taken from one notification, which costs a few look-ups at most."""

_NAME = re.compile(r"id[_-]?op", re.IGNORECASE)
_UUID = re.compile(
    r"(?<![0-9A-Za-z])[0-9A-Fa-f]{8}(-?)[0-9A-Fa-f]{4}\1[0-9A-Fa-f]{4}\1[0-9A-Fa-f]{4}\1"
    r"[0-9A-Fa-f]{12}(?![0-9A-Za-z])"
)
_VALUE = re.compile(r"[^0-9A-Za-z]{1,16}([0-9A-Za-z-]{8,64})(?![0-9A-Za-z-])")
_MARKS = " \t\r\n\"'{}<>\xef\xbb\xbf\xff\xfe"
"""White space, quotes, and the marks that open UTF-8 and UTF-16, as Latin-1 reads them."""
FAR = 300
"""Characters between a name and its value: a part of a multipart form has headers of its own."""


def hinted(query: str, body: bytes) -> list[str]:
    """The ids that a notification may mean, each also as PayFiP writes them.

    >>> hinted("", b"IDOP=%20E19A1E58-4F3A-4038-A2E8-F4A43C22AE99%0A")
    ['e19a1e58-4f3a-4038-a2e8-f4a43c22ae99', 'E19A1E58-4F3A-4038-A2E8-F4A43C22AE99']
    """
    found: dict[str, None] = {}
    for text in (query[:MAX_HINT_BYTES], _text(body[:MAX_HINT_BYTES])):
        plain = unquote_plus(unquote_plus(text))
        if (bare := _UUID.fullmatch(plain.strip(_MARKS))) is not None:
            found |= _spellings(bare[0])
        for name in _NAME.finditer(plain):
            after = plain[name.end() : name.end() + FAR]
            if (match := _UUID.search(after)) is not None:
                found |= _spellings(match[0])
            elif (match := _VALUE.match(after)) is not None:
                found[match[1]] = None
            if len(found) >= MAX_HINTS:
                break
    return list(found)[:MAX_HINTS]


def _spellings(found: str) -> dict[str, None]:
    return dict.fromkeys((str(uuid.UUID(found)), found))


def _text(body: bytes) -> str:
    """The body as text; ids are ASCII, whatever the encoding, and UTF-16 puts zeros between."""
    return body.replace(b"\0", b"").decode("latin-1")
