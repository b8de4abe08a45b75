"""The office's lists and figures: what came in, what waits for a person, and finding things.

Everything here reads, but for `retry`. Lists are paged by key, so that the last page of a million
rows costs what the first one does.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, or_, select, text, update
from sqlalchemy.orm import Session

from core.api.context import Clock
from core.api.errors import UserError
from core.clock import today
from core.domain import access_codes
from core.domain.money import AmountError, parse_amount
from core.domain.payment_states import PaymentState
from core.i18n import gettext as _
from core.models import (
    Allocation,
    AuditEntry,
    ContactEmail,
    Family,
    ImportBatch,
    Invoice,
    InvoiceState,
    OutboxRow,
    OutboxState,
    Payment,
    PaymentAnswer,
    PaymentItem,
)
from core.services.audit import Audit
from core.services.errors import NotFoundError
from core.services.invoices import paid_amount
from core.services.outbox import CHANNEL
from core.templating import PARIS
from core.tenancy.config import TenantConfig

PAGE = 50
FOUND = 20
"""How many of each kind a search shows."""


@dataclass(frozen=True, slots=True)
class Sum:
    """How many, and what they come to in cents."""

    count: int
    cents: int


@dataclass(frozen=True, slots=True)
class Figures:
    """The dashboard's figures. `due` is what published invoices still ask for, in cents."""

    due: int
    today: Sum
    month: Sum
    anomalies: int
    pending: int
    dead: int
    refused: int
    drafts: int
    """Imports whose invoices wait to be published."""

    @property
    def todo(self) -> int:
        """How many things wait for a person."""
        return self.anomalies + self.dead + self.refused + self.drafts


@dataclass(frozen=True, slots=True)
class Month:
    """What was invoiced (by date of issue) and collected (by date of payment) in a month: cents."""

    first: date
    invoiced: int
    collected: int


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of a list, and the key to ask for those that follow (None: these are the last)."""

    rows: Sequence[Any]
    more: int | None


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found."""

    families: Sequence[Family]
    invoices: Sequence[Any]
    payments: Sequence[Any]

    @property
    def nothing(self) -> bool:
        """Whether nothing was found."""
        return not (self.families or self.invoices or self.payments)


