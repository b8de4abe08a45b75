"""The codes printed on a family's letter: a name that is no secret, and a secret."""

from __future__ import annotations

import re
import secrets
import unicodedata

ALPHABET = "23456789BCDFGHJKMNPQRSTVWXYZ"
"""28 capitals and digits: no vowel (no word appears), nothing that reads as another (0 O, 1 I)."""

SECRET_LENGTH = 12
"""28 ** 12 is 57 bits: over the 50 that the CNIL asks of a secret behind an access restriction."""

_LETTERS = frozenset(ALPHABET)
_NOISE = re.compile(r"[\s\-._]+")


def new_secret() -> str:
    """Draw a second code, in its bare form (``7KMPQ2RSTV4X``)."""
    return "".join(secrets.choice(ALPHABET) for _ in range(SECRET_LENGTH))


def grouped(code: str) -> str:
    """Write a code as it is printed, in groups of four: ``7KMP-Q2RS-TV4X``."""
    return "-".join(code[i : i + 4] for i in range(0, len(code), 4))


def normalise(typed: str) -> str:
    """Undo what people do to a code when they type it: small letters, spaces, dashes."""
    return _NOISE.sub("", typed).upper()


def bare_secret(typed: str) -> str:
    """Undo what people and keyboards do to a secret: wide letters, long dashes, quotes, full stops.

    Nothing but its letters and digits says anything: of a family's code, which is a name that
    somebody else gave, the other signs may.
    """
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", typed))).upper()


def may_be_secret(bare: str) -> bool:
    """Tell whether a second code, in its bare form, could ever have been drawn."""
    return len(bare) == SECRET_LENGTH and set(bare) <= _LETTERS
