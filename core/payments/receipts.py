"""Receipts, kept as they were first given."""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from core.api.messages import Document
from core.families.addressees import addressee
from core.invoices.files import Files
from core.invoices.models import Invoice
from core.payments.models import Allocation, Credit, Payment, in_same_visit
from core.platform.clock import today
from core.platform.documents.letterhead import letterhead
from core.platform.documents.render import render_receipt
from core.platform.documents.sheets import ReceiptShare, ReceiptSheet, Reversal, Together
from core.platform.errors import PaperLostError
from core.platform.tenancy.config import TenantConfig

log = structlog.get_logger(__name__)


class Receipts:
    """The receipts of one town."""

    def __init__(self, session: Session, town: TenantConfig, files: Files) -> None:
        self._session = session
        self._town = town
        self._tenant = town.slug
        self._files = files

    def of(self, payment: Payment) -> Document:
        """The receipt of a settled payment: kept as first given, and marked once it came back."""
        if payment.receipt_id is not None and payment.reversed_at is None:
            try:
                return self._files.get(payment.receipt_id)
            except PaperLostError:
                # All that it said is in the database: it is given, and kept, once more.
                log.warning("documents.receipt_made_again", payment=payment.id)
        finished = render_receipt(self.sheet(payment))
        if payment.reversed_at is None:
            self._keep(payment, finished)
        return finished

    def sheet(self, payment: Payment) -> ReceiptSheet:
        """All that the receipt says."""
        rows = self._session.execute(
            select(Invoice, Allocation.amount, Allocation.left_due)
            .join(
                Allocation,
                (Allocation.tenant_id == Invoice.tenant_id) & (Allocation.invoice_id == Invoice.id),
            )
            .where(
                Allocation.tenant_id == self._tenant,
                Allocation.payment_id == payment.id,
                # As it was given: what the excess paid later is not part of it.
                or_(
                    Allocation.credit_use_id.is_(None),
                    Allocation.created_at == payment.classified_at,
                ),
            )
            .order_by(Allocation.id)
        ).all()
        excess = self._session.scalar(
            select(Credit.amount).where(
                Credit.tenant_id == self._tenant,
                Credit.payment_id == payment.id,
                Credit.invoice_id.is_(None),
            )
        )
        classified = sum(row.amount for row in rows)
        together = self._session.scalars(
            select(Payment).where(in_same_visit(payment)).order_by(Payment.id)
        ).all()
        left = self._left_after([other.id for other in together])
        return ReceiptSheet(
            town=letterhead(self._town),
            language=payment.language,
            regie=self._town.regie_label(payment.regie),
            number=payment.receipt_number,
            payer=addressee(
                self._session, self._tenant, payment.family_id, payment.payer
            ),
            amount=payment.amount,
            means=payment.means,
            paid_at=payment.paid_at or payment.created_at,
            shares=tuple(
                ReceiptShare(
                    row.Invoice.number, row.Invoice.label, row.amount, row.Invoice.amount,
                    row.Invoice.payment_reference,
                    row.left_due
                    if row.left_due is None
                    else min(row.left_due, left.get(row.Invoice.id, row.left_due)),
                )
                for row in rows
            ),
            together=tuple(
                Together(other.amount, other.means, other.receipt_number) for other in together
            ),
            excess=(excess or 0) - (classified if payment.classified_at else 0),
            authorisation=payment.authorisation,
            payer_reference=payment.payer_reference,
            reversal=(
                Reversal(today(payment.reversed_at), payment.reversal_reason)
                if payment.reversed_at
                else None
            ),
        )  # fmt: skip

    def _left_after(self, payment_ids: Sequence[int]) -> dict[int, int]:
        """Cents that invoices owed after the last of these payments."""
        if not payment_ids:
            return {}
        rows = self._session.execute(
            select(Allocation.invoice_id, func.min(Allocation.left_due).label("left"))
            .where(
                Allocation.tenant_id == self._tenant,
                Allocation.payment_id.in_(payment_ids),
                Allocation.left_due.is_not(None),
            )
            .group_by(Allocation.invoice_id)
        )
        return {row.invoice_id: row.left for row in rows}

    def _keep(self, payment: Payment, finished: Document) -> None:
        document = self._files.add(finished.name, finished.media_type, finished.content)
        # Two first readers at once each render the same bytes; the later one is kept.
        self._session.execute(
            update(Payment)
            .where(Payment.tenant_id == self._tenant, Payment.id == payment.id)
            .values(receipt_id=document.id)
        )
