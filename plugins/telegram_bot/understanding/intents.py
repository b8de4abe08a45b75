"""The door for intents: each is a name, rules over plain words, and a place among the others.

The bot's own are in `rules`; whoever adds one (a planning, a news plugin) makes an `Intent` of its
own name and an `Intents` with it. Rules are regular expressions over the text as plain words: small
letters without accents, joined by single spaces, SMS spellings written out, ``?`` a word itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Intent:
    """Something a parent may want to say.

    Attributes:
        name: unique among all.
        rank: intents are tried from the lowest rank to the highest; the first that holds is meant.
        rules: regular expressions, one of which has to be found.
        unless: regular expressions of which none may be found.
        argument: what its meaning carries, as ``on`` or ``off``.
    """

    name: str
    rank: int
    rules: tuple[str, ...]
    unless: tuple[str, ...] = ()
    argument: str = ""

    def holds(self, plain: str) -> bool:
        """True if a text of plain words expresses this intent."""
        if not self._found.search(plain):
            return False
        return not (self.unless and self._barred.search(plain))

    # Put together when first needed: it takes a second for all, and most processes answer no chat.
    @cached_property
    def _found(self) -> re.Pattern[str]:
        return _any_of(self.rules)

    @cached_property
    def _barred(self) -> re.Pattern[str]:
        return _any_of(self.unless)


class Intents:
    """All intents, in the order in which they are tried."""

    def __init__(self, intents: Iterable[Intent]) -> None:
        self._intents = sorted(intents, key=lambda intent: intent.rank)

    def joined_by(self, *more: Intent) -> Intents:
        """These intents and some more: a plugin's own."""
        return Intents([*self._intents, *more])

    def __iter__(self) -> Iterator[Intent]:
        return iter(self._intents)

    def of(self, plain: str) -> Intent | None:
        """The first intent that a text of plain words says, or None."""
        return next((intent for intent in self._intents if intent.holds(plain)), None)


def _any_of(rules: Iterable[str]) -> re.Pattern[str]:
    # Words are whole words: "due" is not in "indue".
    return re.compile("|".join(rf"(?<!\w)(?:{rule})(?!\w)" for rule in rules))
