"""Across a batch: what only shows when cheques are compared with one another."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from core.plugin import gettext as _
from plugins.cheque_import.matcher import explain
from plugins.cheque_import.matcher.evidence import gather
from plugins.cheque_import.matcher.rank import ranked
from plugins.cheque_import.matcher.snapshot import Cheque, Index, Match, OpenInvoice, State


def disputed(cheques: Sequence[Cheque], matches: Sequence[Match], index: Index) -> list[Match]:
    """Certain cheques that claim more of an invoice than it owes: all of them to review."""
    claimed: dict[int, int] = defaultdict(int)
    for found in matches:
        if found.state is State.CERTAIN:
            for invoice, cents in found.proposals[0].shares:
                claimed[invoice] += cents
    over = {i for i, cents in claimed.items() if cents > index.by_id[i].balance}
    result = []
    for cheque, found in zip(cheques, matches, strict=True):
        shares = found.proposals[0].shares if found.state is State.CERTAIN else ()
        taken = [index.by_id[i] for i, _cents in shares if i in over]
        result.append(_to_review(cheque, found, index, taken) if taken else found)
    return result


def _to_review(
    cheque: Cheque, found: Match, index: Index, disputed: Sequence[OpenInvoice]
) -> Match:
    warning = _("Un autre chèque désigne la même facture : %s.") % explain.numbers(disputed)
    return Match(
        found.key,
        State.PROPOSED,
        ranked(cheque, gather(cheque, index), index),
        (*found.warnings, warning),
    )


def exchanged(cheques: Sequence[Cheque], matches: Sequence[Match]) -> tuple[Match, ...]:
    """Name pairs of a slip whose amounts were exchanged: the total is right, both are wrong."""
    expected: dict[tuple[str, int, int], list[int]] = defaultdict(list)
    for place, (cheque, found) in enumerate(zip(cheques, matches, strict=True)):
        if found.state is not State.CERTAIN and found.proposals and found.proposals[0].gap:
            due = cheque.amount - found.proposals[0].gap
            expected[cheque.slip, cheque.amount, due].append(place)
    result = list(matches)
    for (slip, amount, due), places in expected.items():
        others = expected.get((slip, due, amount), [])
        for place in places if amount != due and len(others) == 1 == len(places) else []:
            other = cheques[others[0]]
            warning = _(
                "Montants échangés avec le chèque de rang %(rank)s ? (%(amount)s attendus)"
            ) % {"rank": other.rank, "amount": explain.euros(due)}
            found = result[place]
            result[place] = replace(found, warnings=(*found.warnings, warning))
    return tuple(result)
