"""Proposals: who may have sent a cheque and what for, the likeliest first, in words."""

from __future__ import annotations

from collections.abc import Mapping

from core.plugin import gettext as _
from plugins.cheque_import.matcher import explain
from plugins.cheque_import.matcher.evidence import Evidence, Quality
from plugins.cheque_import.matcher.snapshot import Cheque, Index, Proposal, Rule
from plugins.cheque_import.matcher.ways import Way, likely_ways, split

ALGORITHM = "6"
"""Written beside every decision; any change that may alter one raises it."""

POOR_NAME = 60
_KEPT = 6
_WANTED = 3
_NAMED = 8

_IDENTITY = {Quality.CHECKED: 50, Quality.EXACT: 40, Quality.REPAIRED: 25}
_ACCOUNT, _NEAR_ACCOUNT, _CODE, _NAME = 40, 25, 25, 35
_HABIT = 3
"""Little: it only decides between families that nothing else tells apart."""


def ranked(cheque: Cheque, evidence: Evidence, index: Index) -> tuple[Proposal, ...]:
    """Name at least three candidates where there are as many, the likeliest first."""
    found: dict[tuple[int, ...], tuple[int, int, Way, dict[str, int]]] = {}
    for family in _candidates(cheque, evidence, index):
        identity = _identity_scores(evidence, family, index)
        points = _identity_points(identity)
        for way in likely_ways(cheque.amount, evidence, family, index):
            key = (family, *sorted([invoice.id for invoice in way.invoices]))
            if key not in found:
                amount = _amount_points(cheque.amount, way, evidence)
                gap = abs(cheque.amount - way.due)
                found[key] = (-points - amount, gap, way, {**identity, "amount": amount})
    likeliest = sorted([(points, gap, key) for key, (points, gap, *_way) in found.items()])
    return tuple(
        [
            _proposal(cheque, evidence, found[key][2], key[0], found[key][3], Rule.CANDIDATE)
            for _points, _gap, key in likeliest[:_KEPT]
        ]
    )


def _candidates(cheque: Cheque, evidence: Evidence, index: Index) -> list[int]:
    wanted = [hit.invoice.family_id for hit in evidence.hits]
    wanted += [link.family_id for link in (*evidence.links, *evidence.near_links)]
    wanted += [known.family_id for _raw, known in evidence.elsewhere if known.family_id is not None]
    wanted += [one for one in (evidence.code_family, evidence.beside) if one is not None]
    if evidence.named:
        owing = index.owing(cheque.amount)
        named = index.families_named(evidence.issuer, cheque.amount)
        named = sorted(
            named, key=lambda pair: (-pair[0] - (20 if pair[1] in owing else 0), pair[1])
        )
        wanted += [family for _score, family in named[:_NAMED]]
    found = list(dict.fromkeys(wanted))
    # Amount alone says little, but a person who holds the paper may recognise one of a few.
    others = [one for one in _first_owing(cheque, evidence, index) if one not in found]
    return found + others[: max(_WANTED - len(found), 0)]


def propose(
    cheque: Cheque, evidence: Evidence, index: Index, way: Way, *, family: int, rule: Rule,
    only: bool = False,
) -> Proposal:  # fmt: skip
    """State one way to explain a cheque, with its reasons and the figures behind them.

    `only`: the decision rests on nobody else's owing this amount.
    """
    scores = _identity_scores(evidence, family, index)
    scores["amount"] = _amount_points(cheque.amount, way, evidence)
    return _proposal(cheque, evidence, way, family, scores, rule, only=only)


def _proposal(
    cheque: Cheque, evidence: Evidence, way: Way, family: int, scores: dict[str, int],
    rule: Rule, *, only: bool = False,
) -> Proposal:  # fmt: skip
    gap = cheque.amount - way.due
    points = _identity_points(scores) + scores["amount"]
    return Proposal(
        family_id=family,
        shares=split(cheque.amount, way.invoices),
        gap=gap,
        confidence=100 if rule is not Rule.CANDIDATE else max(1, min(points, 95)),
        rule=rule,
        reasons=(
            *explain.identity(evidence, family, scores["name"]), *explain.habit(scores),
            *_amount_reasons(cheque.amount, way, gap),
            *([_("Aucune autre famille qui pourrait l’avoir signé ne doit ce montant.")] * only),
        ),
        scores=scores,
        algorithm=ALGORITHM,
    )  # fmt: skip


def _first_owing(cheque: Cheque, evidence: Evidence, index: Index) -> list[int]:
    return index.first_owing(cheque.amount, holders=not evidence.account_read)


def _habit(evidence: Evidence, family: int, index: Index) -> int:
    """An unknown account is likelier that of a family without a known one, and the reverse."""
    known = family in index.snapshot.account_holders
    fits = not known and not evidence.links if evidence.account_read else known
    return _HABIT if fits else 0


def _identity_points(scores: Mapping[str, int]) -> int:
    name = scores["name"]
    named = name * _NAME // 100 if name >= POOR_NAME else 0
    return scores["reference"] + scores["account"] + scores["code"] + scores["habit"] + named


def _identity_scores(evidence: Evidence, family: int, index: Index) -> dict[str, int]:
    hits = [hit.quality for hit in evidence.hits if hit.invoice.family_id == family]
    return {
        "reference": _IDENTITY[max(hits)] if hits else 0,
        "account": _account_points(evidence, family),
        "code": _CODE if evidence.code_family == family else 0,
        "name": index.name_score(evidence.issuer, family),
        "habit": _habit(evidence, family, index),
    }


def _account_points(evidence: Evidence, family: int) -> int:
    for links, points in ((evidence.links, _ACCOUNT), (evidence.near_links, _NEAR_ACCOUNT)):
        for link in links:
            if link.family_id == family:
                return points
    return 0


def _amount_points(amount: int, way: Way, evidence: Evidence) -> int:
    bonus = 0
    if evidence.referred:
        designated = {i.id for i in evidence.referred if i.family_id == way.invoices[0].family_id}
        if designated and designated <= {invoice.id for invoice in way.invoices}:
            bonus = 8 if len(designated) == len(way.invoices) else 6
    if way.due == amount:
        return bonus + (35 if way.unique else 25)
    if explain.slip_kind(amount, way.due):
        return bonus + 15
    return bonus + (10 if abs(amount - way.due) * 10 <= amount else 3)


def _amount_reasons(amount: int, way: Way, gap: int) -> list[str]:
    named = explain.numbers(way.invoices)
    if gap:
        difference = explain.difference(amount, way.due)
        return [_("Pour %(numbers)s : %(gap)s.") % {"numbers": named, "gap": difference}]
    reasons = [_("Le montant est exactement celui de %s.") % named]
    reasons.append(
        _("Aucune autre combinaison de ses factures ne convient.")
        if way.unique
        else _("D’autres combinaisons de ses factures donnent le même montant.")
    )
    return reasons
