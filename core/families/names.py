"""Names and numbers of children, as files of the billing software give them."""

from __future__ import annotations

import re
from unicodedata import normalize

_KEY = re.compile(r"[A-Z]*\d+\Z")
"""A child's number in the billing software, valid in the whole town; a bare first name is not."""


def folded_name(name: str) -> str:
    """A first name as it is compared: one for ``É`` in one character or two, and for any spaces."""
    # Folding may take a letter apart again.
    return normalize("NFC", " ".join(normalize("NFC", name).split()).casefold())


def is_child_key(child: str) -> bool:
    """Tell a child's number in the billing software from a first name."""
    return _KEY.match(child) is not None


def child_code(family_code: str, child: str) -> str:
    """A child's key in the town: its own number, else its first name within the family."""
    return child if is_child_key(child) else f"{family_code}/{folded_name(child)}"
