"""Reasons why a cheque with an exact explanation waits for a person, to be counted."""

from __future__ import annotations

from benchmarks.cheques_made import Paper
from plugins.cheque_import.matcher import Cheque, Index, Match
from plugins.cheque_import.matcher.evidence import Evidence, gather
from plugins.cheque_import.matcher.ways import exact_way

GOOD_NAME = 85


def reason(paper: Paper, cheque: Cheque, found: Match, index: Index) -> str:
    """What its own family's signs come to; the first that applies."""
    evidence = gather(cheque, index)
    way = exact_way(cheque.amount, evidence, paper.family, index)
    if cheque.blockers:
        return "a blocker: perhaps scanned twice"
    if any("Un autre chèque désigne" in warning for warning in found.warnings):
        return "another cheque claims the same invoice"
    if _others(evidence, paper.family):
        return "signs of two families"
    if way is None or not way.unique:
        return "several sets of its invoices make the amount"
    if evidence.elsewhere or evidence.unread:
        return "a coupon that is old or not read, and too few signs beside it"
    return _weak(paper, evidence, index)


def _others(evidence: Evidence, family: int) -> bool:
    pointed: set[int | None] = {hit.invoice.family_id for hit in evidence.hits}
    pointed |= {evidence.code_family} - {None}
    linked = {link.family_id for link in evidence.links}
    return bool(pointed - {family} or (linked and family not in linked))


def _weak(paper: Paper, evidence: Evidence, index: Index) -> str:
    named = index.name_score(evidence.issuer, paper.family) if evidence.named else -1
    if evidence.hits:
        return "a reference without a right check character, and the amount"
    if evidence.links:
        return "an account that several families use"
    if evidence.near_links:
        return "an account one digit away"
    if evidence.code_family == paper.family:
        return "a code and an amount that others owe too"
    if named < 0:
        return "the amount alone: no name, no account that is known"
    if named < GOOD_NAME:
        return "the amount, and a name that is not in the file"
    return "a name and the amount: the first cheque of an account"
