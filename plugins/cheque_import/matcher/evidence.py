"""Signs on a cheque that point to its payer: references, account, family code, name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from plugins.cheque_import.matcher.normalise import (
    Name,
    bare,
    check_character,
    checked,
    people,
)
from plugins.cheque_import.matcher.snapshot import (
    AccountLink,
    Cheque,
    Elsewhere,
    Index,
    OpenInvoice,
)

SHARED_SCORE, SHARED_MARGIN = 90, 8
"""Of an account that several families use, the name decides: this well, by this margin."""
FAIR_SCORE, POOR_SCORE = 75, 60
NAMED_SCORE = 85
"""A name is a sign of a family from here on."""


class Quality(IntEnum):
    """Certainty that a reference designates its invoice."""

    REPAIRED = 1
    """One misread character away, and the check character agrees with the correction."""
    EXACT = 2
    """As issued, but without a check character: one wrong digit is another family's invoice."""
    CHECKED = 3
    """As issued, and the check character is right."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A reference of the cheque that designates an open invoice."""

    raw: str
    invoice: OpenInvoice
    quality: Quality


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that a cheque says. `unread` are references that designate nothing known."""

    hits: tuple[Hit, ...]
    elsewhere: tuple[tuple[str, Elsewhere], ...]
    unread: tuple[str, ...]
    links: tuple[AccountLink, ...]
    near_links: tuple[AccountLink, ...]
    account_family: int | None
    """The one family that the account stands for; None when unknown or shared and undecided."""
    code_family: int | None
    issuer: tuple[Name, ...]
    beside: int | None
    """The one family that owes this amount, and what the unknown account asks of another régie."""
    account_read: bool
    """True if the cheque's magnetic line gave an account, known or not."""
    referred: tuple[OpenInvoice, ...]
    """The invoices that the references designate, once each."""
    named: bool
    """True if the cheque gives a name that can be compared."""

    def quality(self) -> Quality | None:
        """Certainty of the least sure reference."""
        return min((hit.quality for hit in self.hits), default=None)


def gather(cheque: Cheque, index: Index) -> Evidence:
    """Collect the evidence of one cheque."""
    issuer = people(cheque.issuer)
    links = index.snapshot.accounts.get(cheque.account, ()) if cheque.account else ()
    near = {
        link.family_id: link
        for account in cheque.near_accounts
        for link in index.snapshot.accounts.get(account, ())
    }
    code_family = index.family_of_code(cheque.family_code)
    hits: list[Hit] = []
    elsewhere: list[tuple[str, Elsewhere]] = []
    unread: list[str] = []
    meant = {link.family_id for link in links} | set(near) | ({code_family} - {None})
    for raw in cheque.references:
        body = checked(raw)
        hit = _hit(raw, body, index)
        known = index.snapshot.elsewhere.get(body) or index.snapshot.elsewhere.get(bare(raw))
        family = hit.invoice.family_id if hit is not None else known.family_id if known else None
        sure = hit is not None and hit.quality is Quality.CHECKED
        if not (sure or family in meant or (known is not None and body)) and may_be_misread(
            raw, index
        ):
            # Misread, it may be another's number, or nobody's.
            hit = _meant(raw, cheque.amount, hit, meant, issuer, index) or hit
        if hit is not None and (hit.quality > Quality.REPAIRED or known is None):
            hits.append(hit)
        elif known is not None and (hit is None or known.family_id == hit.invoice.family_id):
            elsewhere.append((raw, known))
        elif hit is not None:
            hits.append(hit)
        else:
            unread.append(raw)
    return Evidence(
        hits=tuple(hits),
        elsewhere=tuple(elsewhere),
        unread=tuple(unread),
        links=links,
        near_links=tuple(near[family] for family in sorted(near)),
        account_family=_account_family(cheque.amount, links, issuer, index),
        code_family=code_family,
        issuer=issuer,
        beside=None if links else index.owing_beside(cheque.account, cheque.amount),
        account_read=bool(cheque.account),
        referred=tuple({hit.invoice.id: hit.invoice for hit in hits}.values()),
        named=any(len(word) > 1 for name in issuer for word in name),
    )


