"""The decision: certain, proposed, or left to a person.

Certain needs identity *and* an exact amount *and* unicity, and no contradiction. Cheques are
decided one by one on the same snapshot and compared afterwards, so that their order in a file
changes nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from core.plugin import gettext as _
from plugins.cheque_import.matcher import explain
from plugins.cheque_import.matcher.evidence import Evidence, Quality, gather
from plugins.cheque_import.matcher.normalise import checked, name_score, words
from plugins.cheque_import.matcher.snapshot import (
    Cheque,
    Index,
    Match,
    OpenInvoice,
    Proposal,
    Rule,
    State,
)
from plugins.cheque_import.matcher.subsets import exact_subsets

ALGORITHM = "1"
"""Written beside every decision; any change that may alter one raises it."""

GOOD_NAME, FAIR_NAME, POOR_NAME, OTHER_NAME = 85, 75, 60, 90
_KEPT = 6
_WANTED = 3
_EXACT_SHOWN = 3

_IDENTITY = {Quality.CHECKED: 50, Quality.EXACT: 40, Quality.REPAIRED: 25}
_ACCOUNT, _NEAR_ACCOUNT, _CODE, _NAME = 40, 25, 25, 35


@dataclass(frozen=True, slots=True)
class _Way:
    """Invoices of one family that a cheque may pay."""

    invoices: tuple[OpenInvoice, ...]
    unique: bool

    @property
    def due(self) -> int:
        return sum(invoice.balance for invoice in self.invoices)


def match(cheques: Sequence[Cheque], index: Index) -> tuple[Match, ...]:
    """Match cheques (of distinct keys) with the open invoices of one régie, in their own order."""
    one_by_one = [_match(cheque, index) for cheque in cheques]
    return _exchanged(cheques, _disputed(cheques, one_by_one, index))


def _match(cheque: Cheque, index: Index) -> Match:
    evidence = gather(cheque, index)
    warnings = cheque.blockers + explain.warnings(evidence)
    certain = _certain(cheque, evidence, index)
    if certain is not None:
        return Match(cheque.key, State.CERTAIN, (certain,), warnings)
    proposals = _proposals(cheque, evidence, index)
    known = any(_points_to(evidence, one.family_id) for one in proposals)
    close = bool(proposals) and proposals[0].gap == 0 and proposals[0].scores["name"] >= FAIR_NAME
    state = State.PROPOSED if known or close else State.MANUAL
    return Match(cheque.key, state, proposals, warnings)


def _points_to(evidence: Evidence, family: int) -> bool:
    return (
        any(hit.invoice.family_id == family for hit in evidence.hits)
        or any(link.family_id == family for link in evidence.links)
        or evidence.code_family == family
    )


# --- Certain ----------------------------------------------------------------------------------


def _certain(cheque: Cheque, evidence: Evidence, index: Index) -> Proposal | None:
    if cheque.blockers or any(link.flagged for link in evidence.links):
        return None
    family = _one_family(evidence)
    if family is None or not _only_old_coupons(cheque, evidence, family):
        return None
    account = any(link.family_id == family for link in evidence.links) and (
        evidence.account_family in {family, None}
    )
    code = evidence.code_family == family
    quality = evidence.quality()
    name = index.name_score(evidence.issuer, family)
    payer = account and _known_payer(evidence, family)
    good = name >= GOOD_NAME or payer
    fair = name >= FAIR_NAME or payer
    signs = (quality is not None) + account + code + good
    if evidence.elsewhere and account + code + good < 2:
        return None
    if evidence.code_family is not None and not code and signs < 2:
        # A code is keyed by hand: two other signs outweigh it, one does not.
        return None
    if (
        evidence.named()
        and name < POOR_NAME
        and signs < 2
        and _named_elsewhere(evidence, family, index)
    ):
        # A neighbour's coupon, or another family's grandparents.
        return None
    way = _exact_way(cheque.amount, evidence, family, index)
    if way is None or not way.unique:
        return None
    if evidence.unread and (
        any(checked(raw) for raw in evidence.unread)  # no misreading: another town's, or recent
        or signs < 2
        or len(way.invoices) < len(evidence.referred) + len(evidence.unread)
    ):
        return None
    rule = _rule(
        evidence, complete=cheque.amount == sum(i.balance for i in evidence.referred),
        signs=signs, account=account, code=code, good=good, fair=fair,
    )  # fmt: skip
    return None if rule is None else _proposal(
        cheque, evidence, index, way, family=family, rule=rule
    )


def _rule(
    evidence: Evidence, *, complete: bool, signs: int, account: bool, code: bool, good: bool,
    fair: bool,
) -> Rule | None:  # fmt: skip
    quality = evidence.quality()
    if quality is not None:
        alone = quality is Quality.CHECKED and complete
        seconded = account or code or (fair if quality > Quality.REPAIRED else good)
        if not (alone or seconded):
            return None
        return Rule.REFERENCE if complete else Rule.REFERENCE_PART
    if account and code:
        return Rule.AGREEMENT
    if account and (fair or not evidence.named()):
        return Rule.ACCOUNT
    if code and good:
        return Rule.CODE
    return Rule.AGREEMENT if signs >= 2 else None


def _one_family(evidence: Evidence) -> int | None:
    """The family that all strong signs designate; None when there is none, or they differ."""
    referred = {hit.invoice.family_id for hit in evidence.hits}
    if len(referred) > 1:
        return None
    linked = {link.family_id for link in evidence.links}
    if referred:
        (family,) = referred
        return family if not linked or family in linked else None
    if linked and evidence.code_family not in linked:
        return evidence.account_family
    return evidence.code_family


def _only_old_coupons(cheque: Cheque, evidence: Evidence, family: int) -> bool:
    """Whether every reference that cannot be paid is an old coupon of the same family.

    Of the same amount, it may be one invoice paid twice: then a person decides.
    """
    return all(
        known.family_id == family and known.settled and known.settled != cheque.amount
        for _raw, known in evidence.elsewhere
    )


def _known_payer(evidence: Evidence, family: int) -> bool:
    """Whether the issuer is one who signed confirmed cheques of this account for this family."""
    return evidence.named() and any(
        name_score(evidence.issuer, words(payer)) >= OTHER_NAME
        for link in evidence.links
        if link.family_id == family
        for payer in link.payers
    )


def _named_elsewhere(evidence: Evidence, family: int, index: Index) -> bool:
    found = index.families_named(evidence.issuer, frozenset())
    return any(score >= OTHER_NAME and other != family for score, other in found)


def _exact_way(amount: int, evidence: Evidence, family: int, index: Index) -> _Way | None:
    """The way to pay exactly `amount`; `unique` when it is the only one that makes sense."""
    opened = index.by_family.get(family, [])
    referred = evidence.referred
    if referred:
        left = amount - sum(invoice.balance for invoice in referred)
        if left == 0:
            return _Way(referred, unique=True)
        others = [invoice for invoice in opened if invoice not in referred]
        return _completed(referred, others, left) if left > 0 else None
    structured = _structured(opened, amount)
    if structured:
        return _Way(structured[0], unique=len(structured) == 1)
    return _completed((), opened, amount)


def _completed(
    given: tuple[OpenInvoice, ...], others: Sequence[OpenInvoice], left: int
) -> _Way | None:
    subsets = exact_subsets([invoice.balance for invoice in others], left)
    if not subsets.found:
        return None
    chosen = tuple(others[i] for i in subsets.found[0])
    return _Way(given + chosen, unique=subsets.unique)


def _structured(opened: Sequence[OpenInvoice], amount: int) -> list[tuple[OpenInvoice, ...]]:
    """Exact ways that people mean by themselves: an invoice, a month, everything. Once each."""
    found = {
        group
        for group in _groups(opened)
        if sum(invoice.balance for invoice in group) == amount
    }
    return sorted(found, key=lambda group: (len(group), [(i.due_on, i.id) for i in group]))


def _groups(opened: Sequence[OpenInvoice]) -> Iterable[tuple[OpenInvoice, ...]]:
    months: dict[tuple[int, int], list[OpenInvoice]] = defaultdict(list)
    for invoice in opened:
        yield (invoice,)
        months[invoice.issued_on.year, invoice.issued_on.month].append(invoice)
    for month in months.values():
        yield tuple(month)
    if opened:
        yield tuple(opened)


# --- Proposed ---------------------------------------------------------------------------------


def _proposals(cheque: Cheque, evidence: Evidence, index: Index) -> tuple[Proposal, ...]:
    found: dict[tuple[int, ...], tuple[int, int, _Way]] = {}
    for family in _candidates(cheque, evidence, index):
        identity = _identity_points(evidence, family, index)
        for way in _ways(cheque.amount, evidence, family, index):
            points = identity + _amount_points(cheque.amount, way, evidence)
            invoices = tuple(sorted(invoice.id for invoice in way.invoices))
            found.setdefault((family, *invoices), (points, -abs(cheque.amount - way.due), way))
    ranked = sorted(found, key=lambda key: (-found[key][0], -found[key][1], key))
    return tuple(
        _proposal(cheque, evidence, index, found[key][2], family=key[0], rule=Rule.CANDIDATE)
        for key in ranked[:_KEPT]
    )


def _identity_points(evidence: Evidence, family: int, index: Index) -> int:
    scores = _identity_scores(evidence, family, index.name_score(evidence.issuer, family))
    name = scores.pop("name")
    return sum(scores.values()) + (name * _NAME // 100 if name >= POOR_NAME else 0)


def _identity_scores(evidence: Evidence, family: int, name: int) -> dict[str, int]:
    return {
        "reference": max(
            (_IDENTITY[hit.quality] for hit in evidence.hits if hit.invoice.family_id == family),
            default=0,
        ),
        "account": _account_points(evidence, family),
        "code": _CODE if evidence.code_family == family else 0,
        "name": name,
    }


def _candidates(cheque: Cheque, evidence: Evidence, index: Index) -> list[int]:
    wanted = [hit.invoice.family_id for hit in evidence.hits]
    wanted += [link.family_id for link in (*evidence.links, *evidence.near_links)]
    wanted += [known.family_id for _raw, known in evidence.elsewhere if known.family_id is not None]
    if evidence.code_family is not None:
        wanted.append(evidence.code_family)
    if evidence.named():
        owing = index.owing(cheque.amount)
        named = index.families_named(evidence.issuer, owing)
        named.sort(key=lambda pair: (-pair[0] - (20 if pair[1] in owing else 0), pair[1]))
        wanted += [family for _score, family in named[:8]]
    found = list(dict.fromkeys(wanted))
    # Amount alone says little, but a person who holds the paper may recognise one of a few.
    others = [one for one in index.first_owing(cheque.amount) if one not in found]
    return found + others[: max(_WANTED - len(found), 0)]


def _ways(amount: int, evidence: Evidence, family: int, index: Index) -> list[_Way]:
    opened = index.by_family.get(family, [])
    referred = tuple(i for i in evidence.referred if i.family_id == family)
    ways: list[_Way] = []
    if referred:
        ways.append(_Way(referred, unique=True))
        if len(referred) < len(evidence.referred):
            ways.append(_Way(evidence.referred, unique=True))
        left = amount - ways[0].due
        others = [invoice for invoice in opened if invoice not in referred]
        if left > 0 and (more := _completed(referred, others, left)):
            ways.append(more)
    structured = _structured(opened, amount)[:_EXACT_SHOWN]
    ways += [_Way(group, unique=len(structured) == 1) for group in structured]
    if len(structured) < _EXACT_SHOWN:
        subsets = exact_subsets([i.balance for i in opened], amount, limit=_EXACT_SHOWN)
        ways += [
            _Way(tuple(opened[i] for i in chosen), unique=subsets.unique and not structured)
            for chosen in subsets.found
        ]
    if not any(way.due == amount for way in ways) and opened:
        near = sorted(
            _groups(opened),
            key=lambda group: _nearness(amount, sum(i.balance for i in group), group),
        )
        ways += [_Way(group, unique=False) for group in near[:2]]
    return ways


def _nearness(
    amount: int, due: int, group: Sequence[OpenInvoice]
) -> tuple[bool, int, list[tuple[object, int]]]:
    """Explained by a slip first, then the smallest difference, then the oldest."""
    return (
        not explain.slip(amount, due), abs(amount - due), [(i.due_on, i.id) for i in group],
    )  # fmt: skip


def _proposal(
    cheque: Cheque, evidence: Evidence, index: Index, way: _Way, *, family: int, rule: Rule
) -> Proposal:
    name = index.name_score(evidence.issuer, family)
    gap = cheque.amount - way.due
    scores = {
        **_identity_scores(evidence, family, name),
        "amount": _amount_points(cheque.amount, way, evidence),
    }
    points = _identity_points(evidence, family, index) + scores["amount"]
    return Proposal(
        family_id=family,
        shares=_shares(cheque.amount, way.invoices),
        gap=gap,
        confidence=100 if rule is not Rule.CANDIDATE else max(1, min(points, 95)),
        rule=rule,
        reasons=(
            *explain.identity(evidence, family, name), *_amount_reasons(cheque.amount, way, gap)
        ),
        scores=scores,
        algorithm=ALGORITHM,
    )  # fmt: skip


def _account_points(evidence: Evidence, family: int) -> int:
    if any(link.family_id == family for link in evidence.links):
        return _ACCOUNT
    return _NEAR_ACCOUNT if any(x.family_id == family for x in evidence.near_links) else 0


def _amount_points(amount: int, way: _Way, evidence: Evidence) -> int:
    designated = [i for i in evidence.referred if i.family_id == way.invoices[0].family_id]
    bonus = 0
    if designated and set(designated) <= set(way.invoices):
        bonus = 8 if len(designated) == len(way.invoices) else 6
    if way.due == amount:
        return bonus + (35 if way.unique else 25)
    if explain.slip(amount, way.due):
        return bonus + 15
    return bonus + (10 if abs(amount - way.due) * 10 <= amount else 3)


def _amount_reasons(amount: int, way: _Way, gap: int) -> list[str]:
    named = explain.numbers(way.invoices)
    if gap:
        difference = explain.difference(amount, way.due)
        return [_("Pour %(numbers)s : %(gap)s.") % {"numbers": named, "gap": difference}]
    reasons = [_("Le montant est exactement celui de %s.") % named]
    reasons.append(
        _("Aucune autre combinaison de factures ne convient.")
        if way.unique
        else _("D’autres combinaisons de factures donnent le même montant.")
    )
    return reasons


def _shares(amount: int, invoices: Iterable[OpenInvoice]) -> tuple[tuple[int, int], ...]:
    left = amount
    shares = []
    for invoice in sorted(invoices, key=lambda one: (one.due_on, one.id)):
        taken = min(left, invoice.balance)
        if taken:
            shares.append((invoice.id, taken))
            left -= taken
    return tuple(shares)


# --- Across the batch -------------------------------------------------------------------------


def _disputed(
    cheques: Sequence[Cheque], matches: Sequence[Match], index: Index
) -> list[Match]:
    """Certain cheques that claim more of an invoice than it owes: all of them to review."""
    claimed: dict[int, int] = defaultdict(int)
    for found in matches:
        if found.state is State.CERTAIN:
            for invoice, cents in found.proposals[0].shares:
                claimed[invoice] += cents
    balances = {i.id: i for i in index.snapshot.invoices if i.id in claimed}
    over = {i for i, cents in claimed.items() if cents > balances[i].balance}
    return [
        _to_review(
            cheque, found, index, [balances[i] for i, _c in found.proposals[0].shares if i in over]
        )
        if found.state is State.CERTAIN and any(i in over for i, _c in found.proposals[0].shares)
        else found
        for cheque, found in zip(cheques, matches, strict=True)
    ]


def _to_review(
    cheque: Cheque, found: Match, index: Index, disputed: Sequence[OpenInvoice]
) -> Match:
    warning = _("Un autre chèque désigne la même facture : %s.") % explain.numbers(disputed)
    proposals = _proposals(cheque, gather(cheque, index), index)
    return Match(found.key, State.PROPOSED, proposals, (*found.warnings, warning))


def _exchanged(cheques: Sequence[Cheque], matches: Sequence[Match]) -> tuple[Match, ...]:
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