class Desk:
    """One town as its agents see it."""

    def __init__(self, session: Session, town: TenantConfig, clock: Clock, audit: Audit) -> None:
        self._session = session
        self._town = town
        self._tenant = town.slug
        self._clock = clock
        self._audit = audit

    # --- Figures -----------------------------------------------------------------------------

    def figures(self) -> Figures:
        """What the dashboard shows."""
        day = today(self._clock.now())
        return Figures(
            due=self._due(),
            today=self._collected(day),
            month=self._collected(day.replace(day=1)),
            anomalies=self._count(Payment, Payment.anomaly != ""),
            pending=self._count(
                Payment, Payment.state.in_((PaymentState.CREATED, PaymentState.PENDING))
            ),
            dead=self._count(OutboxRow, OutboxRow.state == OutboxState.DEAD),
            refused=self._count(ContactEmail, ContactEmail.refused_at.is_not(None)),
            drafts=self._count(
                ImportBatch, ImportBatch.published_at.is_(None), ImportBatch.undone_at.is_(None)
            ),
        )

    def months(self, count: int = 12) -> list[Month]:
        """The last months, this one included, in order."""
        here = today(self._clock.now()).replace(day=1)
        firsts = [here]
        while len(firsts) < count:
            year, month = firsts[0].year, firsts[0].month
            firsts.insert(0, date(year - (month == 1), (month - 2) % 12 + 1, 1))
        invoiced = self._by_month(
            func.date_trunc("month", Invoice.issued_on),
            func.sum(Invoice.amount),
            Invoice.tenant_id == self._tenant,
            Invoice.state.in_((InvoiceState.PUBLISHED, InvoiceState.HANDED_OVER)),
            Invoice.issued_on >= firsts[0],
        )
        collected = self._by_month(
            func.date_trunc("month", func.timezone("Europe/Paris", Payment.paid_at)),
            func.sum(Payment.amount),
            Payment.tenant_id == self._tenant,
            Payment.state == PaymentState.SETTLED,
            Payment.paid_at >= _midnight(firsts[0]),
        )
        return [Month(day, invoiced.get(day, 0), collected.get(day, 0)) for day in firsts]

    def _due(self) -> int:
        asked = self._session.scalar(
            select(func.coalesce(func.sum(Invoice.amount), 0)).where(
                Invoice.tenant_id == self._tenant,
                Invoice.state == InvoiceState.PUBLISHED,
                Invoice.kind == "facture",
            )
        )
        paid = self._session.scalar(
            select(func.coalesce(func.sum(Allocation.amount), 0))
            .join(
                Invoice,
                and_(
                    Invoice.tenant_id == Allocation.tenant_id, Invoice.id == Allocation.invoice_id
                ),
            )
            .where(
                Allocation.tenant_id == self._tenant,
                Allocation.reversed_at.is_(None),
                Invoice.state == InvoiceState.PUBLISHED,
                Invoice.kind == "facture",
            )
        )
        return int((asked or 0) - (paid or 0))

    def _collected(self, since: date) -> Sum:
        count, cents = self._session.execute(
            select(func.count(), func.coalesce(func.sum(Payment.amount), 0)).where(
                Payment.tenant_id == self._tenant,
                Payment.state == PaymentState.SETTLED,
                Payment.paid_at >= _midnight(since),
            )
        ).one()
        return Sum(count, int(cents))

    def _by_month(
        self, month: ColumnElement[Any], amount: ColumnElement[Any], *conditions: Any
    ) -> dict[date, int]:
        rows = self._session.execute(select(month, amount).where(*conditions).group_by(month))
        return {first.date(): int(cents) for first, cents in rows}

    def _count(self, model: Any, *conditions: Any) -> int:
        return self._session.scalars(
            select(func.count())
            .select_from(model)
            .where(model.tenant_id == self._tenant, *conditions)
        ).one()

    # --- Lists -------------------------------------------------------------------------------

    def invoices(
        self,
        *,
        state: str = "",
        regie: str = "",
        family_id: int | None = None,
        batch_id: int | None = None,
        unpaid: bool = False,
        before: int | None = None,
        limit: int = PAGE,
    ) -> Page:
        """Invoices with their family and what was paid, the newest first."""
        paid = paid_amount()
        query = self._invoices(paid)
        if state:
            query = query.where(Invoice.state == state)
        if regie:
            query = query.where(Invoice.regie == regie)
        if family_id is not None:
            query = query.where(Invoice.family_id == family_id)
        if batch_id is not None:
            query = query.where(Invoice.batch_id == batch_id)
        if unpaid:
            query = query.where(
                Invoice.state == InvoiceState.PUBLISHED,
                Invoice.kind == "facture",
                Invoice.amount > paid,
            )
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
        query = self._payments()
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
        if before is not None:
            query = query.where(Payment.id < before)
        return self._page(query.order_by(Payment.id.desc()), limit, lambda row: row.Payment.id)

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
        query = select(Family).where(Family.tenant_id == self._tenant, Family.code > after)
        if name:
            query = query.where(_named(name))
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

    # --- Finding -----------------------------------------------------------------------------

    def search(self, typed: str) -> Found:
        """By anything that stands on paper: code, name, number, reference, receipt, amount."""
        typed = typed.strip()
        if not typed:
            return Found((), (), ())
        bare = access_codes.normalise(typed)
        families = self._session.scalars(
            select(Family)
            .where(Family.tenant_id == self._tenant, or_(Family.code == bare, _named(typed)))
            .order_by(Family.code != bare, Family.name, Family.id)
            .limit(FOUND)
        ).all()
        invoice: list[ColumnElement[bool]] = [
            Invoice.number == typed,
            Invoice.payment_reference == typed,
        ]
        payment: list[ColumnElement[bool]] = [
            Payment.receipt_number == typed,
            Payment.provider_reference == typed,
        ]
        try:
            cents = parse_amount(typed)
        except AmountError:
            pass
        else:
            invoice.append(Invoice.amount == cents)
            payment.append(Payment.amount == cents)
        invoices = self._invoices(paid_amount()).where(or_(*invoice))
        payments = self._payments().where(or_(*payment))
        return Found(
            families,
            self._session.execute(invoices.order_by(Invoice.id.desc()).limit(FOUND)).all(),
            self._session.execute(payments.order_by(Payment.id.desc()).limit(FOUND)).all(),
        )

    def _invoices(self, paid: ColumnElement[int]) -> Select[Invoice, Family, int]:
        return (
            select(Invoice, Family, paid.label("paid"))
            .join(
                Family,
                and_(Family.tenant_id == Invoice.tenant_id, Family.id == Invoice.family_id),
            )
            .where(Invoice.tenant_id == self._tenant)
        )

    def _payments(self) -> Select[Payment, Family]:
        return (
            select(Payment, Family)
            .join(
                Family,
                and_(Family.tenant_id == Payment.tenant_id, Family.id == Payment.family_id),
            )
            .where(Payment.tenant_id == self._tenant)
        )

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


def _named(typed: str) -> ColumnElement[bool]:
    """SQL: the family's name holds what was typed, in any case."""
    return Family.name.icontains(typed.strip(), autoescape=True)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), PARIS)
