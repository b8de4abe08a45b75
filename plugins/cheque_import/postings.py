"""A cheque becomes a payment, or a payment is taken back. Money moves nowhere else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from sqlalchemy import select

from core.plugin import InvoiceInfo, Means, Recorded, TenantContext, UserError
from core.plugin import gettext as _
from plugins.cheque_import import history, validity
from plugins.cheque_import.matcher.explain import euros
from plugins.cheque_import.models import PENDING, Cheque, ChequePart, ChequeState
from plugins.cheque_import.settings import ChequeSettings

Shares = Sequence[Sequence[int]]
"""(invoice id, cents), as proposals keep them."""


class Postings:
    """Posts and reverses cheques of one town through ``ctx.payments``."""

    def __init__(self, ctx: TenantContext, settings: ChequeSettings) -> None:
        self._ctx = ctx
        self._settings = settings
        self._held: dict[int, InvoiceInfo] = {}
        self._taken: dict[int, int] = defaultdict(int)

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
        payer = cheque.issuer
        if not payer:
            family = self._ctx.families.get(family_id)
            payer = family.name if family else ""
        own, others = self._by_family(family_id, shares)
        before = self.payments(cheque)
        if others and cheque.payment_id is not None:
            # One payment of nobody yet becomes one of each: it goes out as they come in.
            self._ctx.payments.reverse(
                cheque.payment_id, reason=_("Recette classée sur plusieurs familles")
            )
            cheque.payment_id, cheque.attempt = None, cheque.attempt + 1
        amount = cheque.amount - sum(cents for part in others.values() for _id, cents in part)
        # What was looked at is held still; this stands if it ever were not.
        left = amount - sum(cents for _invoice, cents in own)
        if cheque.payment_id is not None:  # Banked before it was known whose it is.
            recorded = self._ctx.payments.classify(
                cheque.payment_id, family_id=family_id, shares=own, excess=left, alone=True
            )
        else:
            recorded = self._record(
                cheque, family_id, own, payer=payer, excess=left, amount=amount
            )
        for other, part in others.items():
            share = self._record(
                cheque, other, part, payer=payer, excess=0,
                amount=sum(cents for _invoice, cents in part), beside=f"/{other}",
            )  # fmt: skip
            self._ctx.session.add(
                ChequePart(
                    tenant_id=self._ctx.town.slug, cheque_id=cheque.id, attempt=cheque.attempt,
                    payment_id=share.payment_id, family_id=other,
                )
            )  # fmt: skip
        for invoice, cents in shares:
            self._taken[invoice] += cents
        cheque.state, cheque.why = ChequeState.ACCEPTED, ""
        cheque.family_id, cheque.payment_id = family_id, recorded.payment_id
        if before and before != [cheque.payment_id]:
            self._ctx.session.flush()
            self._ctx.remittances.replace(before, self.payments(cheque))
        return {
            "payment": recorded.payment_id, "family": family_id,
            "shares": [list(share) for share in shares], "excess": recorded.excess,
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
        own = [] if cheque.payment_id is None else [cheque.payment_id]
        return own + [part.payment_id for part in self.parts(cheque)]

    def bank(self, cheque: Cheque) -> None:
        """Record a cheque that is banked before it is known whose it is: the money is there.

        From that day it stands in the journal, in the régie's other books, and on no family's page.
        """
        if cheque.payment_id is None:
            recorded = self._record(
                cheque, None, (), payer=cheque.issuer, excess=cheque.amount, amount=cheque.amount
            )
            cheque.payment_id = recorded.payment_id

    def _record(
        self,
        cheque: Cheque,
        family_id: int | None,
        split: Sequence[tuple[int, int]],
        *,
        payer: str,
        excess: int,
        amount: int,
        beside: str = "",
    ) -> Recorded:
        return self._ctx.payments.record(
            regie=cheque.regie,
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
            alone=True,
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
