"""Reminders of what is due, and closing: what the régie no longer waits for goes to the trésorerie.

Each régie has a calendar. Every day, town by town, a row of the outbox asks `Reminders.remind` and
`Reminders.close`; what they would do on any day can be looked at before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

from sqlalchemy import (
    BigInteger,
    Date,
    DateTime,
    Integer,
    Row,
    String,
    Subquery,
    TextClause,
    and_,
    any_,
    bindparam,
    column,
    func,
    literal,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.orm import Session

from core.api.context import Clock
from core.api.errors import UserError
from core.api.payments import InvoiceDue
from core.domain.reminders import GRACE_DAYS
from core.families.models import Family
from core.invoices.handling import Billing
from core.invoices.models import Invoice, RegieCalendar
from core.platform.audit.service import Audit
from core.platform.clock import today
from core.platform.db.paging import read_page
from core.platform.errors import NotFoundError
from core.platform.i18n import gettext as _
from core.platform.plugins.events import Events
from core.platform.tenancy.config import TenantConfig
from core.reminders.models import Reminder

DAILY = "reminders.daily"
REMIND, CLOSE = "reminders.remind", "reminders.close"

_SQL = Path(__file__).parent / "sql"
_NAMED = (
    bindparam("tenant", type_=String()),
    bindparam("day", type_=Date()),
)


@dataclass(frozen=True, slots=True)
class Calendar:
    """Days on which a régie writes and closes, from the due date, negative before it."""

    reminders: Sequence[int] = ()
    closing_days: int | None = None

    @property
    def before(self) -> list[int]:
        """Days before the due date."""
        return sorted(-days for days in self.reminders if days < 0)

    @property
    def after(self) -> list[int]:
        """Days after the due date, 0 for the day itself."""
        return sorted(days for days in self.reminders if days >= 0)


@dataclass(frozen=True, slots=True)
class Planned:
    """Next step for an invoice: `days` is the rule, None when it closes. Cents."""

    invoice: Invoice
    family: Family
    balance: int
    days: int | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """A page of what would happen on a day, the key of the next page, and what all comes to."""

    rows: Sequence[Planned]
    more: int | None
    families: int
    invoices: int
    cents: int


class Reminders:
    """Reminders and closing in one town."""

    def __init__(
        self,
        session: Session,
        town: TenantConfig,
        clock: Clock,
        *,
        billing: Billing,
        events: Events,
        audit: Audit,
    ) -> None:
        self._session = session
        self._town = town
        self._tenant = town.slug
        self._clock = clock
        self._billing = billing
        self._events = events
        self._audit = audit

    # --- The calendar ------------------------------------------------------------------------

    def calendars(self) -> dict[str, Calendar]:
        """The calendar of each régie of the town, empty where none was set."""
        found = {
            row.regie: Calendar(tuple(row.reminders), row.closing_days)
            for row in self._session.scalars(
                select(RegieCalendar).where(RegieCalendar.tenant_id == self._tenant)
            )
        }
        return {regie: found.get(regie, Calendar()) for regie in self._town.file.regies}

    def set_calendar(self, regie: str, calendar: Calendar) -> None:
        """Write by itself, and close by itself, as `calendar` says from the next day on.

        Raises:
            NotFoundError: the town has no such régie.
            UserError: a closing before the last reminder, or where the trésorerie collects.
        """
        if regie not in self._town.file.regies:
            raise NotFoundError
        if calendar.closing_days is not None:
            if not self._town.collects(regie):
                raise UserError(_("La trésorerie encaisse déjà pour cette régie."))
            if calendar.closing_days < max(calendar.reminders, default=0):
                raise UserError(_("La clôture vient après le dernier rappel."))
        values = {
            "reminders": sorted(set(calendar.reminders)),
            "closing_days": calendar.closing_days,
        }
        self._session.execute(
            insert(RegieCalendar)
            .values(tenant_id=self._tenant, regie=regie, **values)
            .on_conflict_do_update(index_elements=["tenant_id", "regie"], set_=values)
        )
        self._audit.write("reminders.changed", f"regie:{regie}", **values)

    def set_closing(self, invoice_id: int, closes_on: date | None) -> None:
        """Give an invoice a last day of its own to be paid here; None: its régie's rule again.

        Raises:
            NotFoundError: there is no such invoice.
            UserError: the day is before its due date, or gone by.
        """
        invoice = self._billing.get(invoice_id)
        if closes_on is not None and closes_on < max(invoice.due_on, today(self._clock.now())):
            raise UserError(_("La clôture ne peut précéder ni l’échéance, ni ce jour."))
        invoice.closes_on = closes_on
        self._session.flush()
        self._audit.write(
            "invoice.closing_set",
            f"invoice:{invoice_id}",
            day=closes_on.isoformat() if closes_on else "",
        )

    # --- Looking ahead -----------------------------------------------------------------------

    def planned(self, day: date, *, after: int | None = None, limit: int = 50) -> Plan:
        """Reminders that would be written on `day`: families, invoices and rules."""
        return self._plan(self._due(day), after, limit)

    def closing(self, day: date, *, after: int | None = None, limit: int = 50) -> Plan:
        """Invoices that would go to the trésorerie on `day`."""
        return self._plan(self._closed(day), after, limit)

    # --- The day's work ----------------------------------------------------------------------

    def remind(self, day: date) -> int:
        """Write to the families whose invoices a rule names on `day`; how many.

        One message a family for all its invoices. An invoice is noted with its rule in the same
        transaction, and never named again under it.
        """
        due = self._due(day)
        noted = self._session.execute(
            insert(Reminder)
            .from_select(
                ["tenant_id", "invoice_id", "days", "created_at"],
                select(
                    literal(self._tenant),
                    due.c.invoice_id,
                    due.c.days,
                    literal(self._clock.now(), DateTime(timezone=True)),
                ),
            )
            .on_conflict_do_nothing(index_elements=["tenant_id", "invoice_id", "days"])
            .returning(Reminder.id, Reminder.invoice_id)
        ).all()
        notes = {row.invoice_id: row.id for row in noted}
        by_family: dict[int, list[int]] = {}
        for row in self._families(list(notes)):
            by_family.setdefault(row.family_id, []).append(row.id)
        for family_id, invoice_ids in by_family.items():
            event = InvoiceDue(
                # The first of its notes belongs to this message and to no other.
                id=f"due-{min(notes[invoice_id] for invoice_id in invoice_ids)}",
                family_id=family_id,
                invoice_ids=tuple(invoice_ids),
            )
            self._events.emit("invoice_due", event.id, asdict(event))
        if by_family:
            self._audit.write(
                "reminders.sent",
                f"day:{day.isoformat()}",
                families=len(by_family),
                invoices=len(notes),
            )
        return len(by_family)

    def close(self, day: date) -> int:
        """Hand over to the trésorerie what was to be paid here before `day`; how many invoices."""
        closed = 0
        for invoice_id in self._session.scalars(select(self._closed(day).c.invoice_id)).all():
            try:
                self._billing.hand_over(invoice_id)
            except UserError:
                continue  # Paid, or being paid, since the line above: it is asked again tomorrow.
            closed += 1
        return closed

    # --- Pieces ------------------------------------------------------------------------------

    def _due(self, day: date) -> Subquery:
        grace = bindparam("grace", GRACE_DAYS, Integer())
        query = text(_sql("reminders")).bindparams(*_NAMED, grace)
        return self._ready(query, day)

    def _closed(self, day: date) -> Subquery:
        collecting = [key for key in self._town.file.regies if self._town.collects(key)]
        query = text(_sql("closing")).bindparams(
            *_NAMED, bindparam("regies", collecting, ARRAY(String))
        )
        return self._ready(query, day)

    def _ready(self, query: TextClause, day: date) -> Subquery:
        """The invoices that a query names: which, whose, under which rule, what is due of them."""
        return (
            query.bindparams(tenant=self._tenant, day=day)
            .columns(
                column("invoice_id", BigInteger),
                column("days", Integer),
                column("balance", BigInteger),
            )
            .subquery("named")
        )

    def _families(self, invoice_ids: Sequence[int]) -> Sequence[Row[int, int]]:
        return self._session.execute(
            select(Invoice.family_id, Invoice.id)
            .where(
                Invoice.tenant_id == self._tenant,
                # One array, whatever its size: a statement takes 65 535 parameters at most.
                Invoice.id == any_(literal(invoice_ids, ARRAY(BigInteger))),
            )
            .order_by(Invoice.family_id, Invoice.id)
        ).all()

    def _plan(self, named: Subquery, after: int | None, limit: int) -> Plan:
        query = (
            select(Invoice, Family, named.c.balance, named.c.days)
            .join(
                named,
                and_(Invoice.tenant_id == self._tenant, Invoice.id == named.c.invoice_id),
            )
            .join(
                Family,
                and_(Family.tenant_id == Invoice.tenant_id, Family.id == Invoice.family_id),
            )
        )
        families, invoices, cents = self._session.execute(
            query.with_only_columns(
                func.count(Family.id.distinct()),
                func.count(),
                func.coalesce(func.sum(named.c.balance), 0),
            )
        ).one()
        if after is not None:
            query = query.where(Invoice.id > after)
        page = read_page(
            self._session, query.order_by(Invoice.id), limit, lambda row: int(row.Invoice.id)
        )
        return Plan(
            rows=[Planned(*row) for row in page.rows],
            more=page.more,
            families=families,
            invoices=invoices,
            cents=int(cents),
        )


def _sql(name: str) -> str:
    """The statement of a file below ``sql``, without the line that ends it."""
    return (_SQL / f"{name}.sql").read_text("utf-8").rpartition("\n;")[0]
