"""The figures of the dashboard and of its monthly paper."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Date, Integer, and_, cast, exists, func, select
from sqlalchemy.dialects.postgresql import array
from sqlalchemy.orm import Session

from core.api.context import Clock
from core.api.messages import NotificationChannel
from core.debits.models import DebitRequest, RequestState
from core.domain.figures import AGES, DELAYS, Month, Report, Slice, Sum, months_until
from core.domain.payment_states import PaymentState
from core.families.models import ContactEmail
from core.imports.models import ImportBatch
from core.invoices.credit_notes import is_to_link
from core.invoices.models import Invoice, InvoiceState
from core.invoices.service import debit_day, is_overpaid, is_to_pay, is_under_debit
from core.journal.models import JournalEntry
from core.journal.sums import CAME, OF_MONEY
from core.messages.models import MessageRow, MessageState
from core.payments.models import Allocation, Credit, CreditUse, Payment, credit_left
from core.platform.clock import PARIS, midnight, today
from core.platform.db.limits import regies_of
from core.platform.i18n import gettext as _
from core.platform.means_words import means_label
from core.platform.outbox.models import OutboxRow, OutboxState

YEAR = 12
RECENT = 3
"""Months whose payments make the shares and delays of the dashboard."""
PUBLISHED = "invoices_published"
REFUSED_STARTS_SHOWN = 20


@dataclass(frozen=True, slots=True)
class RefusedStart:
    """Payments of one régie that a provider did not open for one reason, which nobody resolved."""

    regie: str
    kind: str
    """A `RefusalKind`."""
    reason: str
    count: int
    payment_id: int
    """The last of them."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Work that waits for a person, and money that came in. `due`: cents that families owe."""

    due: int
    today: Sum
    month: Sum
    anomalies: int
    pending: int
    dead: int
    refused: int
    drafts: int
    """Imports whose invoices wait to be published."""
    refused_starts: Sequence[RefusedStart] = ()
    to_link: int = 0
    """Credit notes without their invoice, and invoices in place of one that can still be paid."""

    debits: int = 0
    """Invoices whose day of direct debit came, and of which nothing was noted."""

    debit_requests: int = 0
    """Families that asked to be debited, and wait for an answer."""

    to_classify: int = 0
    """Payments of which nobody knows yet whose they are, such as a banked cheque."""
    to_give_back: int = 0
    """Invoices that were paid before a credit note: what is too much is to become a credit."""
    credits: int = 0
    """Credits of families: to pay an invoice with, to refund, or, below zero, to get back."""

    @property
    def todo(self) -> int:
        """Number of things that wait for a person."""
        counts = (
            *(self.anomalies, self.dead, self.refused, self.drafts, self.to_link, self.debits),
            self.debit_requests,
            *(self.to_classify, self.to_give_back, self.credits),
        )
        return sum(counts) + len(self.refused_starts)


