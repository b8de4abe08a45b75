"""A cheque becomes a payment, or a payment is taken back. Money moves nowhere else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from sqlalchemy import select

from core.plugin import InvoiceInfo, Means, NewPayment, Recorded, TenantContext, UserError
from core.plugin import gettext as _
from plugins.cheque_import import history, validity
from plugins.cheque_import.matcher.explain import euros
from plugins.cheque_import.models import PENDING, Cheque, ChequePart, ChequeState
from plugins.cheque_import.settings import ChequeSettings

Shares = Sequence[Sequence[int]]
"""(invoice id, cents), as proposals keep them."""
MAX_TOGETHER = 500
"""Cheques that are posted by the same statements."""


@dataclass(frozen=True, slots=True)
class Posting:
    """A cheque, the family whose it is, and what it pays."""

    cheque: Cheque
    family_id: int
    shares: Shares


class Postings:
    """Posts and reverses cheques of one town through ``ctx.payments``."""

    def __init__(self, ctx: TenantContext, settings: ChequeSettings) -> None:
        self._ctx = ctx
        self._settings = settings
        self._held: dict[int, InvoiceInfo] = {}
        self._taken: dict[int, int] = defaultdict(int)
        self.left: dict[int, str] = {}
        """Why a cheque was left as it is by `post_all`, by its id."""

    def hold(self, shares: Iterable[Shares]) -> None:
        """Lock all invoices of these postings, then read them, before the first is made.

        Nobody else pays them until the transaction ends: what is read stands, less what is posted.
        """
        wanted = sorted({invoice for one in shares for invoice, _cents in one})
        self._ctx.payments.hold(wanted)
        self._held = {info.id: info for info in self._ctx.invoices.several(wanted)}
        self._taken.clear()

    def check(self, cheque: Cheque, shares: Shares, *, keep_excess: bool) -> None:
        """Refuse a posting that `problem` forbids, or an excess that nobody confirmed.

        Raises:
            UserError: in words.
        """
        self.hold([shares])
        problem = self.problem(cheque, shares)
        if problem:
            raise UserError(problem)
        left = cheque.amount - sum(cents for _invoice, cents in shares)
        if left and not keep_excess:
            raise UserError(
                _(
                    "%s ne sont imputés à aucune facture. Confirmez qu’ils deviennent un avoir de "
                    "la famille, ou rendez le chèque."
                )
                % euros(left)
            )

    def problem(self, cheque: Cheque, shares: Shares) -> str:
        """Reason why the cheque cannot be posted so, now; "" when it can. Its invoices are held."""
        if cheque.state not in {*PENDING, ChequeState.TO_CLASSIFY}:
            return _("Ce chèque est déjà traité.")
        dated = validity.refusal(
            cheque, history.today(self._ctx), hold_post_dated=self._settings.hold_post_dated
        )
        if dated:
            return dated
        if sum(cents for _invoice, cents in shares) > cheque.amount:
            return _("La répartition dépasse le montant du chèque.")
        for invoice_id, cents in shares:
            info = self._held.get(invoice_id)
            if info is None:
                return _("Une facture n’existe pas, ou plus.")
            if info.regie != cheque.regie:
                return (
                    _("La facture %s est d’une autre régie : un chèque n’en paie qu’une.")
                    % info.number
                )
            if cents <= 0:
                return _("Chaque part est un montant positif.")
            if info.under_way is not None:
                return (
                    _(
                        "Un paiement en ligne est en cours pour la facture %s : attendez son "
                        "issue, ou laissez le chèque en recettes à classer."
                    )
                    % info.number
                )
            balance = info.balance - self._taken[invoice_id]
            if cents > balance:
                return _(
                    "La facture %(number)s ne doit plus que %(balance)s (déjà payée en ligne ?). "
                    "Rendez le chèque, ou gardez le surplus comme avoir."
                ) % {"number": info.number, "balance": euros(balance)}
        return ""

    def post(self, cheque: Cheque, family_id: int, shares: Shares) -> dict[str, object]:
        """Record the payment; tells what the cheque's history keeps of it.

        What it pays of another family's invoices, which this one does not see, is a payment of
        that family: each has a receipt of its own share, and neither learns of the other.
        """
        return self._record_all([Posting(cheque, family_id, shares)])[cheque.id]

    def post_all(self, postings: Sequence[Posting]) -> dict[int, dict[str, object]]:
        """Post cheques of a régie in their order; what `post` tells of each, by its id.

        Those that have a `problem`, or that are refused, are left as they are. What is posted
        together comes in a few statements, and stands or falls together: if one is refused, each
        half is tried by itself.
        """
        self.left.clear()
        done: dict[int, dict[str, object]] = {}
        for start in range(0, len(postings), MAX_TOGETHER):
            done |= self._post_some(postings[start : start + MAX_TOGETHER])
        for cheque_id in done:  # Refused beside others, and recorded once they were parted.
            self.left.pop(cheque_id, None)
        return done

    def _post_some(self, postings: Sequence[Posting]) -> dict[int, dict[str, object]]:
        taken = self._taken.copy()
        try:
            with self._ctx.session.begin_nested():
                fit = []
                for one in postings:
                    problem = self.problem(one.cheque, one.shares)
                    if problem:
                        self.left[one.cheque.id] = problem
                    else:
                        self._take(one.shares)
                        fit.append(one)
                return self._record_all(fit)
        except UserError as refused:
            self._taken = taken
            if len(postings) == 1:
                self.left[postings[0].cheque.id] = refused.message
                return {}
        half = len(postings) // 2
        return self._post_some(postings[:half]) | self._post_some(postings[half:])

    def _take(self, shares: Shares) -> None:
        for invoice, cents in shares:
            self._taken[invoice] += cents

    def _record_all(self, postings: Sequence[Posting]) -> dict[int, dict[str, object]]:
        """Record the payments of cheques whose invoices are held."""
        names = self._names(postings)
        done: dict[int, dict[str, object]] = {}
        for is_new, some in groupby(postings, lambda one: one.cheque.payment_id is None):
            if is_new:
                done |= self._record_new(list(some), names)
            else:  # Banked before it was known whose it is.
                done |= {one.cheque.id: self._classify(one, names) for one in some}
        return done

    def _names(self, postings: Sequence[Posting]) -> dict[int, str]:
        """The names of the families whose cheques do not say who wrote them."""
        wanted = {one.family_id for one in postings if not one.cheque.issuer}
        found = self._ctx.families.several(wanted) if wanted else {}
        return {family_id: family.name for family_id, family in found.items()}

    def _record_new(
        self, postings: Sequence[Posting], names: Mapping[int, str]
    ) -> dict[int, dict[str, object]]:
        planned = [self._planned(one, names) for one in postings]
        recorded = iter(
            self._ctx.payments.record_many(
                postings[0].cheque.regie, [one for some in planned for one in some], alone=True
            )
        )
        return {
            one.cheque.id: self._posted(one, [(part.family_id, next(recorded)) for part in some])
            for one, some in zip(postings, planned, strict=True)
        }

    def _planned(self, one: Posting, names: Mapping[int, str]) -> list[NewPayment]:
        """The payments that a cheque is: its family's, then those of others that it pays for."""
        own, others = self._by_family(one.family_id, one.shares)
        payer = one.cheque.issuer or names.get(one.family_id, "")
        sums = {family: sum(cents for _id, cents in part) for family, part in others.items()}
        amount = one.cheque.amount - sum(sums.values())
        # What was looked at is held still; this stands if it ever were not.
        left = amount - sum(cents for _invoice, cents in own)
        return [
            self._payment(
                one.cheque, one.family_id, own, payer=payer, excess=left, amount=amount
            ),
            *(
                self._payment(
                    one.cheque, other, part, payer=payer, excess=0, amount=sums[other],
                    beside=f"/{other}",
                )
                for other, part in others.items()
            ),
        ]  # fmt: skip

    def _classify(self, one: Posting, names: Mapping[int, str]) -> dict[str, object]:
        """Say whose a cheque is that was banked before: what is in the books stays there."""
        cheque = one.cheque
        before = self.payments(cheque)
        own, others = self._by_family(one.family_id, one.shares)
        if others:
            # One payment of nobody yet becomes one of each: it goes out as they come in.
            self._ctx.payments.reverse(
                before[0], reason=_("Recette classée sur plusieurs familles")
            )
            cheque.payment_id, cheque.attempt = None, cheque.attempt + 1
            done = self._record_new([one], names)[cheque.id]
        else:
            left = cheque.amount - sum(cents for _invoice, cents in own)
            recorded = self._ctx.payments.classify(
                before[0], family_id=one.family_id, shares=own, excess=left, alone=True
            )
            done = self._posted(one, [(one.family_id, recorded)])
        if before != [cheque.payment_id]:
            self._ctx.session.flush()
            self._ctx.remittances.replace(before, self.payments(cheque))
        return done

    def _posted(
        self, one: Posting, recorded: Sequence[tuple[int | None, Recorded]]
    ) -> dict[str, object]:
        """Note a cheque's payments, the first of which is its family's."""
        cheque, (_family, own) = one.cheque, recorded[0]
        for family, part in recorded[1:]:
            self._ctx.session.add(
                ChequePart(
                    tenant_id=self._ctx.town.slug, cheque_id=cheque.id, attempt=cheque.attempt,
                    payment_id=part.payment_id, family_id=family,
                )
            )  # fmt: skip
        cheque.state, cheque.why = ChequeState.ACCEPTED, ""
        cheque.family_id, cheque.payment_id = one.family_id, own.payment_id
        return {
            "payment": own.payment_id, "family": one.family_id,
            "shares": [list(share) for share in one.shares], "excess": own.excess,
        }  # fmt: skip

    def _by_family(
        self, family_id: int, shares: Shares
    ) -> tuple[list[tuple[int, int]], dict[int, list[tuple[int, int]]]]:
        """The shares that are the family's own affair, and those of others by their family."""
        mine = {i for i, _cents in shares if self._held[i].family_id == family_id}
        if len(mine) < len(shares):  # A shared child's invoice is the other home's, and seen here.
            wanted = [invoice for invoice, _cents in shares]
            mine |= {info.id for info in self._ctx.invoices.seen_by(family_id, wanted)}
        own: list[tuple[int, int]] = []
        others: dict[int, list[tuple[int, int]]] = {}
        for invoice, cents in shares:
            if invoice in mine:
                own.append((invoice, cents))
            else:
                others.setdefault(self._held[invoice].family_id, []).append((invoice, cents))
        return own, others

    def parts(self, cheque: Cheque) -> Sequence[ChequePart]:
        """The payments in force of other families' shares."""
        return self._ctx.session.scalars(
            select(ChequePart)
            .where(
                ChequePart.tenant_id == self._ctx.town.slug,
                ChequePart.cheque_id == cheque.id,
                ChequePart.attempt == cheque.attempt,
            )
            .order_by(ChequePart.id)
        ).all()

    def payments(self, cheque: Cheque) -> list[int]:
        """The payments in force of a cheque: one, or one of each family."""
        if cheque.payment_id is None:
            return []
        return [cheque.payment_id, *(part.payment_id for part in self.parts(cheque))]

    def bank(self, cheque: Cheque) -> None:
        """Record a cheque that is banked before it is known whose it is: the money is there.

        From that day it stands in the journal, in the régie's other books, and on no family's page.
        """
        if cheque.payment_id is None:
            payment = self._payment(
                cheque, None, (), payer=cheque.issuer, excess=cheque.amount, amount=cheque.amount
            )
            (recorded,) = self._ctx.payments.record_many(cheque.regie, [payment], alone=True)
            cheque.payment_id = recorded.payment_id

    def _payment(
        self,
        cheque: Cheque,
        family_id: int | None,
        split: Sequence[tuple[int, int]],
        *,
        payer: str,
        excess: int,
        amount: int,
        beside: str = "",
    ) -> NewPayment:
        return NewPayment(
            family_id=family_id,
            means=Means.CHEQUE,
            amount=amount,
            paid_at=self._ctx.clock.now(),
            payer=payer,
            shares=split,
            # A second posting after an undoing is another payment, under another key.
            key=f"cheque/{cheque.id}/{cheque.attempt}{beside}",
            note=_("Chèque n° %(number)s %(bank)s")
            % {"number": cheque.number, "bank": cheque.bank},
            excess=excess,
        )

    def reverse(self, cheque: Cheque, reason: str) -> bool:
        """Take the payment back with the same split; False when the cheque has none."""
        if cheque.payment_id is None:
            return False
        for part in self.parts(cheque):
            self._ctx.payments.reverse(part.payment_id, reason=reason)
        self._ctx.payments.reverse(cheque.payment_id, reason=reason)
        cheque.payment_id = None
        return True
