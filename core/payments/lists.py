"""Lists of payments for agents."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

from sqlalchemy import Select, and_, select, tuple_
from sqlalchemy.orm import Session

from core.families.models import Family
from core.invoices.models import Invoice
from core.payments.models import Allocation, Payment, PaymentAnswer, PaymentItem
from core.platform.clock import PARIS
from core.platform.db.paging import PAGE_ROWS, Page, read_page
from core.platform.errors import NotFoundError


class PaymentList:
    """The payments of one tenant, page by page, and what belongs to one of them."""

    def __init__(self, session: Session, tenant: str) -> None:
        self._session = session
        self._tenant = tenant

    def page(
        self,
        *,
        state: str = "",
        regie: str = "",
        means: str = "",
        family_id: int | None = None,
        since: date | None = None,
        until: date | None = None,
        anomalies: bool = False,
        before: int | None = None,
        limit: int = PAGE_ROWS,
    ) -> Page:
        """Payments with their family, the newest first; `until` is the last day counted."""
        query = payment_rows(self._tenant)
        if state:
            query = query.where(Payment.state == state)
        if regie:
            query = query.where(Payment.regie == regie)
        if means:
            query = query.where(Payment.means == means)
        if family_id is not None:
            query = query.where(Payment.family_id == family_id)
        if since is not None:
            query = query.where(Payment.settled_at >= _midnight(since))
        if until is not None:
            query = query.where(Payment.settled_at < _midnight(until + timedelta(days=1)))
        if anomalies:
            query = query.where(Payment.anomaly != "")
        # By number; between two days by the moment, so that an old day is gone to, not scrolled to.
        order: tuple[Any, ...] = (Payment.id,)
        if since is not None or until is not None:
            order = (Payment.settled_at, Payment.id)
        if before is not None:
            key = select(*order).where(Payment.tenant_id == self._tenant, Payment.id == before)
            last = self._session.execute(key).one_or_none()
            query = query.where(tuple_(*order) < tuple_(*last) if last else Payment.id < before)
        query = query.order_by(*(column.desc() for column in order))
        return read_page(self._session, query, limit, lambda row: row.Payment.id)

    def get(self, payment_id: int) -> Payment:
        """One payment, whatever its state and family.

        Raises:
            NotFoundError: there is none.
        """
        payment = self._session.get(Payment, (self._tenant, payment_id), populate_existing=True)
        if payment is None:
            raise NotFoundError
        return payment

    def of_invoice(self, invoice_id: int) -> Sequence[Any]:
        """The payments that an invoice took money from, with their allocation."""
        return self._session.execute(
            select(Payment, Allocation)
            .join(
                Allocation,
                and_(
                    Allocation.tenant_id == Payment.tenant_id, Allocation.payment_id == Payment.id
                ),
            )
            .where(Allocation.tenant_id == self._tenant, Allocation.invoice_id == invoice_id)
            .order_by(Allocation.id)
        ).all()

    def invoices_of(self, payment_id: int) -> Sequence[Any]:
        """The invoices that a payment was meant for, with what each took of it (or None)."""
        return self._session.execute(
            select(Invoice, PaymentItem, Allocation)
            .join(
                PaymentItem,
                and_(
                    PaymentItem.tenant_id == Invoice.tenant_id,
                    PaymentItem.invoice_id == Invoice.id,
                ),
            )
            .outerjoin(
                Allocation,
                and_(
                    Allocation.tenant_id == PaymentItem.tenant_id,
                    Allocation.payment_id == PaymentItem.payment_id,
                    Allocation.invoice_id == Invoice.id,
                ),
            )
            .where(PaymentItem.tenant_id == self._tenant, PaymentItem.payment_id == payment_id)
            .order_by(PaymentItem.id)
        ).all()

    def answers(self, payment_id: int) -> Sequence[PaymentAnswer]:
        """Answers of the provider about a payment, in order."""
        return self._session.scalars(
            select(PaymentAnswer)
            .where(PaymentAnswer.tenant_id == self._tenant, PaymentAnswer.payment_id == payment_id)
            .order_by(PaymentAnswer.id)
        ).all()


def payment_rows(tenant: str) -> Select[Payment, Family]:
    """SQL: payments of a town, each with its family (None: not known yet)."""
    return (
        select(Payment, Family)
        .outerjoin(
            Family, and_(Family.tenant_id == Payment.tenant_id, Family.id == Payment.family_id)
        )
        .where(Payment.tenant_id == tenant)
    )


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), PARIS)
