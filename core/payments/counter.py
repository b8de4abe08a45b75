"""The counter: all that a family gives in one visit, by several means, is recorded at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.api.errors import UserError
from core.api.payments import Means
from core.domain.allocation import Due
from core.domain.tenders import Taken, Tender, cash_is_too_much, settle
from core.invoices.locks import balance_due, lock_invoices
from core.payments.models import Payment, in_same_visit
from core.payments.service import Payments
from core.payments.titles import Titles
from core.platform.audit.service import Audit
from core.platform.i18n import gettext as _
from core.platform.means_words import means_label
from core.platform.templating import money
from core.platform.tenancy.config import TenantConfig
from core.platform.tenancy.means import RegieMeans


@dataclass(frozen=True, slots=True)
class Given:
    """Cents that were given by one means, as an agent typed them."""

    means: str
    amount: int
    note: str = ""
    titles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Visit:
    """Payments that one visit brought, and the cents of change to give back."""

    payment_ids: tuple[int, ...]
    change: int = 0


class CashLimitError(UserError):
    """Refusal of cash for a debt that is too large; a person may confirm an exception."""


class Desk:
    """The counters of one town's régies."""

    def __init__(
        self,
        session: Session,
        town: TenantConfig,
        *,
        payments: Payments,
        titles: Titles,
        audit: Audit,
    ) -> None:
        self._session = session
        self._town = town
        self._payments = payments
        self._titles = titles
        self._audit = audit

    def take(
        self,
        *,
        regie: str,
        family_id: int,
        invoice_ids: Sequence[int],
        given: Sequence[Given],
        paid_at: datetime,
        payer: str,
        key: str,
        keep: bool = False,
        exception: bool = False,
    ) -> Visit:
        """Record what was given for these invoices, the first of them first.

        `keep`: what is too much stays with the régie as a credit of the family. `exception`: cash
        is taken beyond the limit, and the trail says so. The same `key` again does nothing.

        Raises:
            UserError: the régie does not take a means, a title may not pay this, too much was
                given and nobody confirmed it, or a title was taken before.
        """
        listed = self._listed(regie, given)
        invoices = lock_invoices(self._session, self._town.slug, invoice_ids)
        # Only now: the same form sent twice at once waits above, and then finds the first.
        known = self._known(key)
        if known is not None:
            return known
        dues = [
            Due(one, balance_due(invoices[one].state, invoices[one].left))
            for one in invoice_ids
            if one in invoices and invoices[one].regie == regie
        ]
        ids = [due.invoice_id for due in dues]
        tenders = [
            Tender(
                one.amount,
                is_cash=means.kind is Means.CASH,
                pays=self._titles.payable(regie, means.means, ids),
                names=self._titles.names(regie, means.means),
            )
            for one, means in zip(given, listed, strict=True)
        ]
        taken = settle(tenders, dues, keep=keep)
        for means, tender, part in zip(listed, tenders, taken, strict=True):
            _check(means, tender, part, keep=keep)
        is_exception = self._look_at_cash(listed, tenders, taken, exception=exception)
        found = [
            self._payments.record(
                regie=regie,
                family_id=family_id,
                means=one.means,
                amount=part.kept,
                paid_at=paid_at,
                payer=payer,
                shares=[(share.invoice_id, share.amount) for share in part.shares],
                key=f"{key}/{number}" if number else key,
                note=one.note,
                excess=part.excess,
                visit=key if len(given) > 1 else "",
                tendered=one.amount if part.change else None,
            ).payment_id
            for number, (one, part) in enumerate(zip(given, taken, strict=True))
        ]
        self._titles.note(
            (payment_id, number)
            for payment_id, one in zip(found, given, strict=True)
            for number in one.titles
        )
        if is_exception:
            self._audit.write("payment.cash_exception", f"payment:{found[0]}")
        return Visit(tuple(found), sum(part.change for part in taken))

    def of_visit(self, payment: Payment) -> Sequence[Payment]:
        """The other payments that came in the same visit."""
        return self._session.scalars(
            select(Payment).where(in_same_visit(payment)).order_by(Payment.id)
        ).all()

    def _listed(self, regie: str, given: Sequence[Given]) -> list[RegieMeans]:
        takes = {one.means: one for one in self._town.means(regie) if one.at_counter}
        if not given:
            raise UserError(_("Saisissez un montant, comme 56,87."))
        for one in given:
            if one.means not in takes:
                raise UserError(
                    _("Cette régie ne prend pas ce moyen de paiement : %s.")
                    % means_label(one.means)
                )
            if one.amount <= 0:
                raise UserError(_("Saisissez un montant, comme 56,87."))
            if one.titles and not takes[one.means].is_title:
                raise UserError(
                    _("Ce moyen n’a pas de numéros de titres : %s.") % means_label(one.means)
                )
        if sum(one.means == Means.CASH for one in given) > 1:
            raise UserError(_("Les espèces sont saisies deux fois."))
        return [takes[one.means] for one in given]

    def _known(self, key: str) -> Visit | None:
        first = self._payments.recorded(key)
        if first is None:
            return None
        payment = self._payments.row(first)
        found = (payment, *self.of_visit(payment))
        change = sum(one.tendered - one.amount for one in found if one.tendered is not None)
        return Visit(tuple(one.id for one in found), change)

    def _look_at_cash(
        self,
        listed: Sequence[RegieMeans],
        tenders: Sequence[Tender],
        taken: Sequence[Taken],
        *,
        exception: bool,
    ) -> bool:
        """Tell if cash is taken for a debt that is too large, as an agent confirmed."""
        limit = min((one.limit for one in listed if one.kind is Means.CASH), default=0)
        if not cash_is_too_much(tenders, taken, limit * 100):
            return False
        if exception:
            return True
        raise CashLimitError(
            _(
                "Les espèces ne paient pas une dette de plus de %(limit)s ; celle-ci est de "
                "%(debt)s (article 1680 du code général des impôts)."
            )
            % {"limit": money(limit * 100), "debt": money(sum(one.kept for one in taken))}
        )


def _check(means: RegieMeans, tender: Tender, taken: Taken, *, keep: bool) -> None:
    label = means_label(means.means)
    if tender.pays is not None and not taken.shares:
        raise UserError(_no_title(means, label))
    if not taken.kept:
        raise UserError(
            _("Il ne reste rien à payer par ce moyen : %s. Retirez ce montant.") % label
        )
    if not taken.excess or keep:
        return
    if means.is_title:
        raise UserError(
            _(
                "%(label)s : %(excess)s de trop, et la monnaie n’est pas rendue. Rendez un titre, "
                "ou cochez « Garder le reste en avoir »."
            )
            % {"label": label, "excess": money(taken.excess)}
            + (f" {_no_title(means, label)}" if tender.pays is not None else "")
        )
    raise UserError(
        _("Le montant dépasse les factures choisies : cochez « Garder le reste en avoir ».")
    )


def _no_title(means: RegieMeans, label: str) -> str:
    return _("%(label)s ne paient ici que : %(activities)s.") % {
        "label": label,
        "activities": ", ".join(means.activities),
    }
