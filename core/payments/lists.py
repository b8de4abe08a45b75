"""Lists of payments for agents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, select
from sqlalchemy.orm import Session

from core.domain.payment_states import PaymentState
from core.families.models import Family
from core.invoices.models import Invoice
from core.payments.models import Allocation, Payment, PaymentAnswer, PaymentItem
from core.platform.clock import on_days
from core.platform.db.paging import (
    PAGE_ROWS,
    Narrowing,
    Page,
    Total,
    below,
    read_page,
    total,
    within,
)
from core.platform.errors import NotFoundError

AMOUNT = "montant"
"""A way to sort."""


class PaymentList:
    """The payments of one tenant, page by page, and what belongs to one of them."""

    def __init__(self, session: Session, tenant: str) -> None:
        self._session = session
        self._tenant = tenant

    def page(
        self, asked: Asked | None = None, *, before: int | None = None, limit: int = PAGE_ROWS,
        **changes: Any,
    ) -> Page:
        """Payments with their family, the newest or greatest first."""
        wanted = replace(asked or Asked(), **changes)
        query = payment_rows(self._tenant).where(*wanted.conditions())
        query = below(self._session, query, wanted.order, before)
        return read_page(self._session, query, limit, lambda row: row.Payment.id)

    def total(self, asked: Asked) -> Total:
        """Count the payments of a list, and sum what they come to and what of it came in."""
        query = payment_rows(self._tenant).where(*asked.conditions())
        came = case((Payment.state == PaymentState.SETTLED, Payment.amount), else_=0)
        return total(self._session, query, amount=Payment.amount, settled=came)

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


@dataclass(frozen=True, slots=True)
class Asked(Narrowing):
    """Bounds of a list of payments, and the order: `AMOUNT`; else as they were begun.

    The days are those of recording.
    """

    state: str = ""
    means: str = ""
    anomalies: bool = False

    @property
    def order(self) -> tuple[Any, ...]:
        """Columns that sort, each with an index.

        Between two days by the moment, so that an old day is gone to, not scrolled to.
        """
        if self.has_days:
            return (Payment.settled_at, Payment.id)
        if self.sort == AMOUNT or self.has_cents:
            return (Payment.amount, Payment.id)
        return (Payment.id,)

    def conditions(self) -> list[ColumnElement[bool]]:
        """SQL: which of the payments."""
        found: dict[Any, Any] = {
            Payment.state: self.state or None,
            Payment.regie: self.regie or None,
            Payment.means: self.means or None,
            Payment.family_id: self.family_id,
        }
        conditions = [column == value for column, value in found.items() if value is not None]
        conditions += on_days(Payment.settled_at, self.since, self.until)
        conditions += within(Payment.amount, self.least, self.most)
        if self.anomalies:
            conditions.append(Payment.anomaly != "")
        return conditions


def payment_rows(tenant: str) -> Select[Payment, Family]:
    """SQL: payments of a town, each with its family (None: not known yet)."""
    return (
        select(Payment, Family)
        .outerjoin(
            Family, and_(Family.tenant_id == Payment.tenant_id, Family.id == Payment.family_id)
        )
        .where(Payment.tenant_id == tenant)
    )
