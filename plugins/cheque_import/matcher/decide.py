"""The decision: certain, proposed, or left to a person.

Certain needs identity *and* an exact amount *and* unicity, and no contradiction. Cheques are
decided one by one on the same snapshot and compared afterwards, so that their order in a file
changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from plugins.cheque_import.matcher import explain
from plugins.cheque_import.matcher.batch import disputed, exchanged
from plugins.cheque_import.matcher.evidence import (
    Evidence,
    Quality,
    gather,
    lonely,
    may_be_misread,
)
from plugins.cheque_import.matcher.normalise import Scorer, people
from plugins.cheque_import.matcher.rank import POOR_NAME, propose, ranked
from plugins.cheque_import.matcher.snapshot import Cheque, Index, Match, Proposal, Rule, State
from plugins.cheque_import.matcher.ways import exact_way

GOOD_NAME, FAIR_NAME, OTHER_NAME = 85, 75, 90


def match(cheques: Sequence[Cheque], index: Index) -> tuple[Match, ...]:
    """Match cheques (of distinct keys) with the open invoices of one régie, in their own order."""
    one_by_one = [_match(cheque, index) for cheque in cheques]
    return exchanged(cheques, disputed(cheques, one_by_one, index))


def _match(cheque: Cheque, index: Index) -> Match:
    evidence = gather(cheque, index)
    warnings = cheque.blockers + cheque.notes + explain.warnings(evidence)
    certain = _certain(cheque, evidence, index)
    if certain is not None:
        return Match(cheque.key, State.CERTAIN, (certain,), warnings)
    proposals = ranked(cheque, evidence, index)
    warnings += explain.under_way(
        [index.by_id[i] for one in proposals[:1] for i, _cents in one.shares]
    )
    known = any(_points_to(evidence, one.family_id) for one in proposals)
    close = bool(proposals) and proposals[0].gap == 0 and proposals[0].scores["name"] >= FAIR_NAME
    state = State.PROPOSED if known or close else State.MANUAL
    return Match(cheque.key, state, proposals, warnings)


def _points_to(evidence: Evidence, family: int) -> bool:
    return (
        any(hit.invoice.family_id == family for hit in evidence.hits)
        or any(link.family_id == family for link in (*evidence.links, *evidence.near_links))
        or family in {evidence.code_family, evidence.beside}
    )


def _certain(cheque: Cheque, evidence: Evidence, index: Index) -> Proposal | None:
    if cheque.blockers or any(link.flagged for link in evidence.links):
        return None
    family = _one_family(cheque, evidence, index)
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
    free = fair or not evidence.named or _nobody_else(cheque, evidence, family, index)
    near = not evidence.links and _only_near(evidence) == family
    # Its own old coupon, though it pays nothing, says whose a cheque is.
    old = bool(evidence.elsewhere)
    # Of an account that is not known, the cheques to two régies tell together whose they are.
    beside = evidence.beside == family and (fair or not evidence.named)
    signs = (quality is not None) + account + code + good + near + old + beside
    # Whoever sent it and pays what he owes, it is this family: all others who owe this amount pay
    # from an account that is known, and this one is not.
    strange = not evidence.links and (evidence.account_read or near)
    only = (
        signs == 1
        and not (account or old)
        and index.only_one_owing(family, cheque.amount, strangers=strange)
        and (fair or not _named_elsewhere(cheque, evidence, family, index))
    )
    second = account or code or near or only or beside
    if old and signs < 2:
        return None
    if evidence.code_family is not None and not code and (
        # A code is keyed by hand: a known account outweighs it, or two other signs, and none does
        # when its family owes this very amount.
        (signs < 2 and not account) or index.owes(evidence.code_family, cheque.amount)
    ):
        return None
    if (
        quality is not None
        and evidence.named
        and name < POOR_NAME
        and signs < 2
        and _named_elsewhere(cheque, evidence, family, index)
    ):
        # A neighbour's coupon. An account has its name looked at where that family owes the same.
        return None
    way = exact_way(cheque.amount, evidence, family, index)
    if way is None or not way.unique or any(invoice.under_way for invoice in way.invoices):
        return None
    if evidence.unread and (
        not all(may_be_misread(raw, index) for raw in evidence.unread)  # another town's, or recent
        or signs < 2
        or len(way.invoices) < len(evidence.referred) + len(evidence.unread)
    ):
        return None
    if good and not (payer or quality or account or beside) and not _told_apart(
        cheque, evidence, family, index
    ):
        # A homonym owes the same: the name says nothing, and the code may be mistyped.
        return None
    rule = _rule(
        evidence, complete=cheque.amount == sum(i.balance for i in evidence.referred),
        signs=signs, account=account, code=code, good=good, fair=fair, free=free, near=near,
        only=only, second=second, beside=beside, index=index,
    )  # fmt: skip
    if rule is None:
        return None
    return propose(cheque, evidence, index, way, family=family, rule=rule, only=only)


def _rule(
    evidence: Evidence, *, complete: bool, signs: int, account: bool, code: bool, good: bool,
    fair: bool, free: bool, near: bool, only: bool, second: bool, beside: bool, index: Index,
) -> Rule | None:  # fmt: skip
    quality = evidence.quality()
    if quality is not None:
        seconded = second or (fair if quality > Quality.REPAIRED else good)
        if not (seconded or (complete and _alone(evidence, quality, index))):
            return None
        return Rule.REFERENCE if complete else Rule.REFERENCE_PART
    if account and code:
        return Rule.AGREEMENT
    if account and free:
        return Rule.ACCOUNT
    if code and good:
        return Rule.CODE
    if near and (good or code or only):
        return Rule.NEAR
    if signs + only - beside >= 2:
        return Rule.AGREEMENT
    return Rule.BESIDE if beside else None


def _alone(evidence: Evidence, quality: Quality, index: Index) -> bool:
    """True if references that make up the whole amount need no second sign."""
    if quality is Quality.CHECKED:
        return True
    return (
        quality is Quality.EXACT
        and not evidence.unread
        and all(lonely(hit.raw, hit.invoice, index) for hit in evidence.hits)
    )


def _one_family(cheque: Cheque, evidence: Evidence, index: Index) -> int | None:
    """The family that all strong signs designate; None when there is none, or they differ."""
    referred = {hit.invoice.family_id for hit in evidence.hits}
    if len(referred) > 1:
        return None
    linked = {link.family_id for link in evidence.links}
    if referred:
        (family,) = referred
        if not linked or family in linked or _for_another(cheque, evidence, family, index):
            return family
        return None
    if linked and evidence.code_family not in linked:
        return evidence.account_family
    if evidence.code_family is not None:
        return evidence.code_family
    if evidence.near_links:
        return _only_near(evidence)
    old = {known.family_id for _raw, known in evidence.elsewhere}
    if old:
        return old.pop() if len(old) == 1 else None
    return evidence.beside


def _for_another(cheque: Cheque, evidence: Evidence, family: int, index: Index) -> bool:
    """True if a checked coupon of the whole amount, and the name, say more than the account.

    One pays for another now and then: the coupon tells for whom, if the family that the account
    stands for owes something else.
    """
    return (
        evidence.quality() is Quality.CHECKED
        and cheque.amount == sum(invoice.balance for invoice in evidence.referred)
        and index.name_score(evidence.issuer, family) >= GOOD_NAME
        and not any(index.owes(link.family_id, cheque.amount) for link in evidence.links)
    )


def _only_near(evidence: Evidence) -> int | None:
    """The family whose known account is one digit from the one that was read; None of several."""
    families = {link.family_id for link in evidence.near_links if not link.flagged}
    return families.pop() if len(families) == len(evidence.near_links) == 1 else None


def _told_apart(cheque: Cheque, evidence: Evidence, family: int, index: Index) -> bool:
    """True if no other family whose name fits the issuer well owes this amount."""
    return not any(
        other != family and score >= GOOD_NAME and index.owes(other, cheque.amount)
        for score, other in index.families_named(evidence.issuer, cheque.amount)
    )


def _only_old_coupons(cheque: Cheque, evidence: Evidence, family: int) -> bool:
    """True if every reference that cannot be paid is an old coupon of the same family.

    Of the same amount, it may be one invoice paid twice: then a person decides.
    """
    return all(
        known.family_id == family and known.settled and known.settled != cheque.amount
        for _raw, known in evidence.elsewhere
    )


def _known_payer(evidence: Evidence, family: int) -> bool:
    """True if the issuer has signed confirmed cheques of this account for this family."""
    return evidence.named and any(
        Scorer(evidence.issuer).best(people(payer)) >= OTHER_NAME
        for link in evidence.links
        if link.family_id == family
        for payer in link.payers
    )


def _nobody_else(cheque: Cheque, evidence: Evidence, family: int, index: Index) -> bool:
    """True if no other family whose name resembles the issuer's owes this amount.

    A known account is then the household's own under a name that its file does not hold.
    """
    return not any(
        other != family and index.owes(other, cheque.amount)
        for _score, other in index.families_named(evidence.issuer, cheque.amount)
    )


def _named_elsewhere(cheque: Cheque, evidence: Evidence, family: int, index: Index) -> bool:
    found = index.families_named(evidence.issuer, cheque.amount)
    return any(score >= OTHER_NAME and other != family for score, other in found)
