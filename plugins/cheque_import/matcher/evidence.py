"""What a cheque says about who it is from: references, account, family code, name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from plugins.cheque_import.matcher.normalise import bare, check_character, checked, words
from plugins.cheque_import.matcher.snapshot import (
    AccountLink,
    Cheque,
    Elsewhere,
    Index,
    OpenInvoice,
)

SHARED_SCORE, SHARED_MARGIN = 90, 8
"""Of an account that several families use, the name decides: this well, by this margin."""


class Quality(IntEnum):
    """How sure it is that a reference designates its invoice."""

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
    issuer: tuple[str, ...]
    account_read: bool
    """Whether the cheque's line told an account, known or not."""

    @property
    def referred(self) -> tuple[OpenInvoice, ...]:
        """The invoices that the references designate, once each."""
        return tuple({hit.invoice.id: hit.invoice for hit in self.hits}.values())

    def quality(self) -> Quality | None:
        """How sure the least sure reference is."""
        return min((hit.quality for hit in self.hits), default=None)

    def named(self) -> bool:
        """Whether the cheque tells a name that can be compared."""
        return any(len(word) > 1 for word in self.issuer)


def gather(cheque: Cheque, index: Index) -> Evidence:
    """Collect the evidence of one cheque."""
    hits: list[Hit] = []
    elsewhere: list[tuple[str, Elsewhere]] = []
    unread: list[str] = []
    for raw in cheque.references:
        hit = _hit(raw, index)
        known = index.snapshot.elsewhere.get(checked(raw)) or index.snapshot.elsewhere.get(
            bare(raw)
        )
        if hit is not None and (hit.quality > Quality.REPAIRED or known is None):
            hits.append(hit)
        elif known is not None:
            elsewhere.append((raw, known))
        else:
            unread.append(raw)
    issuer = words(cheque.issuer)
    links = index.snapshot.accounts.get(cheque.account, ()) if cheque.account else ()
    near = {
        link.family_id: link
        for account in cheque.near_accounts
        for link in index.snapshot.accounts.get(account, ())
    }
    return Evidence(
        hits=tuple(hits),
        elsewhere=tuple(elsewhere),
        unread=tuple(unread),
        links=links,
        near_links=tuple(near[family] for family in sorted(near)),
        account_family=_account_family(links, issuer, index),
        code_family=index.family_of_code(cheque.family_code),
        issuer=issuer,
        account_read=bool(cheque.account),
    )


def _account_family(
    links: tuple[AccountLink, ...], issuer: tuple[str, ...], index: Index
) -> int | None:
    if len(links) < 2:
        return links[0].family_id if links else None
    scored = sorted(
        ((index.name_score(issuer, link.family_id), link.family_id) for link in links), reverse=True
    )
    (best, family), (second, _other) = scored[:2]
    return family if best >= SHARED_SCORE and best - second >= SHARED_MARGIN else None


def _hit(raw: str, index: Index) -> Hit | None:
    body = checked(raw)
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