def _meant(
    raw: str, amount: int, hit: Hit | None, meant: set[int | None], issuer: tuple[Name, ...],
    index: Index,
) -> Hit | None:  # fmt: skip
    """The one invoice, one slip away, of the families that something else means; None of several.

    Something else: account or code, else the name where that family owes this amount. A reference
    that designates somebody who owes this amount himself is taken at its word.
    """
    if hit is not None and index.owes(hit.invoice.family_id, amount):
        return None
    named = {
        family
        for score, family in index.families_named(issuer, amount)
        if score >= NAMED_SCORE and index.owes(family, amount)
    }
    found = {
        invoice.id: invoice
        for family in meant | named
        if family is not None
        for invoice in index.by_family.get(family, ())
        if one_slip(bare(raw), bare(invoice.number))
    }
    if len(found) != 1:
        return None
    return Hit(raw, next(iter(found.values())), Quality.REPAIRED)


def may_be_misread(raw: str, index: Index) -> bool:
    """True if a reference that designates nothing may be a misread reference of ours.

    Not with a right check character. But one number in 37 without one ends like that by chance: it
    is as long as our numbers are.
    """
    body, whole = checked(raw), bare(raw)
    return not body or (body != whole and index.as_long(whole))


def one_slip(one: str, other: str) -> bool:
    """True if two texts differ by one wrong character, or two neighbours that changed places."""
    if len(one) != len(other):
        return False
    wrong = [i for i, (a, b) in enumerate(zip(one, other, strict=True)) if a != b]
    if len(wrong) == 2 and wrong[1] == wrong[0] + 1:
        return one[wrong[0]] == other[wrong[1]] and one[wrong[1]] == other[wrong[0]]
    return len(wrong) == 1


def lonely(raw: str, invoice: OpenInvoice, index: Index) -> bool:
    """True if no other invoice of this amount is one slip away from a reference without a check.

    The amount then proves that no single digit of it was misread.
    """
    return not any(
        other is not None and other.id != invoice.id and other.balance == invoice.balance
        for other in map(index.invoice, _slips(bare(raw)))
    )


def _account_family(
    amount: int, links: tuple[AccountLink, ...], issuer: tuple[Name, ...], index: Index
) -> int | None:
    if len(links) < 2:
        return links[0].family_id if links else None
    scored = sorted(
        ((index.name_score(issuer, link.family_id), link.family_id) for link in links), reverse=True
    )
    (best, family), (second, _other) = scored[:2]
    if best >= SHARED_SCORE and best - second >= SHARED_MARGIN:
        return family
    # Misspelt, the name still decides between these few, when no other of them owes this amount.
    owing = [link.family_id for link in links if index.owes(link.family_id, amount)]
    if owing == [family] and best >= FAIR_SCORE and second < POOR_SCORE:
        return family
    # Nor does a name that is none of theirs say anything against the only family that owes it.
    if len(owing) == 1 and index.only_one_owing(owing[0], amount):
        (family,) = owing
        others = (score for score, other in scored if other != family)
        return family if all(score < POOR_SCORE for score in others) else None
    return None


def _hit(raw: str, body: str, index: Index) -> Hit | None:
    """The invoice of a reference, of which `body` stands before a right check character."""
    if body:
        invoice = index.invoice(body)
        if invoice is not None:
            return Hit(raw, invoice, Quality.CHECKED)
    invoice = index.invoice(bare(raw))
    if invoice is not None:
        return Hit(raw, invoice, Quality.EXACT)
    near = {found.id: found for found in _near(raw.strip().upper(), index)}
    # Two invoices at one character's distance: the reference says neither.
    return Hit(raw, next(iter(near.values())), Quality.REPAIRED) if len(near) == 1 else None


def _near(text: str, index: Index) -> Iterator[OpenInvoice]:
    """Open invoices whose printed reference and check character are one slip from `text`."""
    body, check = bare(text[:-1]), text[-1:]
    misprinted = index.invoice(body)
    if misprinted is not None:
        yield misprinted
    for variant in _slips(body):
        # The look-up comes first: it fails nearly always, and costs least.
        invoice = index.invoice(variant)
        if invoice is not None and check_character(variant) == check:
            yield invoice


def _slips(body: str) -> Iterator[str]:
    for i, old in enumerate(body):
        for digit in "0123456789":
            if digit != old:
                yield body[:i] + digit + body[i + 1 :]
    for i in range(len(body) - 1):
        if body[i] != body[i + 1]:
            yield body[:i] + body[i + 1] + body[i] + body[i + 2 :]
