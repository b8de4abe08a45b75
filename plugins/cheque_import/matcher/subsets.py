"""Exact sums: which sets of invoices add up to a cheque, and whether only one does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

BUDGET = 20_000
"""Nodes of the search. Twelve invoices never need more than 8 191; long arrears may."""
_FEW = 8
"""Amounts of which all sums are sooner written down than searched."""


@dataclass(frozen=True, slots=True)
class Subsets:
    """Sets that were found: positions in the given amounts, ascending; and whether that is all.

    `complete` tells that no other set exists: without it nothing is proven.
    """

    found: tuple[tuple[int, ...], ...]
    complete: bool

    @property
    def unique(self) -> bool:
        """Exactly one set adds up, proven."""
        return self.complete and len(self.found) == 1


def exact_subsets(
    amounts: Sequence[int], target: int, *, limit: int = 2, budget: int = BUDGET
) -> Subsets:
    """Find the non-empty sets of positive `amounts` that add up to `target`, at most `limit`.

    Two equal amounts are two different sets, because they are two different invoices.
    """
    if not amounts or target > sum(amounts) or target < min(amounts):
        return Subsets((), complete=True)
    if len(amounts) <= _FEW:
        written = _written_down(amounts, target)
        if len(written) <= limit:
            return Subsets(tuple(sorted(written)), complete=True)
    order = sorted(range(len(amounts)), key=lambda i: (-amounts[i], i))
    values = [amounts[i] for i in order]
    rest = [0] * (len(values) + 1)
    for i in range(len(values) - 1, -1, -1):
        rest[i] = rest[i + 1] + values[i]
    found: list[tuple[int, ...]] = []
    nodes = 0
    # Depth first, each frame choosing the next element taken; the stack holds (start, left, taken).
    stack: list[tuple[int, int, tuple[int, ...]]] = [(0, target, ())]
    while stack:
        start, left, taken = stack.pop()
        for i in range(start, len(values)):
            if rest[i] < left:
                break
            if values[i] == left:
                found.append(tuple(sorted(order[j] for j in (*taken, i))))
                if len(found) > limit:
                    return Subsets(tuple(sorted(found[:limit])), complete=False)
            elif values[i] < left <= values[i] + rest[i + 1]:
                nodes += 1
                if nodes > budget:
                    return Subsets(tuple(sorted(found[:limit])), complete=False)
                stack.append((i + 1, left - values[i], (*taken, i)))
    return Subsets(tuple(sorted(found)), complete=True)


def sums_of(amounts: Iterable[int]) -> set[int]:
    """All sums of one or more of these amounts; of few of them, since there are so many."""
    sums = {0}
    for amount in amounts:
        sums |= {one + amount for one in sums}
    return sums - {0}


def _written_down(amounts: Sequence[int], target: int) -> list[tuple[int, ...]]:
    """The sets that add up, of all: the sum in the place whose bits are those of the set."""
    sums = [0]
    for amount in amounts:
        sums += [one + amount for one in sums]
    if target not in sums:
        return []
    return [
        tuple([place for place in range(len(amounts)) if bits >> place & 1])
        for bits, one in enumerate(sums)
        if one == target
    ]