class Figures:
    """The figures of one town."""

    def __init__(
        self,
        session: Session,
        tenant: str,
        clock: Clock,
        channels: Callable[[], Mapping[str, NotificationChannel]],
    ) -> None:
        self._session = session
        self._tenant = tenant
        self._clock = clock
        self._channels = channels

    def waiting(self) -> Waiting:
        """Figures at the head of the dashboard."""
        day = today(self._clock.now())
        return Waiting(
            due=self._due(),
            today=self._collected(day),
            month=self._collected(day.replace(day=1)),
            anomalies=self._count(Payment, Payment.anomaly != "", Payment.start_refusal == ""),
            refused_starts=self._refused_starts(),
            pending=self._count(
                Payment, Payment.state.in_((PaymentState.CREATED, PaymentState.PENDING))
            ),
            dead=self._count(OutboxRow, OutboxRow.state == OutboxState.DEAD),
            refused=self._count(ContactEmail, ContactEmail.refused_at.is_not(None)),
            drafts=self._count(
                ImportBatch, ImportBatch.published_at.is_(None), ImportBatch.undone_at.is_(None)
            ),
            to_link=self._count(Invoice, is_to_link()),
            to_classify=self._count(Credit, Credit.family_id.is_(None), credit_left() != 0),
            to_give_back=self._count(Invoice, is_overpaid()),
            credits=self._count(Credit, Credit.family_id.is_not(None), credit_left() != 0),
            debits=self._count(Invoice, is_under_debit(), debit_day() <= day),
            debit_requests=self._count(DebitRequest, DebitRequest.state == RequestState.ASKED),
        )

    def _refused_starts(self) -> Sequence[RefusedStart]:
        cause = (Payment.regie, Payment.start_refusal, Payment.anomaly)
        rows = self._session.execute(
            select(*cause, func.count(), func.max(Payment.id))
            .where(
                Payment.tenant_id == self._tenant,
                Payment.anomaly != "",
                Payment.start_refusal != "",
            )
            .group_by(*cause)
            .order_by(func.max(Payment.id).desc())
            .limit(REFUSED_STARTS_SHOWN)
        )
        return [RefusedStart(*row) for row in rows]

    def report(self, month: date | None = None) -> Report:
        """The charts: of a month for its paper, else of the last months for the dashboard.

        What is unpaid is so today, whatever the month: the past is not kept.
        """
        day = today(self._clock.now())
        last = month or day.replace(day=1)
        since = last if month else months_until(last, RECENT)[0]
        until = _next(last)
        median, delays = self._delays(since, until)
        # Who was told is known by family, not by régie.
        channels = {} if regies_of(self._session) is not None else self._channels()
        return Report(
            day=day,
            months=self._months(last, list(channels)),
            means=self._means(since, until),
            delays=delays,
            delay=median,
            unpaid=self._unpaid(day),
            channels=[channel.label for channel in channels.values()],
        )

    # --- What came in ------------------------------------------------------------------------

    def _due(self) -> int:
        return int(
            self._session.scalar(
                select(func.coalesce(func.sum(Invoice.left), 0)).where(*self._open())
            )
            or 0
        )

    def _open(self) -> Sequence[ColumnElement[bool]]:
        return Invoice.tenant_id == self._tenant, is_to_pay()

    def _settled(self) -> Sequence[ColumnElement[bool]]:
        return (Payment.tenant_id == self._tenant, Payment.state == PaymentState.SETTLED)

    def _collected(self, since: date) -> Sum:
        count, cents = self._session.execute(
            select(func.count(), func.coalesce(func.sum(JournalEntry.amount), 0)).where(
                *self._came(since)
            )
        ).one()
        return Sum(count, int(cents))

    def _came(self, since: date, until: date | None = None) -> Sequence[ColumnElement[bool]]:
        """SQL: the money that came in, as the books' pages count it: by the day it was recorded."""
        which = [
            JournalEntry.tenant_id == self._tenant,
            OF_MONEY,
            CAME,
            JournalEntry.at >= midnight(since),
        ]
        return which if until is None else [*which, JournalEntry.at < midnight(until)]

    def _count(self, model: Any, *conditions: Any) -> int:
        return self._session.scalars(
            select(func.count())
            .select_from(model)
            .where(model.tenant_id == self._tenant, *conditions)
        ).one()

    # --- Charts ------------------------------------------------------------------------------

    def _months(self, last: date, channels: Sequence[str]) -> list[Month]:
        firsts = months_until(last, YEAR)
        since, until = firsts[0], _next(last)
        invoiced: dict[date, tuple[int, int]] = {}
        # By family first: counting distinct ones would sort a million rows.
        families = (
            select(
                _month(Invoice.issued_on).label("first"), func.sum(Invoice.amount).label("cents")
            )
            .where(
                Invoice.tenant_id == self._tenant,
                Invoice.state.in_((InvoiceState.PUBLISHED, InvoiceState.HANDED_OVER)),
                Invoice.issued_on >= since,
                Invoice.issued_on < until,
            )
            .group_by("first", Invoice.family_id)
            .subquery()
        )
        for first, cents, count in self._session.execute(
            select(families.c.first, func.sum(families.c.cents), func.count()).group_by(
                families.c.first
            )
        ):
            invoiced[first] = int(cents), count
        recorded = _month(func.timezone(PARIS.key, JournalEntry.at))
        collected = {
            first: int(cents)
            for first, cents in self._session.execute(
                select(recorded, func.sum(JournalEntry.amount))
                .where(*self._came(since, until))
                .group_by(recorded)
            )
        }
        told = self._told(since, until)
        return [
            Month(
                first,
                invoiced.get(first, (0, 0))[0],
                collected.get(first, 0),
                invoiced.get(first, (0, 0))[1],
                tuple(told[first, channel] for channel in channels),
            )
            for first in firsts
        ]

    def _told(self, since: date, until: date) -> Mapping[tuple[date, str], int]:
        """Families that were written to of new invoices, by month and channel."""
        families = (
            select(
                _month(func.timezone(PARIS.key, MessageRow.created_at)).label("first"),
                MessageRow.channel,
            )
            .where(
                MessageRow.tenant_id == self._tenant,
                MessageRow.kind == PUBLISHED,
                MessageRow.state.in_((MessageState.QUEUED, MessageState.SENT)),
                MessageRow.created_at >= midnight(since),
                MessageRow.created_at < midnight(until),
            )
            .group_by("first", MessageRow.channel, MessageRow.family_id)
            .subquery()
        )
        found: dict[tuple[date, str], int] = defaultdict(int)
        for first, channel, count in self._session.execute(
            select(families.c.first, families.c.channel, func.count()).group_by(
                families.c.first, families.c.channel
            )
        ):
            found[first, channel] = count
        return found

    def _means(self, since: date, until: date) -> list[Slice]:
        rows = self._session.execute(
            select(JournalEntry.means, func.count(), func.sum(JournalEntry.amount))
            .where(*self._came(since, until))
            .group_by(JournalEntry.means)
        ).all()
        found = [Slice(means_label(row[0]), row[1], int(row[2])) for row in rows]
        return sorted(found, key=lambda part: -part.cents)

    def _delays(self, since: date, until: date) -> tuple[int | None, list[Slice]]:
        """Days from an invoice's issue to each payment of it, their median and their classes."""
        days: Any = cast(func.timezone(PARIS.key, Payment.paid_at), Date) - Invoice.issued_on
        by_day = self._session.execute(
            select(days, func.count(), func.sum(Allocation.amount))
            .select_from(Payment)
            .join(
                Allocation,
                and_(
                    Allocation.tenant_id == Payment.tenant_id, Allocation.payment_id == Payment.id
                ),
            )
            .join(
                Invoice,
                and_(
                    Invoice.tenant_id == Allocation.tenant_id, Invoice.id == Allocation.invoice_id
                ),
            )
            .where(
                *self._settled(),
                Payment.paid_at >= midnight(since),
                Payment.paid_at < midnight(until),
                Allocation.reversed_at.is_(None),
                ~_paid_again(),
            )
            .group_by(days)
            .order_by(days)
        ).all()
        classes: dict[int, tuple[int, int]] = defaultdict(lambda: (0, 0))
        median: int | None = None
        left = sum(count for _days, count, _cents in by_day) / 2
        for taken, count, cents in by_day:
            if median is None and left <= count:
                median = taken
            left -= count
            index = sum(taken > end for end in DELAYS)
            so_far = classes[index]
            classes[index] = so_far[0] + count, so_far[1] + int(cents)
        labels = _labels(DELAYS, _("%(first)s à %(last)s jours"), _("plus de %(last)s jours"))
        return median, [Slice(label, *classes[index]) for index, label in enumerate(labels)]

    def _unpaid(self, day: date) -> list[Slice]:
        """Amounts that are owed, by days since they were due."""
        age: Any = day - Invoice.due_on
        number = func.width_bucket(cast(age, Integer), array([end + 1 for end in AGES]))
        rows = self._session.execute(
            select(number, func.count(), func.sum(Invoice.left))
            .where(*self._open())
            .group_by(number)
        )
        classes: dict[int, tuple[int, int]] = defaultdict(lambda: (0, 0))
        for index, count, cents in rows:
            classes[index] = count, int(cents)
        labels = _labels(
            AGES,
            _("échu depuis %(first)s à %(last)s jours"),
            _("échu depuis plus de %(last)s jours"),
        )
        labels[0] = _("pas encore échu")
        return [Slice(label, *classes[index]) for index, label in enumerate(labels)]


def _paid_again() -> ColumnElement[bool]:
    """SQL: `Allocation` is of money that another invoice gave back, where it counts already."""
    return exists().where(
        CreditUse.tenant_id == Allocation.tenant_id,
        CreditUse.id == Allocation.credit_use_id,
        Credit.tenant_id == CreditUse.tenant_id,
        Credit.id == CreditUse.credit_id,
        Credit.invoice_id.is_not(None),
    )


def _labels(ends: Sequence[int], between: str, beyond: str) -> list[str]:
    firsts = [0, *(end + 1 for end in ends)]
    return [
        *(between % {"first": firsts[index], "last": end} for index, end in enumerate(ends)),
        beyond % {"last": ends[-1]},
    ]


def _month(day: Any) -> ColumnElement[date]:
    """SQL: the first day of the month of a day."""
    return cast(func.date_trunc("month", day), Date)


def _next(month: date) -> date:
    return (month + timedelta(days=31)).replace(day=1)
