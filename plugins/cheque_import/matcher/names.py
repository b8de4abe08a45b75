"""Families found by what a cheque calls its issuer, in a time that the town's size does not change.

A frequent name is that of thousands of families: what two words have in common is looked up, and
no more of them are compared than a person would read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from heapq import merge, nsmallest
from itertools import combinations, islice

from plugins.cheque_import.matcher.normalise import Name

LIMIT = 40
"""Families whose names are compared with an issuer's."""


class NameIndex:
    """Families by the words of their names, and by those words less one letter (misspellings)."""

    def __init__(self, names: Mapping[int, Iterable[Name]]) -> None:
        self._families: dict[str, list[int]] = defaultdict(list)
        self._both: dict[tuple[str, str], list[int]] = defaultdict(list)
        for family in sorted(names):  # So that every list is in order.
            words: set[str] = set()
            pairs: set[tuple[str, str]] = set()
            for name in names[family]:
                long = [word for word in name if len(word) > 1]
                words.update(long)
                pairs.update(combinations(long, 2))
            for word in words:
                self._families[word].append(family)
            for pair in pairs:
                self._both[pair].append(family)
        self._sets: dict[str, frozenset[int]] = {}
        self._near: dict[str, list[str]] = defaultdict(list)
        for word in self._families:
            for shorter in _deletions(word):
                self._near[shorter].append(word)

    def candidates(self, issuer: tuple[Name, ...], owing: AbstractSet[int]) -> Collection[int]:
        """The families that share the most words with the issuer's people, at most `LIMIT`.

        Of more, those of `owing` come first.
        """
        found: list[list[int]] = []
        first: list[list[int]] = []
        for person in issuer:
            words = [self._alike(word) for word in person if len(word) > 1]
            # With two words in common, one in common is no longer a candidate worth its time.
            both = [
                families
                for some, others in combinations(words, 2)
                for one in some
                for other in others
                if (families := self._both.get((one, other) if one < other else (other, one)))
            ]
            if both:
                found += both
                first += [[one for one in families if one in owing] for families in both]
            else:
                alike = [word for known in words for word in known]
                found += [self._families[word] for word in alike]
                first += [self._among(word, owing) for word in alike]
        if sum(map(len, found)) <= LIMIT:
            return {family for families in found for family in families}
        kept = dict.fromkeys(islice(_in_order(first), LIMIT))
        for family in _in_order(found):
            if len(kept) == LIMIT:
                break
            kept[family] = None
        return kept

    def _among(self, word: str, some: AbstractSet[int]) -> list[int]:
        """Those of `some` who are called so, the first few."""
        families = self._families[word]
        if len(families) <= LIMIT:
            return [family for family in families if family in some]
        if word not in self._sets:
            self._sets[word] = frozenset(families)
        return nsmallest(LIMIT, self._sets[word] & some)

    def _alike(self, word: str) -> Collection[str]:
        """The word, when a family is called so; else those that it may misspell."""
        if word in self._families:
            return (word,)
        return {known for shorter in _deletions(word) for known in self._near.get(shorter, ())}


def _in_order(lists: Sequence[Sequence[int]]) -> Iterator[int]:
    """The numbers of several ascending lists, ascending, once each."""
    last = None
    for number in merge(*lists):
        if number != last:
            yield number
            last = number


def _deletions(word: str) -> set[str]:
    if len(word) < 4:
        return {word}
    return {word, *(word[:i] + word[i + 1 :] for i in range(len(word)))}
