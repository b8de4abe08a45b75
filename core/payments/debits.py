"""Recurring direct debits: what the bank took, noted in bulk, and what it sent back.

The trésorerie or the bank debits by a file of its own. An invoice under debit is collected on its
due date; nothing is known of it here before an agent notes that the bank took it, or sent it back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any

from sqlalchemy import and_, func, select, update
from sqlalchemy.orm import Session

from core.api.context import Clock
from core.api.errors import UserError
from core.api.payments import Means
from core.domain.direct_debits import RejectReason
from core.domain.payment_states import PaymentState
from core.families.models import Family
from core.invoices.lists import invoice_rows
from core.invoices.models import Invoice
from core.invoices.service import is_under_debit
from core.payments.debit_words import reject_words
from core.payments.ledger import Ledger, balance_due
from core.payments.models import Allocation, Payment, PaymentItem, is_held
from core.payments.service import Payments
from core.platform.audit.service import Audit
from core.platform.clock import PARIS, today
from core.platform.db.paging import Page, read_page
from core.platform.i18n import gettext as _
from core.platform.tenancy.config import TenantConfig

MOST_AT_ONCE = 200
"""Invoices of a page, which are noted in one transaction."""
NOON = time(12)


@dataclass(frozen=True, slots=True)
class DebitDay:
    """The invoices of a régie that are debited on one day. Cents."""

    regie: str
    day: date
    count: int
    cents: int


@dataclass(frozen=True, slots=True)
class Settled:
    """Debits that one act noted: number and cents; `left_out` were no longer to be noted."""

    count: int
    cents: int
    left_out: int


class Debits:
    """The recurring direct debits of one town."""

    def __init__(
        self,
        session: Session,
        town: TenantConfig,
        clock: Clock,
        *,
        ledger: Ledger,
        payments: Payments,
        audit: Audit,
    ) -> None:
        self._session = session
        self._town = town
        self._tenant = town.slug
        self._clock = clock
        self._ledger = ledger
        self._payments = payments
        self._audit = audit

    def days(self) -> Sequence[DebitDay]:
        """Debits that wait to be noted, by day and régie, the oldest first."""
        rows = self._session.execute(
            select(Invoice.regie, Invoice.due_on, func.count(), func.sum(Invoice.left))
            .where(Invoice.tenant_id == self._tenant, is_under_debit())
            .group_by(Invoice.regie, Invoice.due_on)
            .order_by(Invoice.due_on, Invoice.regie)
        )
        return [DebitDay(regie, day, count, int(cents)) for regie, day, count, cents in rows]

    def waiting(self, regie: str, day: date, *, before: int | None = None) -> Page:
        """The invoices of a day, with family and `left`, page by page."""
        query = invoice_rows(self._tenant).where(
            Invoice.regie == regie, Invoice.due_on == day, is_under_debit()
        )
        if before is not None:
            query = query.where(Invoice.id < before)
        return read_page(
            self._session,
            query.order_by(Invoice.id.desc()),
            MOST_AT_ONCE,
            lambda row: row.Invoice.id,
        )

    def noted(self, regie: str, day: date) -> Sequence[Any]:
        """The debits of a day that were noted, with family: there a rejection is noted."""
        return self._session.execute(
            select(Payment, Family)
            .join(
                Family,
                and_(Family.tenant_id == Payment.tenant_id, Family.id == Payment.family_id),
            )
            .join(
                PaymentItem,
                and_(
                    PaymentItem.tenant_id == Payment.tenant_id,
                    PaymentItem.payment_id == Payment.id,
                ),
            )
            .join(
                Invoice,
                and_(
                    Invoice.tenant_id == PaymentItem.tenant_id,
                    Invoice.id == PaymentItem.invoice_id,
                ),
            )
            .where(
                Payment.tenant_id == self._tenant,
                Payment.regie == regie,
                Payment.means == Means.DIRECT_DEBIT,
                Invoice.due_on == day,
            )
            .order_by(Payment.id.desc())
            .limit(MOST_AT_ONCE)
        ).all()

    def settle(self, regie: str, invoice_ids: Sequence[int], *, debited_on: date) -> Settled:
        """Note that the bank took what is left of these invoices: each once, whatever is asked.

        What is no longer to be debited (paid, withdrawn, being paid) is passed over and counted.

        Raises:
            UserError: the trésorerie collects this régie, the day has not come, or lies before an
                invoice.
        """
        if not self._town.collects(regie):
            raise UserError(
                _("La trésorerie encaisse cette régie : le règlement ne se saisit pas ici.")
            )
        now = self._clock.now()
        if debited_on > today(now):
            raise UserError(_("Cette date n’est pas encore venue."))
        locked = self._ledger.lock_invoices(invoice_ids)
        names = self._names({invoice.family_id for invoice in locked.values()})
        paid_at = now if debited_on == today(now) else datetime.combine(debited_on, NOON, PARIS)
        count = cents = 0
        for invoice in locked.values():
            left = balance_due(invoice.state, invoice.left)
            if (
                invoice.regie != regie
                or not invoice.direct_debit
                or left <= 0
                or self._session.scalar(select(is_held(self._tenant, invoice.id)))
            ):
                continue
            if debited_on < invoice.issued_on:
                raise UserError(_("À cette date, une facture choisie n’était pas encore émise."))
            done = self._payments.settled(
                regie=regie,
                family_id=invoice.family_id,
                means=Means.DIRECT_DEBIT,
                amount=left,
                paid_at=paid_at,
                payer=names[invoice.family_id],
                shares=[(invoice.id, left)],
                key=f"debit/{invoice.id}/{debited_on}/{self._returned(invoice.id)}",
            )
            if done is not None:
                count += 1
                cents += left
        if count:
            self._audit.write(
                "debits.settled",
                f"regie:{regie}",
                day=debited_on.isoformat(),
                count=count,
                amount=cents,
            )
        return Settled(count, cents, len(set(invoice_ids)) - count)

    def reject(self, payment_id: int, reason: RejectReason) -> None:
        """Note that the bank sent a debit back: the family is told why, and pays otherwise.

        Raises:
            UserError: it is no debit that was noted, or it came back already.
        """
        payment = self._payments.row(payment_id)
        if payment.means != Means.DIRECT_DEBIT:
            raise UserError(_("Ce paiement n’est pas un prélèvement de la régie."))
        words = _("prélèvement rejeté, %(reason)s (%(code)s)") % {
            "reason": reject_words()[reason],
            "code": reason.value,
        }
        if not self._ledger.reverse(payment_id, reason=words):
            raise UserError(_("Ce paiement n’est pas, ou plus, encaissé."))
        # Locked by the line above.
        self._session.execute(
            update(Invoice)
            .where(
                Invoice.tenant_id == self._tenant,
                Invoice.id.in_(
                    select(PaymentItem.invoice_id).where(
                        PaymentItem.tenant_id == self._tenant,
                        PaymentItem.payment_id == payment_id,
                    )
                ),
            )
            .values(direct_debit=False)
        )
        self._audit.write("payment.rejected", f"payment:{payment_id}", reason=words)

    def _names(self, family_ids: set[int]) -> dict[int, str]:
        rows = self._session.execute(
            select(Family.id, Family.name, Family.code).where(
                Family.tenant_id == self._tenant, Family.id.in_(family_ids)
            )
        )
        return {row.id: row.name or row.code for row in rows}

    def _returned(self, invoice_id: int) -> int:
        """Number of an invoice's debits that came back: one debited anew is another payment."""
        return self._session.scalars(
            select(func.count())
            .select_from(Allocation)
            .join(
                Payment,
                and_(
                    Payment.tenant_id == Allocation.tenant_id,
                    Payment.id == Allocation.payment_id,
                ),
            )
            .where(
                Allocation.tenant_id == self._tenant,
                Allocation.invoice_id == invoice_id,
                Payment.means == Means.DIRECT_DEBIT,
                Payment.state == PaymentState.REVERSED,
            )
        ).one()
