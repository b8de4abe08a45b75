"""The office's lists: invoices, payments, families, the trail, and effects that died.

Everything here reads, but for `retry`. Lists are paged by key, so that the last page of a million
rows costs what the first one does.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, select, text, tuple_, update
from sqlalchemy.orm import Session

from core.api.context import Clock
from core.api.errors import UserError
from core.families.models import ContactEmail, Family
from core.invoices.models import Invoice
from core.invoices.service import is_due
from core.payments.models import Allocation, Payment, PaymentAnswer, PaymentItem
from core.platform.audit.models import AuditEntry
from core.platform.audit.service import Audit
from core.platform.errors import NotFoundError
from core.platform.i18n import gettext as _
from core.platform.outbox.models import OutboxRow, OutboxState
from core.platform.outbox.service import CHANNEL
from core.platform.templating import PARIS
from core.platform.tenancy.config import TenantConfig

PAGE = 50


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of a list, and the key to ask for those that follow (None: these are the last)."""

    rows: Sequence[Any]
    more: int | None


class Desk:
    """One town as its agents see it."""

    def __init__(self, session: Session, town: TenantConfig, clock: Clock, audit: Audit) -> None:
        self._session = session
        self._town = town
        self._tenant = town.slug
        self._clock = clock
        self._audit = audit

    # --- Lists -------------------------------------------------------------------------------

    def invoices(
        self,
        *,
        state: str = "",
        regie: str = "",
        family_id: int | None = None,
        batch_id: int | None = None,
        unpaid: bool = False,
        overpaid: bool = False,
        before: int | None = None,
        limit: int = PAGE,
    ) -> Page:
        """Invoices with their family and what is left of them, the newest first.

        `overpaid`: those that were paid before a credit note came, so that money is to go back.
        """
        query = invoice_rows(self._tenant)
        if state:
            query = query.where(Invoice.state == state)
        if regie:
            query = query.where(Invoice.regie == regie)
        if family_id is not None:
            query = query.where(Invoice.family_id == family_id)
        if batch_id is not None:
            query = query.where(Invoice.batch_id == batch_id)
        if unpaid:
            query = query.where(is_due())
        if overpaid:
            query = query.where(Invoice.credited > 0, Invoice.left < 0, Invoice.paid > 0)
        if before is not None:
            query = query.where(Invoice.id < before)
        return self._page(query.order_by(Invoice.id.desc()), limit, lambda row: row.Invoice.id)

    def payments(
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
        limit: int = PAGE,
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
        return self._page(query, limit, lambda row: row.Payment.id)

    def payment(self, payment_id: int) -> Payment:
        """One payment, whatever its state and family.

        Raises:
            NotFoundError: there is none.
        """
        payment = self._session.get(Payment, (self._tenant, payment_id), populate_existing=True)
        if payment is None:
            raise NotFoundError
        return payment

    def payments_of(self, invoice_id: int) -> Sequence[Any]:
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
        """What the provider said of a payment, in order."""
        return self._session.scalars(
            select(PaymentAnswer)
            .where(PaymentAnswer.tenant_id == self._tenant, PaymentAnswer.payment_id == payment_id)
            .order_by(PaymentAnswer.id)
        ).all()

    def families(self, *, name: str = "", after: str = "") -> Sequence[Family]:
        """Families by code, those whose name holds `name`; the page after the code `after`."""
        query = select(Family).where(
            Family.tenant_id == self._tenant, Family.merged_into.is_(None), Family.code > after
        )
        if name:
            query = query.where(named(name))
        return self._session.scalars(query.order_by(Family.code).limit(PAGE + 1)).all()

    def audit(
        self,
        *,
        actor: str = "",
        subject: str = "",
        action: str = "",
        before: int | None = None,
        limit: int = PAGE,
    ) -> Page:
        """The audit trail, the newest first."""
        query = select(AuditEntry).where(AuditEntry.tenant_id == self._tenant)
        if actor:
            query = query.where(AuditEntry.actor == actor)
        if subject:
            query = query.where(AuditEntry.subject == subject)
        if action:
            query = query.where(AuditEntry.action == action)
        if before is not None:
            query = query.where(AuditEntry.id < before)
        page = self._page(query.order_by(AuditEntry.id.desc()), limit, lambda row: row[0].id)
        return Page([row[0] for row in page.rows], page.more)

    def refused_addresses(self) -> Sequence[Any]:
        """Addresses that refuse mail, with their family."""
        return self._session.execute(
            select(ContactEmail, Family)
            .join(
                Family,
                and_(
                    Family.tenant_id == ContactEmail.tenant_id,
                    Family.id == ContactEmail.family_id,
                ),
            )
            .where(ContactEmail.tenant_id == self._tenant, ContactEmail.refused_at.is_not(None))
            .order_by(ContactEmail.refused_at.desc())
            .limit(PAGE)
        ).all()

    def _page(self, query: Select[*tuple[Any, ...]], limit: int, key: Any) -> Page:
        rows = self._session.execute(query.limit(limit + 1)).all()
        more = key(rows[limit - 1]) if len(rows) > limit else None
        return Page(rows[:limit], more)

    # --- Effects that died -------------------------------------------------------------------

    def dead(self) -> Sequence[OutboxRow]:
        """Effects that were given up, the newest first."""
        return self._session.scalars(
            select(OutboxRow)
            .where(OutboxRow.tenant_id == self._tenant, OutboxRow.state == OutboxState.DEAD)
            .order_by(OutboxRow.created_at.desc())
            .limit(PAGE)
        ).all()

    def dead_ids(self, topic: str = "") -> list[uuid.UUID]:
        """The numbers of a page of them, of one `topic` if it is given."""
        wanted = [OutboxRow.topic == topic] if topic else []
        return list(
            self._session.scalars(
                select(OutboxRow.id)
                .where(
                    OutboxRow.tenant_id == self._tenant,
                    OutboxRow.state == OutboxState.DEAD,
                    *wanted,
                )
                .limit(PAGE)
            )
        )

    def retry(self, row_id: uuid.UUID) -> None:
        """Try a dead effect again, from its first attempt.

        Raises:
            UserError: it is not dead (any more).
        """
        row = self._session.execute(
            update(OutboxRow)
            .where(
                OutboxRow.tenant_id == self._tenant,
                OutboxRow.id == row_id,
                OutboxRow.state == OutboxState.DEAD,
            )
            .values(state=OutboxState.READY, attempts=0, available_at=self._clock.now())
            .returning(OutboxRow.topic)
        ).one_or_none()
        if row is None:
            raise UserError(_("Cet envoi a déjà été relancé."))
        self._session.execute(text(f"SELECT pg_notify('{CHANNEL}', '')"))
        self._audit.write("outbox.retried", f"outbox:{row_id}", topic=row.topic)


def invoice_rows(tenant: str) -> Select[Invoice, Family, int]:
    """SQL: invoices of a town, each with its family and the cents that are `left` of it.

    To be read beside the row: what a session holds of an invoice may be older.
    """
    return (
        select(Invoice, Family, Invoice.left.label("left"))
        .join(
            Family, and_(Family.tenant_id == Invoice.tenant_id, Family.id == Invoice.family_id)
        )
        .where(Invoice.tenant_id == tenant)
    )


def payment_rows(tenant: str) -> Select[Payment, Family]:
    """SQL: payments of a town, each with its family."""
    return (
        select(Payment, Family)
        .join(
            Family, and_(Family.tenant_id == Payment.tenant_id, Family.id == Payment.family_id)
        )
        .where(Payment.tenant_id == tenant)
    )


def named(typed: str) -> ColumnElement[bool]:
    """SQL: the family's name holds what was typed, in any case."""
    return Family.name.icontains(typed.strip(), autoescape=True)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), PARIS)
