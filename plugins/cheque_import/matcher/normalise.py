"""Names and references as people write them, brought to one form."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from rapidfuzz import fuzz

_NOT_LETTER = re.compile(r"[^A-Z]+")
_NOT_ALNUM = re.compile(r"[^A-Z0-9]+")
_TITLES = frozenset(
    {
        "M", "MR", "MME", "MLLE", "MELLE", "MONSIEUR", "MADAME", "MADEMOISELLE", "OU", "ET",
        "EPOUX", "EPOUSE", "NEE", "VEUVE", "SCI", "DR",
    }
)  # fmt: skip
_LIGATURES = str.maketrans({"œ": "oe", "Œ": "OE", "æ": "ae", "Æ": "AE", "ß": "ss", "ø": "o"})
_CHECK = "0123456789ABCDEFGHJKMNPQRSTVWXYZ*~$=U"

_SIMILAR = 78
"""Two words are one misspelt above this: one wrong letter in five still passes."""
_CONTAINED = 0.92
"""What a name is worth that the cheque's issuer contains (``MARTIN LEROY`` for ``MARTIN``)."""


@lru_cache(maxsize=65536)
def words(name: str) -> tuple[str, ...]:
    """The words of a name: capitals without accents, titles left out, sorted, once each."""
    plain = unicodedata.normalize("NFKD", name.translate(_LIGATURES))
    capitals = "".join(c for c in plain if not unicodedata.combining(c)).upper()
    found = {word for word in _NOT_LETTER.split(capitals) if word}
    # A lone M is a title as often as an initial: it proves nothing either way.
    return tuple(sorted(found - _TITLES))


def bare(reference: str) -> str:
    """Letters and digits only, in capitals."""
    return _NOT_ALNUM.sub("", reference.upper())


def check_character(bare_reference: str) -> str:
    """The check character that our coupons print after a reference (base 36 modulo 37)."""
    return _CHECK[int(bare_reference or "0", 36) % 37]


def checked(reference: str) -> str:
    """The bare reference before a right check character; "" when there is none."""
    text = reference.strip().upper()
    body = bare(text[:-1])
    return body if len(body) >= 4 and check_character(body) == text[-1] else ""


@lru_cache(maxsize=262144)
def _word_score(one: str, other: str) -> float:
    if one == other:
        return 100.0
    if len(one) == 1 or len(other) == 1:
        # An initial agrees with its name, or says nothing.
        return 100.0 if one[0] == other[0] else 0.0
    return float(fuzz.ratio(one, other, score_cutoff=_SIMILAR))


def _cover(of: tuple[str, ...], by: tuple[str, ...]) -> float:
    total = score = 0.0
    for word in of:
        total += len(word)
        score += len(word) * (100.0 if word in by else max(_word_score(word, v) for v in by))
    return score / total


def name_score(issuer: tuple[str, ...], name: tuple[str, ...]) -> float:
    """How well the words of a cheque's issuer fit those of one name, from 0 to 100."""
    if not issuer or not any(len(word) > 1 for word in name):
        return 0.0
    direct = _cover(issuer, name)
    return max(direct, _CONTAINED * _cover(name, issuer)) if direct < 100 else direct
