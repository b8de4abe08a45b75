"""Names as people sort and look for them: without accents, case, hyphens or order of words."""

from __future__ import annotations

import re
import unicodedata
from string import ascii_lowercase

WORD_LETTERS = 100
"""Longer words are kept, and looked for, by their beginning."""
SLIP_LETTERS = 4
"""In shorter words, one letter makes another name: Roy, Ray, Rey."""
MAX_WORDS = 8
"""Of what somebody types, words after these are not looked at."""

_GONE = re.compile("[\u0300-\u036f\u00ad\u200b-\u200f\u2060\ufeff]")
"""Accents, once they stand apart, and marks that nobody sees."""
_LETTERS = str.maketrans(
    {"œ": "oe", "æ": "ae", "ß": "ss", "þ": "th", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "ħ": "h",
     "ı": "i", "ŧ": "t", "ς": "σ"}
)  # fmt: skip
"""Letters that Unicode does not take apart."""
_BETWEEN = re.compile("[\x00-/:-@\\[-`{-\u00bf\u02b0-\u02ff\u2010-\u206f\u3000-\u303f]+")
"""All that stands between words: spaces, hyphens, apostrophes, points.

Ranges instead of classes: what a class holds depends on the machine's locale in PostgreSQL.
"""
_TITLES = frozenset(
    ("m", "mr", "mme", "mlle", "mm", "mmes", "monsieur", "madame", "mademoiselle", "messieurs",
     "et", "ou")
)  # fmt: skip


_SHORT = {"saint": "st", "sainte": "ste"}
ALSO_WRITTEN = {**_SHORT, **{short: whole for whole, short in _SHORT.items()}}
"""Words that papers abridge: Saint-Pierre, St-Pierre."""


def folded(name: str) -> str:
    """A name in the form that is sorted and compared; words have one space between them.

    The function ``folded`` of the database is its twin, and keeps the stored columns.
    """
    plain = _GONE.sub("", unicodedata.normalize("NFKD", name)).lower().translate(_LETTERS)
    return _BETWEEN.sub(" ", plain).strip(" ")


def words(typed: str) -> tuple[str, ...]:
    """The words of a name to look for; titles only where nothing else was typed."""
    found = tuple(dict.fromkeys(word[:WORD_LETTERS] for word in folded(typed).split(" ") if word))
    return (tuple(word for word in found if word not in _TITLES) or found)[:MAX_WORDS]


def slips(word: str) -> frozenset[str]:
    """Words that may have become `word` by one slip of the finger, and `word` itself.

    One letter too many, too few or in the place of another, or two that changed places; and what
    `word` is short for. A word with digits is a number or a code, of which each neighbour is
    another one.
    """
    found = {word, ALSO_WRITTEN.get(word, word)}
    if not (word.isalpha() and SLIP_LETTERS <= len(word) <= WORD_LETTERS // 2):
        return frozenset(found)
    cuts = [(word[:at], word[at:]) for at in range(len(word) + 1)]
    for before, after in cuts:
        found.update(before + letter + after for letter in ascii_lowercase)
        if after:
            found.add(before + after[1:])
            found.update(before + letter + after[1:] for letter in ascii_lowercase)
        if len(after) > 1:
            found.add(before + after[1] + after[0] + after[2:])
    return frozenset(found)


def glued(parts: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """The same words, with two neighbours written as one: a Le Goff may stand there as Legoff."""
    return tuple(
        (*parts[:at], parts[at] + parts[at + 1], *parts[at + 2 :]) for at in range(len(parts) - 1)
    )


def same_person(one: str, other: str) -> bool:
    """True if two names have the same words in any order, but for one slip in one of two or more.

    Nobody is merged by this: a person is asked.
    """
    mine, theirs = set(words(one)), set(words(other))
    if not mine or len(mine) != len(theirs):
        return False
    left, right = mine - theirs, theirs - mine
    if not left:
        return True
    return len(left) == 1 and len(mine) > 1 and bool(right & slips(*left))
