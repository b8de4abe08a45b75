"""Debts: of families after the due date, and to families who paid too much."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session

from core.api.context import Clock
from core.books.period import Period
from core.families.models import Family
from core.invoices.handling import ADJUSTED, HANDED_OVER, TAKEN_BACK
from core.invoices.models import Invoice
from core.invoices.service import is_to_pay
from core.payments.models import Credit, Payment, credit_left
from core.platform.audit.models import AuditEntry
from core.platform.clock import today
from core.reminders.models import Reminder

HANDOVER_THRESHOLD_CENTS = 1500
"""Cents below which the trésorerie takes no single debt (CGCT art. D1611-1: 15 €)."""
ONE_DAY = timedelta(days=1)


class Owed:
    """Debts of families to one town's régies, and of the régies to families."""

    def __init__(self, session: Session, tenant: str, clock: Clock) -> None:
        self._session = session
        self._tenant = tenant
        self._clock = clock

    def late(self, period: Period) -> Sequence[Any]:
        """Invoices due before the period's end, with family, reminders and `left` cents.

        Not what a direct debit takes: that is to be noted, as taken or as rejected. Those of a
        debtor stand together, as the trésorerie groups them.
        """
        reminders = (
            select(func.count())
            .select_from(Reminder)
            .where(Reminder.tenant_id == Invoice.tenant_id, Reminder.invoice_id == Invoice.id)
            .correlate(Invoice)
            .scalar_subquery()
        )
        return self._session.execute(
            select(
                Invoice,
                Family,
                Invoice.credited.label("credited"),
                Invoice.paid.label("paid"),
                Invoice.left.label("left"),
                reminders.label("reminders"),
            )
            .join(
                Family,
                and_(Family.tenant_id == Invoice.tenant_id, Family.id == Invoice.family_id),
            )
            .where(
                Invoice.tenant_id == self._tenant,
                Invoice.regie == period.regie,
                Invoice.due_on < min(period.last_day + ONE_DAY, today(self._clock.now())),
                is_to_pay(),
            )
            .order_by(Family.code, Invoice.due_on, Invoice.id)
        ).all()

    def handed_over(self, period: Period) -> Sequence[Any]:
        """Invoices passed to the trésorerie or taken back from it in a period, in order of time.

        From the audit trail, which nobody changes: a list that was printed stays as it was.
        """
        return self._session.execute(
            select(AuditEntry, Invoice, Family, Invoice.left.label("left"))
            .join(
                Invoice,
                and_(
                    Invoice.tenant_id == AuditEntry.tenant_id,
                    func.concat("invoice:", Invoice.id) == AuditEntry.subject,
                ),
            )
            .join(
                Family,
                and_(Family.tenant_id == Invoice.tenant_id, Family.id == Invoice.family_id),
            )
            .where(
                AuditEntry.tenant_id == self._tenant,
                AuditEntry.action.in_((HANDED_OVER, ADJUSTED, TAKEN_BACK)),
                AuditEntry.at >= period.since,
                AuditEntry.at < period.until,
                Invoice.regie == period.regie,
            )
            .order_by(AuditEntry.at, AuditEntry.id)
        ).all()

    @staticmethod
    def small(late: Sequence[Any]) -> set[int]:
        """The families whose late invoices of a régie come to less than the threshold."""
        sums: dict[int, int] = defaultdict(int)
        for row in late:
            sums[row.Family.id] += row.left
        return {family_id for family_id, cents in sums.items() if cents < HANDOVER_THRESHOLD_CENTS}

    def unsorted(self, period: Period) -> Sequence[Any]:
        """Credits of the time before the period's end that are not used up, oldest first."""
        left = credit_left()
        return self._session.execute(
            select(Credit, Family, Payment, left.label("left"))
            .outerjoin(  # Nobody's yet: money that is to be classified.
                Family,
                and_(Family.tenant_id == Credit.tenant_id, Family.id == Credit.family_id),
            )
            .join(
                Payment,
                and_(Payment.tenant_id == Credit.tenant_id, Payment.id == Credit.payment_id),
            )
            .where(
                Credit.tenant_id == self._tenant,
                Credit.regie == period.regie,
                Credit.created_at < period.until,
                left != 0,
            )
            .order_by(Credit.id)
        ).all()
