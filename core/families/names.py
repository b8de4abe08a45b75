"""First names, which programs write in more than one way."""

from __future__ import annotations

from unicodedata import normalize


def folded_name(name: str) -> str:
    """A first name as it is compared: one for ``É`` in one character or two, and for any spaces."""
    # Folding may take a letter apart again.
    return normalize("NFC", " ".join(normalize("NFC", name).split()).casefold())
