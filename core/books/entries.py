"""Reading the journal: entries with who paid what, their sums, and whether the chain holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, func, literal, select
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.orm import Session

from core.books.models import Remittance, RemittanceLine
from core.books.period import Period
from core.invoices.models import Invoice
from core.journal.models import EntryKind, JournalEntry
from core.journal.service import Facts
from core.journal.sums import CAME, CAME_KINDS, OF_MONEY, Sums, sums
from core.payments.models import Allocation, CreditUse, Payment
from core.platform.clock import PARIS, midnight

OF_PAYMENT = and_(
    Payment.tenant_id == JournalEntry.tenant_id, Payment.id == JournalEntry.payment_id
)
OF_CREDIT_USE = and_(
    CreditUse.tenant_id == JournalEntry.tenant_id, CreditUse.id == JournalEntry.credit_use_id
)
OF_REMITTANCE = and_(
    Remittance.tenant_id == JournalEntry.tenant_id, Remittance.id == JournalEntry.remittance_id
)
"""SQL: what an entry was written for: a payment, maybe a credit's use with it; or a remittance."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the journal. `amount` is in cents, negative when money went back."""

    number: int
    at: datetime
    kind: EntryKind
    payment_id: int | None
    """None: of a remittance."""
    remittance_id: int | None
    receipt: str
    means: str
    amount: int
    family_code: str
    actor: str
    payer: str
    reference: str
    invoices: str
    reason: str
    hash: str
    settled_at: datetime | None

    @property
    def came(self) -> int:
        """The cents that came in."""
        return self.amount if self.kind in CAME_KINDS else 0

    @property
    def money(self) -> int:
        """The cents that came in or went back; none where money only left the till."""
        return self.amount if self.remittance_id is None else 0

    @property
    def went(self) -> int:
        """The cents that went back, as they stand in sums: negative."""
        return self.money - self.came

    @property
    def remitted(self) -> int:
        """The cents that left the till by a remittance; negative when it was cancelled."""
        return 0 if self.remittance_id is None else -self.amount


@dataclass(frozen=True, slots=True)
class Chosen:
    """Choice of entries of a period: "" and None take all."""

    means: str = ""
    came: bool | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """SQL."""
        found: list[ColumnElement[bool]] = []
        if self.means:
            found.append(JournalEntry.means == self.means)
        if self.came is not None:
            found.append(CAME if self.came else ~CAME)
        return found


ALL = Chosen()


