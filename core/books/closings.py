"""Closing a month: what it came to is noted for ever, and can be proved later."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import (
    Date,
    DateTime,
    String,
    cast,
    column,
    exists,
    func,
    or_,
    select,
    values,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.api.context import Clock
from core.api.errors import UserError
from core.books.entries import Entries
from core.books.models import Closing
from core.books.period import Period, next_month
from core.journal.models import JournalEntry
from core.journal.service import Journal
from core.payments.models import Payment
from core.platform.audit.service import Audit
from core.platform.clock import PARIS, months_before, today
from core.platform.db.limits import WHOLE_TOWN
from core.platform.i18n import gettext as _

LOOKED_BACK_MONTHS = 12
"""Number of months back within which an open month is asked for."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A closed month, and whether the journal still says what it said then."""

    closing: Closing
    holds: bool


class Closings:
    """The closed months of one town's régies."""

    def __init__(
        self,
        session: Session,
        tenant: str,
        clock: Clock,
        *,
        entries: Entries,
        journal: Journal,
        audit: Audit,
    ) -> None:
        self._session = session
        self._tenant = tenant
        self._clock = clock
        self._entries = entries
        self._journal = journal
        self._audit = audit

    def needs(self, family_id: int) -> bool:
        """True if a month that is not closed yet has payments of this family.

        Its journal and receipts then still name who paid. A régie that never closes a month is done
        with one after the month that follows it.
        """
        month = cast(func.date_trunc("month", func.timezone(PARIS.key, JournalEntry.at)), Date)
        closed = exists().where(
            Closing.tenant_id == self._tenant,
            Closing.regie == JournalEntry.regie,
            Closing.month == month,
        )
        closes = exists().where(
            Closing.tenant_id == self._tenant, Closing.regie == JournalEntry.regie
        )
        recent = months_before(today(self._clock.now()).replace(day=1), 1)
        return bool(
            self._session.scalar(
                select(
                    exists().where(
                        JournalEntry.tenant_id == self._tenant,
                        Payment.tenant_id == JournalEntry.tenant_id,
                        Payment.id == JournalEntry.payment_id,
                        Payment.family_id == family_id,
                        ~closed,
                        or_(closes, month >= recent),
                    )
                )
            )
        )

    def close(self, period: Period) -> None:
        """Note for ever what a month came to.

        Raises:
            UserError: the month is not over, or closed already.
        """
        # An entry that is being written is counted here, or dated after this.
        self._journal.open(period.regie)
        if next_month(period.month) > today(self._clock.now()):
            raise UserError(_("Ce mois n’est pas terminé."))
        entries, collected, returned, last = self._now(period)
        closed = self._session.scalar(
            insert(Closing)
            .values(
                tenant_id=self._tenant,
                regie=period.regie,
                month=period.month,
                entries=entries,
                collected=collected,
                returned=returned,
                hash=last,
                actor=self._audit.actor,
                closed_at=self._clock.now(),
            )
            .on_conflict_do_nothing(index_elements=["tenant_id", "regie", "month"])
            .returning(Closing.id)
        )
        if closed is None:
            raise UserError(_("Ce mois est déjà arrêté."))
        self._audit.write(
            "month.closed",
            f"closing:{closed}",
            regie=period.regie,
            month=period.month.isoformat(),
        )

    def still_open(self, regies: Iterable[str]) -> Sequence[Period]:
        """Months of the last year that are over, had movements and are not closed; by month."""
        this = today(self._clock.now()).replace(day=1)
        asked = [
            Period(regie, months_before(this, back))
            for back in range(LOOKED_BACK_MONTHS, 0, -1)
            for regie in regies
        ]
        if not asked:
            return []
        month = values(
            column("regie", String),
            column("month", Date),
            column("since", DateTime(timezone=True)),
            column("until", DateTime(timezone=True)),
            name="asked",
        ).data([(one.regie, one.month, one.since, one.until) for one in asked])
        rows = self._session.execute(
            select(month.c.regie, month.c.month)
            .where(
                exists().where(
                    JournalEntry.tenant_id == self._tenant,
                    JournalEntry.regie == month.c.regie,
                    JournalEntry.at >= month.c.since,
                    JournalEntry.at < month.c.until,
                ),
                ~exists().where(
                    Closing.tenant_id == self._tenant,
                    Closing.regie == month.c.regie,
                    Closing.month == month.c.month,
                ),
            )
            .order_by(month.c.month, month.c.regie),
            execution_options={WHOLE_TOWN: True},
        )
        return [Period(regie, day) for regie, day in rows]

    def get(self, period: Period) -> Closing | None:
        """The closing of a month; None while it is open, and for a year."""
        if period.whole_year:
            return None
        return self._session.scalar(
            select(Closing).where(
                Closing.tenant_id == self._tenant,
                Closing.regie == period.regie,
                Closing.month == period.month,
            )
        )

    def is_closed(self, regie: str, day: date) -> bool:
        """True if the books of the month of `day` are closed."""
        return self.get(Period(regie, day.replace(day=1))) is not None

    def checked(self, period: Period) -> Checked | None:
        """The closing of a month, held against the journal; None while it is open."""
        found = self.get(period)
        if found is None:
            return None
        noted = found.entries, found.collected, found.returned, found.hash
        return Checked(found, noted == self._now(period) and self._entries.chain_holds(period))

    def _now(self, period: Period) -> tuple[int, int, int, str]:
        sums = self._entries.sums(period)
        _first, last = self._entries.ends(period)
        return (
            sums.count,
            sums.came,
            -sums.went,
            last.hash if last else self._entries.hash_before(period),
        )
