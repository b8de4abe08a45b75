"""Names and references as people write them, brought to one form."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from operator import mul

from rapidfuzz import fuzz
from rapidfuzz.distance import OSA

_NOT_LETTER = re.compile(r"[^A-Z]+")
_NOT_ALNUM = re.compile(r"[^A-Z0-9]+")
_BETWEEN = re.compile(r"\b(?:OU|ET)\b|&|/")
_APOSTROPHE = re.compile(r"(?<=[A-Z])['’ʼ`´](?=[A-Z])")
_TITLES = frozenset(
    {
        "M", "MR", "MM", "MME", "MMES", "MLLE", "MLLES", "MLE", "MELLE", "MONSIEUR", "MADAME",
        "MADEMOISELLE", "OU", "ET", "EPOUX", "EPOUSE", "EPX", "EP", "NEE", "NE", "VEUVE", "VEUF",
        "VVE", "VF", "INDIVISION", "INDIV", "SUCCESSION", "SUCC", "CONSORTS", "CTS", "SCI", "DR",
    }
)  # fmt: skip
_PARTICLES = frozenset(
    {
        "LE", "LA", "LES", "DE", "DU", "DES", "DEL", "DELLA", "DA", "DAS", "DI", "DO", "DOS", "VAN",
        "VON", "DEN", "DER", "TEN", "TER", "BEN", "BENT", "BIN", "EL", "AL", "ABD", "ABDEL", "AIT",
        "OULD", "OUED", "ST", "STE", "MAC", "MC",
    }
)  # fmt: skip
"""Written apart or together with the word that follows: ``LE GALL``, ``LEGALL``."""
_SAINTS = {"SAINT": "ST", "SAINTE": "STE", "SAINTS": "ST", "SAINTES": "STE"}
_LETTERS = str.maketrans(
    {
        "œ": "oe", "Œ": "OE", "æ": "ae", "Æ": "AE", "ß": "ss", "ø": "o", "Ø": "O", "ł": "l",
        "Ł": "L", "đ": "d", "Đ": "D", "ð": "d", "Ð": "D", "þ": "th", "Þ": "TH", "ħ": "h",
        "Ħ": "H", "ı": "i",
    }
)  # fmt: skip
"""Letters that are no letter with an accent: Unicode does not take them apart."""
_CHECK = "0123456789ABCDEFGHJKMNPQRSTVWXYZ*~$=U"

_MISSPELT_FROM, _TWICE_FROM = 4, 8
"""Words from so many letters on may be misspelt: in one place, or in two."""
_CONTAINED = 0.92
"""Factor for a name that the cheque's issuer contains (``MARTIN LEROY`` for ``MARTIN``)."""

_WHOLE = 99.99
"""Every word of it, whatever the sums were rounded to."""

Name = tuple[str, ...]
"""The words of one person's name."""


@lru_cache(maxsize=65536)
def words(name: str) -> Name:
    """The words of a name: capitals without accents, titles left out, sorted, once each.

    A particle is one word with the word that follows it, however they are written.
    """
    found = set(_joined([word for word in _split(_capitals(name)) if word not in _TITLES]))
    # A lone M is a title as often as an initial: it proves nothing either way.
    return tuple(sorted(found))


@lru_cache(maxsize=65536)
def people(name: str) -> tuple[Name, ...]:
    """A name as a whole, and each person of ``M MARTIN OU MME LEROY`` beside it.

    Not of ``M OU MME PAUL MARTIN``, nor of ``MARTIN PAUL OU SOPHIE``: a given name alone is nobody.
    """
    whole = words(name)
    parts = [_split(part) for part in _BETWEEN.split(_capitals(name))]
    named = [(len(found) < len(part), found) for part in parts if (found := _named(part))]
    if len(named) < 2:
        return (whole,) if whole else ()
    short = all(titled and len(found) == 1 for titled, found in named)
    each = [found for _titled, found in named if len(found) > 1 or short]
    return tuple(dict.fromkeys((whole, *each)))


def _named(part: list[str]) -> Name:
    found = _joined([word for word in part if word not in _TITLES])
    return tuple(sorted({word for word in found if len(word) > 1}))


def _capitals(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name.translate(_LETTERS))
    capitals = "".join(c for c in plain if not unicodedata.combining(c)).upper()
    return _APOSTROPHE.sub("", capitals)


def _split(capitals: str) -> list[str]:
    return [_SAINTS.get(word, word) for word in _NOT_LETTER.split(capitals) if word]


def _joined(found: list[str]) -> list[str]:
    """Particles with the word that follows them; the last of a name has none."""
    joined, before = [], ""
    for word in found:
        if word in _PARTICLES:
            before += word
            continue
        joined.append(before + word)
        before = ""
    return [*joined, before] if before else joined


def bare(reference: str) -> str:
    """Letters and digits only, in capitals."""
    text = reference.upper().replace("-", "")
    # An index asks it of every invoice: nearly all are plain by now.
    return text if text.isascii() and text.isalnum() else _NOT_ALNUM.sub("", text)


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
    short, long = sorted((one, other), key=len)
    if len(short) == 1:
        # An initial agrees with its name, or says nothing.
        return 100.0 if one[0] == other[0] else 0.0
    wrong = 2 if len(short) >= _TWICE_FROM else 1
    if len(short) < _MISSPELT_FROM or OSA.distance(one, other, score_cutoff=wrong) > wrong:
        return 0.0
    if long.startswith(short) and long[-1] != short[-1]:
        return 0.0  # MARTINEZ and MARTINS are names of their own, not MARTIN misspelt.
    return float(fuzz.ratio(one, other))


class Scorer:
    """Scores of names against the people of one issuer.

    Families that are called alike share words: each word is compared with the issuer's once.
    """

    def __init__(self, issuers: tuple[Name, ...]) -> None:
        self._people: list[tuple[Name, list[int], dict[str, list[float]]]] = [
            (person, [len(word) for word in person], {}) for person in issuers if person
        ]
        self._whole = [
            frozenset(person) for person in issuers if any(len(word) > 1 for word in person)
        ]

    def best(self, names: tuple[Name, ...]) -> int:
        """Best score of any person of the issuer against any of these names, from 0 to 100."""
        for person in self._whole:
            for name in names:
                if person.issubset(name):
                    return 100
        return self._compared(names)

    def _compared(self, names: tuple[Name, ...]) -> int:
        best = 0.0
        for name in names:
            if len(max(name, key=len, default="")) < 2:
                continue  # Initials are nobody's name.
            for person, lengths, known in self._people:
                alike = []
                for word in name:
                    if word not in known:
                        known[word] = [_word_score(word, other) for other in person]
                    alike.append(known[word])
                found = map(max, *alike) if len(alike) > 1 else alike[0]
                score = sum(map(mul, lengths, found)) / sum(lengths)
                if score > _WHOLE:
                    return 100
                best = max(best, score)
                if best < _CONTAINED * 100:
                    of = [len(word) for word in name]
                    best = max(best, _CONTAINED * sum(map(mul, of, map(max, alike))) / sum(of))
        return round(best)