class Entries:
    """The journals of one town, to be read."""

    def __init__(self, session: Session, tenant: str) -> None:
        self._session = session
        self._tenant = tenant

    def read(
        self,
        period: Period,
        chosen: Chosen = ALL,
        *,
        after: int = 0,
        limit: int | None = None,
        remittances: bool = False,
    ) -> list[Entry]:
        """Entries by number, those that follow the number `after`; of money, unless told.

        With `remittances` those of money that left the till stand among them.
        """
        rows = self._session.execute(
            select(
                JournalEntry,
                Payment.payer,
                Payment.authorisation,
                Payment.note,
                Payment.settled_at,
                Payment.reversal_reason,
                Remittance.cancel_reason,
                CreditUse.note.label("refund_note"),
                self._numbers().label("invoices"),
            )
            .outerjoin(Payment, OF_PAYMENT)
            .outerjoin(CreditUse, OF_CREDIT_USE)
            .outerjoin(Remittance, OF_REMITTANCE)
            .where(
                *(self._all_within(period) if remittances else self._within(period)),
                *chosen.conditions(),
                JournalEntry.number > after,
            )
            .order_by(JournalEntry.number)
            .limit(limit)
        )
        return [_entry(row) for row in rows]

    def sums(self, period: Period, chosen: Chosen = ALL) -> Sums:
        """Sums of the chosen entries of a period."""
        row = self._session.execute(
            select(*sums()).where(*self._within(period), *chosen.conditions())
        ).one()
        return Sums(*map(int, row))

    def by_means(self, period: Period) -> dict[str, Sums]:
        """Sums of each means of payment."""
        rows = self._session.execute(
            select(JournalEntry.means, *sums())
            .where(*self._within(period))
            .group_by(JournalEntry.means)
            .order_by(JournalEntry.means)
        )
        return {means: Sums(*map(int, rest)) for means, *rest in rows}

    def by_day(self, period: Period, means: Sequence[str]) -> dict[tuple[date, str], Sums]:
        """Sums of the money that came in by these means, by day and means."""
        day = func.date(func.timezone(PARIS.key, JournalEntry.at))
        rows = self._session.execute(
            select(day, JournalEntry.means, *sums())
            .where(*self._within(period), CAME, JournalEntry.means.in_(means))
            .group_by(day, JournalEntry.means)
            .order_by(day, JournalEntry.means)
        )
        return {(on, name): Sums(*map(int, rest)) for on, name, *rest in rows}

    def since_new_year(self, period: Period) -> dict[str, int]:
        """Cents of each means from the first of January to the period's beginning."""
        rows = self._session.execute(
            select(JournalEntry.means, func.sum(JournalEntry.amount))
            .where(
                JournalEntry.tenant_id == self._tenant,
                JournalEntry.regie == period.regie,
                OF_MONEY,
                JournalEntry.at >= midnight(period.month.replace(month=1)),
                JournalEntry.at < period.since,
            )
            .group_by(JournalEntry.means)
        )
        return {means: int(cents) for means, cents in rows}

    def till(self, period: Period) -> dict[str, tuple[int, int, int, int]]:
        """Cents of each means: in hand before the period, that came, that went, that left the till.

        Entries of money and of remittances have opposite signs: what is in hand at the end is
        their sum.
        """
        before, during = JournalEntry.at < period.since, JournalEntry.at >= period.since

        def cents(*which: ColumnElement[bool]) -> ColumnElement[int]:
            return func.coalesce(func.sum(JournalEntry.amount).filter(and_(*which)), 0)

        rows = self._session.execute(
            select(
                JournalEntry.means,
                cents(before),
                cents(during, OF_MONEY, CAME),
                cents(during, OF_MONEY, ~CAME),
                cents(during, ~OF_MONEY),
            )
            .where(
                JournalEntry.tenant_id == self._tenant,
                JournalEntry.regie == period.regie,
                JournalEntry.at < period.until,
            )
            .group_by(JournalEntry.means)
            .order_by(JournalEntry.means)
        )
        return {
            means: (int(first), int(came), int(went), -int(left))
            for means, first, came, went, left in rows
        }

    def ends(self, period: Period) -> tuple[JournalEntry | None, JournalEntry | None]:
        """The first and the last entry of a period."""
        first, last = (
            self._session.scalar(
                select(JournalEntry).where(*self._all_within(period)).order_by(order).limit(1)
            )
            for order in (JournalEntry.number, JournalEntry.number.desc())
        )
        return first, last

    def hash_before(self, period: Period) -> str:
        """The hash that the first entry of a period follows; "" when it begins the year."""
        return (
            self._session.scalar(
                select(JournalEntry.hash)
                .where(
                    JournalEntry.tenant_id == self._tenant,
                    JournalEntry.regie == period.regie,
                    JournalEntry.year == period.month.year,
                    JournalEntry.at < period.since,
                )
                .order_by(JournalEntry.number.desc())
                .limit(1)
            )
            or ""
        )

    def chain_holds(self, period: Period) -> bool:
        """True if each entry follows the one before it, and agrees with what it was written for."""
        before, number = self.hash_before(period), None
        rows = self._session.execute(
            select(
                *(getattr(JournalEntry, name) for name in Facts.__slots__),
                JournalEntry.hash,
                func.coalesce(
                    CreditUse.amount, Payment.amount, func.abs(RemittanceLine.amount)
                ).label("moved"),
            )
            .outerjoin(Payment, OF_PAYMENT)
            .outerjoin(CreditUse, OF_CREDIT_USE)
            .outerjoin(
                RemittanceLine,
                and_(
                    RemittanceLine.tenant_id == JournalEntry.tenant_id,
                    RemittanceLine.remittance_id == JournalEntry.remittance_id,
                    RemittanceLine.means == JournalEntry.means,
                ),
            )
            .where(*self._all_within(period))
            .order_by(JournalEntry.number)
        )
        for *facts, written, moved in rows:
            entry = Facts(*facts)
            follows = number is None or entry.number == number + 1
            if not follows or entry.hash(before) != written or abs(entry.amount) != moved:
                return False
            before, number = written, entry.number
        return True

    def _within(self, period: Period) -> list[ColumnElement[bool]]:
        return [*self._all_within(period), OF_MONEY]

    def _all_within(self, period: Period) -> list[ColumnElement[bool]]:
        return [
            JournalEntry.tenant_id == self._tenant,
            JournalEntry.regie == period.regie,
            JournalEntry.at >= period.since,
            JournalEntry.at < period.until,
        ]

    def _numbers(self) -> ColumnElement[str]:
        """SQL: the numbers of the invoices that the payment went to."""
        return (
            select(
                func.string_agg(Invoice.number, aggregate_order_by(literal(" + "), Allocation.id))
            )
            .select_from(Allocation)
            .join(
                Invoice,
                and_(
                    Invoice.tenant_id == Allocation.tenant_id, Invoice.id == Allocation.invoice_id
                ),
            )
            .where(
                Allocation.tenant_id == JournalEntry.tenant_id,
                Allocation.payment_id == JournalEntry.payment_id,
                Allocation.credit_use_id.is_(None),
            )
            .correlate(JournalEntry)
            .scalar_subquery()
        )


def _entry(row: Any) -> Entry:
    entry: JournalEntry = row.JournalEntry
    reason = ""
    if entry.kind == EntryKind.REVERSED:
        reason = row.reversal_reason
    elif entry.kind == EntryKind.REMITTANCE_UNDONE:
        reason = row.cancel_reason
    elif entry.kind != EntryKind.SETTLED:
        reason = row.refund_note or ""
    return Entry(
        number=entry.number,
        at=entry.at,
        kind=EntryKind(entry.kind),
        payment_id=entry.payment_id,
        remittance_id=entry.remittance_id,
        receipt=entry.receipt,
        means=entry.means,
        amount=entry.amount,
        family_code=entry.family_code,
        actor=entry.actor,
        payer=row.payer or "",
        reference=" ".join(filter(None, (row.authorisation, row.note))),
        invoices=row.invoices or "",
        reason=reason,
        hash=entry.hash,
        settled_at=row.settled_at,
    )
