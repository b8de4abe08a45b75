"""A wrong means of payment is put right, while its money is in hand and its month open."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, cast, exists, func, select, update
from sqlalchemy.orm import Session

from core.api.errors import UserError
from core.books.closings import Closings
from core.books.remittances import Remittances
from core.domain.payment_states import PaymentState
from core.journal.service import Journal
from core.payments.ledger import Ledger
from core.payments.models import Allocation, Credit, CreditUse, Payment, PaymentTitle
from core.payments.titles import Titles
from core.platform.audit.service import Audit
from core.platform.clock import today
from core.platform.i18n import gettext as _
from core.platform.means_words import means_label
from core.platform.tenancy.config import TenantConfig
from core.platform.tenancy.means import RegieMeans


@dataclass(frozen=True, slots=True)
class Moved:
    """Cents in hand of one means, before and after a correction."""

    means: str
    before: int
    after: int


class Corrections:
    """Corrections of the means of one town's payments."""

    def __init__(
        self,
        session: Session,
        town: TenantConfig,
        *,
        ledger: Ledger,
        journal: Journal,
        titles: Titles,
        closings: Closings,
        remittances: Remittances,
        audit: Audit,
        ask_plugins: Callable[[str, Mapping[str, Any]], Mapping[str, Any]],
    ) -> None:
        self._session = session
        self._town = town
        self._tenant = town.slug
        self._ledger = ledger
        self._journal = journal
        self._titles = titles
        self._closings = closings
        self._remittances = remittances
        self._audit = audit
        self._ask_plugins = ask_plugins

    def open_to(self, payment: Payment) -> Sequence[RegieMeans]:
        """Means that this payment could have come by instead; none when it cannot be corrected.

        What an online service or a bank told is not for an agent to tell otherwise; what is
        nobody's yet is put right where it came from, as the cheque that it is.
        """
        old = self._town.one_means(payment.regie, payment.means)
        is_told = bool(payment.provider) or payment.family_id is None
        if payment.state != PaymentState.SETTLED or is_told or not old.at_counter:
            return ()
        return [
            one
            for one in self._town.means(payment.regie)
            if one.at_counter and one.means != payment.means
        ]

    def correct(self, payment_id: int, means: str, *, reason: str) -> None:
        """Say that a payment came by other means: the journal, slips and statements follow.

        Invoices, receipt number and family stay as they are. The receipt is printed anew.

        Raises:
            UserError: its month is closed, its money was handed over, the régie or the activities
                do not take that means, or a plugin says no.
        """
        payment = self._session.get_one(
            Payment, (self._tenant, payment_id), populate_existing=True
        )
        if not any(one.means == means for one in self.open_to(payment)):
            raise UserError(_("Ce règlement ne se corrige pas ainsi."))
        answers = self._ask_plugins(
            "means_corrected", {"payment_id": payment_id, "means": means}
        )
        for refusal in filter(None, answers.values()):
            raise UserError(str(refusal)[:400])
        self._ledger.lock(payment_id)
        self._journal.open(payment.regie)  # Nobody closes a month or remits until the end.
        self._still_open(payment)
        self._payable(payment, means)
        if self._town.one_means(payment.regie, means).is_title and self._gave_back(payment_id):
            raise UserError(
                _(
                    "Une partie de ce règlement a été rendue, et la monnaie d’un titre ne se rend "
                    "pas."
                )
            )
        before = payment.means
        if not self._ledger.correct_means(payment_id, before, means):
            raise UserError(_("Ce règlement a changé entre-temps : rechargez la page."))
        self._session.execute(
            update(Payment)
            .where(Payment.tenant_id == self._tenant, Payment.id == payment_id)
            .values(receipt_id=None)
        )
        if not self._town.one_means(payment.regie, means).is_title:
            self._session.execute(
                update(PaymentTitle)
                .where(
                    PaymentTitle.tenant_id == self._tenant, PaymentTitle.payment_id == payment_id
                )
                .values(live=False)
            )
        self._audit.write(
            "payment.means_corrected", f"payment:{payment_id}", means=means, before=before,
            reason=reason,
        )  # fmt: skip
        self._session.expire(payment)

    def look(self, payment_id: int, means: str) -> list[Moved]:
        """Changes of the till by a correction; nothing is done.

        Raises:
            UserError: as `correct` would.
        """
        regie = self._session.get_one(Payment, (self._tenant, payment_id)).regie
        before = self._held(regie)
        nested = self._session.begin_nested()
        try:
            self.correct(payment_id, means, reason="")
            after = self._held(regie)
        finally:
            nested.rollback()
        return [
            Moved(name, before.get(name, 0), after.get(name, 0))
            for name in sorted({*before, *after})
            if before.get(name, 0) != after.get(name, 0)
        ]

    def _held(self, regie: str) -> dict[str, int]:
        return {one.means: one.held for one in self._remittances.in_hand(regie)}

    def _gave_back(self, payment_id: int) -> bool:
        """Tell whether money that was too much went back to the family."""
        refund = exists().where(
            Credit.tenant_id == self._tenant,
            Credit.payment_id == payment_id,
            CreditUse.tenant_id == Credit.tenant_id,
            CreditUse.credit_id == Credit.id,
            CreditUse.invoice_id.is_(None),
            CreditUse.reversed_at.is_(None),
        )
        return bool(self._session.scalar(select(refund)))

    def _still_open(self, payment: Payment) -> None:
        settled = payment.settled_at
        if settled is not None and self._closings.is_closed(payment.regie, today(settled)):
            raise UserError(
                _("Le mois de ce règlement est arrêté : son moyen ne se corrige plus.")
            )
        # By its means of now: entries that a correction set to nothing may have left with others.
        places = self._remittances.places([payment.id], payment.means)
        if places.get(payment.id):
            raise UserError(
                _("Ce règlement est versé (%s) : son moyen ne se corrige plus.")
                % places[payment.id]
            )

    def _payable(self, payment: Payment, means: str) -> None:
        """Refuse a title for activities that it may not pay."""
        cents = cast(func.sum(Allocation.amount), BigInteger).label("cents")
        shares = {
            row.invoice_id: row.cents
            for row in self._session.execute(
                select(Allocation.invoice_id, cents)
                .where(
                    Allocation.tenant_id == self._tenant,
                    Allocation.payment_id == payment.id,
                    Allocation.reversed_at.is_(None),
                )
                .group_by(Allocation.invoice_id)
            )
        }
        caps = self._titles.payable(payment.regie, means, list(shares))
        if caps is None:
            return
        # What it pays now is counted as paid where the two means pay the same activities.
        names = self._titles.names
        own = names(payment.regie, payment.means) & names(payment.regie, means)
        for invoice_id, paid in shares.items():
            if paid > caps.get(invoice_id, 0) + (paid if own else 0):
                raise UserError(
                    _("%s ne paient pas les prestations de ces factures, ou pas toutes.")
                    % means_label(means)
                )
