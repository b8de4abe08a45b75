"""*Versements*: money in hand leaves the till, as a numbered act in the journal of the régie.

An entry of the journal is in hand from the moment it is written until a remittance in force takes
it. What is in hand, what a remittance takes and what its papers list are read by one definition,
`_payments_of`.

Money that comes back after its remittance took it (a cheque bounces) is not in the till: the bank
or the trésorerie has taken it back itself. It is *returned*: apart from what is there, and taken
off the next remittance of its means. Cash is given back from the till, and comes off what is there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Subquery,
    and_,
    cast,
    exists,
    func,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy.orm import Session, aliased

from core.api.context import Clock, RemittanceInfo
from core.api.errors import UserError
from core.api.payments import Means, RemittanceChanged
from core.books.models import Remittance, RemittanceEntry, RemittanceLine
from core.journal.models import EntryKind, JournalEntry
from core.journal.service import Journal
from core.journal.sums import OF_MONEY
from core.payments.models import Payment
from core.payments.titles import Titles
from core.platform.audit.service import Audit
from core.platform.clock import PARIS, on_days, today
from core.platform.db.paging import Page, newest
from core.platform.errors import NotFoundError
from core.platform.i18n import gettext as _
from core.platform.plugins.events import Events
from core.platform.templating import money
from core.platform.tenancy.config import TenantConfig

SHORT_NAME = 200


@dataclass(frozen=True, slots=True)
class InHand:
    """Money of one means that is in hand: its payments, and their cents less what was returned."""

    means: str
    count: int
    amount: int
    returned_count: int = 0
    """Payments among them that came back after a remittance had taken them."""
    returned: int = 0
    """Their cents, negative: to be taken off the next remittance."""

    @property
    def held_count(self) -> int:
        """Number of payments that are there."""
        return self.count - self.returned_count

    @property
    def held(self) -> int:
        """The cents that are there."""
        return self.amount - self.returned


@dataclass(frozen=True, slots=True)
class Ceiling:
    """A ceiling of the town's file that what is in hand exceeds (cents)."""

    regie: str
    cash_only: bool
    in_hand: int
    ceiling: int


@dataclass(frozen=True, slots=True)
class RemittedPayment:
    """A payment, or what came back of one, as a remittance takes it. `amount`: cents, signed."""

    payment_id: int
    means: str
    amount: int
    receipt: str
    paid_at: Any
    payer: str
    reference: str

    @property
    def is_returned(self) -> bool:
        """True for what came back after another remittance had taken it."""
        return self.amount < 0 and self.means != Means.CASH


class ChangedError(UserError):
    """Raised when the money in hand changed since it was shown: nothing was done."""


def _check_unchanged(
    lines: Sequence[InHand], payment_ids: Collection[int] | None, expected: int | None
) -> None:
    """Refuse to remit what is not what the agent saw, or nothing."""
    total = sum(line.amount for line in lines)
    if expected is not None and total != expected:
        raise ChangedError(
            _(
                "La caisse a changé entre-temps : elle contient %(now)s au lieu de "
                "%(shown)s. Vérifiez, puis confirmez."
            )
            % {"now": money(total), "shown": money(expected)}
        )
    if payment_ids is not None and sum(line.count for line in lines) != len(set(payment_ids)):
        raise ChangedError(_("Un de ces règlements est déjà versé, ou annulé."))
    if total <= 0:
        raise UserError(_("Il n’y a rien à verser pour ce choix."))


class Remittances:
    """The remittances of one town's régies."""

    def __init__(
        self,
        session: Session,
        town: TenantConfig,
        clock: Clock,
        *,
        journal: Journal,
        titles: Titles,
        audit: Audit,
        events: Callable[[], Events],
    ) -> None:
        self._session = session
        self._town = town
        self._tenant = town.slug
        self._clock = clock
        self._journal = journal
        self._titles = titles
        self._audit = audit
        self._events = events

    # --- What is in hand ---------------------------------------------------------------------

    def in_hand(
        self,
        regie: str,
        *,
        since: date | None = None,
        until: date | None = None,
        payment_ids: Collection[int] | None = None,
    ) -> list[InHand]:
        """Money in hand by means: all of it, or what was entered on the days of a period."""
        return self._by_means(self._in_hand(regie, since, until, payment_ids))

    def first_day(self, regie: str) -> date | None:
        """The day of the oldest entry in hand; None when nothing is."""
        at = self._session.scalar(
            select(func.min(JournalEntry.at)).where(*self._in_hand(regie, None, None, None))
        )
        return today(at) if at else None

    def payments(
        self, regie: str, *, since: date | None = None, until: date | None = None
    ) -> list[RemittedPayment]:
        """The payments in hand, in the order of the journal."""
        return self._list(self._in_hand(regie, since, until, None))

    def over_ceilings(self) -> list[Ceiling]:
        """The ceilings of the town's file that are exceeded now; régies without one cost nothing.

        They are about what is there: what was returned takes nothing off it.
        """
        found = []
        for key, regie in self._town.file.regies.items():
            if not regie.collects or (regie.cash_ceiling is None and regie.ceiling is None):
                continue
            cents = {one.means: one.held for one in self.in_hand(key)}
            for cash_only, ceiling, held in (
                (True, regie.cash_ceiling, cents.get(Means.CASH, 0)),
                (False, regie.ceiling, sum(cents.values())),
            ):
                if ceiling is not None and held > ceiling:
                    found.append(Ceiling(key, cash_only, held, ceiling))
        return found

    # --- The act -----------------------------------------------------------------------------

    def make(
        self,
        regie: str,
        *,
        since: date | None = None,
        until: date | None = None,
        means: Collection[str] | None = None,
        payment_ids: Collection[int] | None = None,
        note: str = "",
        expected: int | None = None,
    ) -> Remittance:
        """Remit what is in hand of a period, of these means or payments (None: of all).

        Args:
            regie: whose money.
            since: first day of the entries.
            until: last day of the entries.
            means: the means of payment.
            payment_ids: the payments, whose entries are all in hand.
            note: words of the agent.
            expected: the cents that the agent confirmed.

        Raises:
            ChangedError: it is not what was expected, or a payment was remitted meanwhile.
            UserError: there is nothing to remit.
        """
        if since and until and since > until:
            raise UserError(_("Le premier jour est après le dernier."))
        journal = self._journal.open(regie)  # Nobody else enters or remits until the end.
        which = self._in_hand(regie, since, until, payment_ids)
        if means is not None:
            which.append(JournalEntry.means.in_(list(means)))
        lines = self._by_means(which)
        _check_unchanged(lines, payment_ids, expected)
        remittance = self._add(regie, since, until, note, lines, which)
        for line in lines:
            remittance.hash = journal.enter(
                EntryKind.REMITTED,
                receipt=remittance.name,
                means=line.means,
                amount=-line.amount,
                remittance_id=remittance.id,
            )
        self._session.flush()
        self._tell("remittance.made", remittance, amount=remittance.total)
        return remittance

    def _add(
        self,
        regie: str,
        since: date | None,
        until: date | None,
        note: str,
        lines: Sequence[InHand],
        which: Sequence[ColumnElement[bool]],
    ) -> Remittance:
        """Write a remittance with the next number, its lines, and the entries that it takes."""
        now = self._clock.now()
        year = today(now).year
        first, last = self._session.execute(
            select(func.min(JournalEntry.at), func.max(JournalEntry.at)).where(*which)
        ).one()
        remittance = Remittance(
            tenant_id=self._tenant,
            regie=regie,
            year=year,
            number=self._next_number(regie, year),
            made_at=now,
            since=since or today(first),
            until=until or today(last),
            total=sum(line.amount for line in lines),
            note=note,
            actor=self._audit.actor,
            hash="",
        )
        self._session.add(remittance)
        self._session.flush()
        self._take(remittance.id, which)
        for line in lines:
            self._session.add(
                RemittanceLine(
                    tenant_id=self._tenant,
                    remittance_id=remittance.id,
                    means=line.means,
                    count=line.count,
                    amount=line.amount,
                )
            )
        self._session.flush()
        return remittance

    def replace(self, old: Collection[int], new: Collection[int]) -> None:
        """Let payments take the place of others in the remittance that took these.

        For money that stays where it is while it is told otherwise whose it is: the counter-entries
        of the old payments and the entries of the new ones come to nothing. Nothing happens where
        they do not, or where the old ones are in hand.
        """
        taken = self._session.scalars(
            select(RemittanceEntry.remittance_id)
            .join(JournalEntry, _of_entry())
            .where(
                JournalEntry.tenant_id == self._tenant,
                JournalEntry.payment_id.in_(list(old)),
                RemittanceEntry.released_at.is_(None),
            )
            .distinct()
        ).all()
        if len(taken) != 1:
            return
        which = self._in_hand(self.get(taken[0]).regie, None, None, [*old, *new])
        if any(line.amount for line in self._by_means(which)):
            return
        self._take(taken[0], which)

    def leave(self, remittance_id: int, *, carrier: str) -> None:
        """Note that a remittance left the till, and who took it away: it is final.

        Raises:
            UserError: it left already, or was cancelled.
        """
        self._change(
            remittance_id,
            left_at=self._clock.now(),
            left_by=self._audit.actor,
            carrier=carrier[:SHORT_NAME],
        )
        self._audit.write("remittance.left", f"remittance:{remittance_id}", carrier=carrier)

    def cancel(self, remittance_id: int, *, reason: str) -> None:
        """Cancel a remittance that has not left, by counter-entries: its money is in hand again.

        Raises:
            UserError: it left, or was cancelled already.
        """
        journal = self._journal.open(self.get(remittance_id).regie)
        now = self._clock.now()
        self._change(
            remittance_id,
            cancelled_at=now,
            cancelled_by=self._audit.actor,
            cancel_reason=reason[:SHORT_NAME],
        )
        remittance = self.get(remittance_id)
        for line in self.lines(remittance_id):
            journal.enter(
                EntryKind.REMITTANCE_UNDONE,
                receipt=remittance.name,
                means=line.means,
                amount=line.amount,
                remittance_id=remittance_id,
            )
        self._session.execute(
            update(RemittanceEntry)
            .where(
                RemittanceEntry.tenant_id == self._tenant,
                RemittanceEntry.remittance_id == remittance_id,
            )
            .values(released_at=now)
        )
        self._tell("remittance.cancelled", remittance, reason=reason)

    def _take(self, remittance_id: int, which: Sequence[ColumnElement[bool]]) -> None:
        self._session.execute(
            insert(RemittanceEntry).from_select(
                ["tenant_id", "remittance_id", "entry_id"],
                select(literal(self._tenant), literal(remittance_id), JournalEntry.id).where(
                    *which
                ),
            )
        )

    def _change(self, remittance_id: int, **values: Any) -> None:
        changed = self._session.scalar(
            update(Remittance)
            .where(
                Remittance.tenant_id == self._tenant,
                Remittance.id == remittance_id,
                Remittance.left_at.is_(None),
                Remittance.cancelled_at.is_(None),
            )
            .values(**values)
            .returning(Remittance.id)
            .execution_options(synchronize_session=False)
        )
        if changed is None:
            found = self.get(remittance_id)
            raise UserError(
                _("Ce versement est déjà parti.")
                if found.left_at
                else _("Ce versement est déjà annulé.")
            )
        self._session.expire_all()

    def _next_number(self, regie: str, year: int) -> int:
        last = self._session.scalar(
            select(func.max(Remittance.number)).where(
                Remittance.tenant_id == self._tenant,
                Remittance.regie == regie,
                Remittance.year == year,
            )
        )
        return (last or 0) + 1

    def _tell(self, action: str, remittance: Remittance, **details: Any) -> None:
        self._audit.write(
            action,
            f"remittance:{remittance.id}",
            regie=remittance.regie,
            number=remittance.name,
            **details,
        )
        state = "cancelled" if remittance.cancelled_at else "made"
        event = RemittanceChanged(
            id=f"remittance-{remittance.id}-{state}",
            remittance_id=remittance.id,
            regie=remittance.regie,
        )
        self._events().tell_plugins("remittance_changed", event.id, event)

    # --- Remittances -------------------------------------------------------------------------

    def get(self, remittance_id: int) -> Remittance:
        """One remittance. Raises `NotFoundError` when there is none."""
        found = self._session.scalar(
            select(Remittance)
            .where(Remittance.tenant_id == self._tenant, Remittance.id == remittance_id)
            .execution_options(populate_existing=True)
        )
        if found is None:
            raise NotFoundError
        return found

    def page(self, regie: str, *, before: int | None = None) -> Page:
        """The remittances of a régie, the last one first."""
        query = select(Remittance).where(
            Remittance.tenant_id == self._tenant, Remittance.regie == regie
        )
        return newest(self._session, query, Remittance.id, before)

    def acts(self, regie: str, since: datetime, until: datetime) -> Sequence[Any]:
        """Remittances that were made or cancelled in a period, with `at` and signed `cents`.

        Read from the journal: one that is cancelled later stays as it was in the period in which
        it was made, and is taken off in that of its counter-entry.
        """
        number = func.min(JournalEntry.number)
        return self._session.execute(
            select(
                Remittance,
                JournalEntry.kind,
                func.min(JournalEntry.at).label("at"),
                cast(-func.sum(JournalEntry.amount), BigInteger).label("cents"),
            )
            .join(Remittance, _of_own_entry())
            .where(
                JournalEntry.tenant_id == self._tenant,
                JournalEntry.regie == regie,
                JournalEntry.at >= since,
                JournalEntry.at < until,
            )
            .group_by(Remittance.tenant_id, Remittance.id, JournalEntry.kind, JournalEntry.year)
            .order_by(JournalEntry.year, number)
        ).all()

    def returned(self, regie: str, until: datetime) -> dict[str, int]:
        """Cents of each means that were returned and not taken off yet, at a moment: negative."""
        own, undone = aliased(JournalEntry), aliased(JournalEntry)

        def written(entry: Any, kind: EntryKind) -> ColumnElement[bool]:
            return exists().where(
                entry.tenant_id == RemittanceEntry.tenant_id,
                entry.remittance_id == RemittanceEntry.remittance_id,
                entry.kind == kind,
                entry.at < until,
            )

        payments = _payments_of(
            [
                JournalEntry.tenant_id == self._tenant,
                JournalEntry.regie == regie,
                OF_MONEY,
                JournalEntry.at < until,
                ~exists().where(
                    _of_entry(),
                    written(own, EntryKind.REMITTED),
                    ~written(undone, EntryKind.REMITTANCE_UNDONE),
                ),
            ]
        )
        rows = self._session.execute(
            select(payments.c.means, func.sum(payments.c.amount))
            .where(_is_returned(payments))
            .group_by(payments.c.means)
        )
        return {means: int(cents) for means, cents in rows}

    def lines(self, remittance_id: int) -> Sequence[RemittanceLine]:
        """The means of a remittance."""
        return self._session.scalars(
            select(RemittanceLine)
            .where(
                RemittanceLine.tenant_id == self._tenant,
                RemittanceLine.remittance_id == remittance_id,
            )
            .order_by(RemittanceLine.means)
        ).all()

    def parts(self, remittance: Remittance) -> list[InHand]:
        """The means of a remittance, as it was made: what was there, and what was taken off."""
        return self._by_means(self._as_made(remittance.id))

    def payments_of(self, remittance_id: int) -> list[RemittedPayment]:
        """The payments that a remittance took, in the journal's order; so too once cancelled."""
        return self._list(self._taken_by(remittance_id))

    def entries_of(self, remittance_id: int) -> Sequence[JournalEntry]:
        """The remittance's own entries in the journal."""
        return self._session.scalars(
            select(JournalEntry)
            .where(
                JournalEntry.tenant_id == self._tenant,
                JournalEntry.remittance_id == remittance_id,
            )
            .order_by(JournalEntry.id)
        ).all()

    def agrees(self, remittance: Remittance) -> bool:
        """True if the remittance still says what the journal and its payments say."""
        lines = {line.means: (line.count, line.amount) for line in self.lines(remittance.id)}
        cents = {means: amount for means, (_count, amount) in lines.items()}
        own = [
            entry
            for entry in self.entries_of(remittance.id)
            if entry.kind == EntryKind.REMITTED
        ]
        now = self._by_means(self._taken_by(remittance.id))
        return (
            lines == {one.means: (one.count, one.amount) for one in self.parts(remittance)}
            and cents == {one.means: one.amount for one in now}
            and cents == {entry.means: -entry.amount for entry in own}
            and sum(cents.values()) == remittance.total
            and remittance.hash in {entry.hash for entry in own}
        )

    def places(self, payment_ids: Collection[int], means: str) -> Mapping[int, str]:
        """Name of the remittance in force that took each payment of this means; "": it is in hand.

        A payment that came back before it left is neither, and is left out.
        """
        cents = func.sum(JournalEntry.amount)
        rows = self._session.execute(
            select(JournalEntry.payment_id, Remittance)
            .outerjoin(
                RemittanceEntry, and_(_of_entry(), RemittanceEntry.released_at.is_(None))
            )
            .outerjoin(
                Remittance,
                and_(
                    Remittance.tenant_id == RemittanceEntry.tenant_id,
                    Remittance.id == RemittanceEntry.remittance_id,
                ),
            )
            .where(
                JournalEntry.tenant_id == self._tenant,
                JournalEntry.payment_id.in_(list(payment_ids)),
                JournalEntry.means == means,
            )
            .group_by(JournalEntry.payment_id, Remittance.tenant_id, Remittance.id)
            .having(cents > 0)
        )
        return {
            payment_id: one.name if one else ""
            for payment_id, one in rows
            if payment_id is not None
        }

    # --- The definition ----------------------------------------------------------------------

    def _in_hand(
        self,
        regie: str,
        since: date | None,
        until: date | None,
        payment_ids: Collection[int] | None,
    ) -> list[ColumnElement[bool]]:
        """SQL: entries of money that no remittance in force took."""
        which = [
            JournalEntry.tenant_id == self._tenant,
            JournalEntry.regie == regie,
            OF_MONEY,
            ~exists().where(_of_entry(), RemittanceEntry.released_at.is_(None)),
        ]
        which += on_days(JournalEntry.at, since, until)
        if payment_ids is not None:
            which.append(JournalEntry.payment_id.in_(list(payment_ids)))
        return which

    def _taken_by(self, remittance_id: int) -> list[ColumnElement[bool]]:
        """SQL: entries of money that this remittance took, in force or not."""
        return [
            JournalEntry.tenant_id == self._tenant,
            exists().where(_of_entry(), RemittanceEntry.remittance_id == remittance_id),
        ]

    def _as_made(self, remittance_id: int) -> list[ColumnElement[bool]]:
        """SQL: entries that a remittance took when it was made.

        One payment that is replaced by two later is the same money.
        """
        own = aliased(JournalEntry)
        first = (
            select(func.min(own.id))
            .where(
                own.tenant_id == self._tenant,
                own.remittance_id == remittance_id,
                own.kind == EntryKind.REMITTED,
            )
            .scalar_subquery()
        )
        return [*self._taken_by(remittance_id), JournalEntry.id < first]

    def _by_means(self, which: Sequence[ColumnElement[bool]]) -> list[InHand]:
        payments = _payments_of(which)
        returned = _is_returned(payments)
        rows = self._session.execute(
            select(
                payments.c.means,
                func.count().filter(payments.c.amount != 0),
                func.sum(payments.c.amount),
                func.count().filter(returned),
                func.coalesce(func.sum(payments.c.amount).filter(returned), 0),
            )
            .group_by(payments.c.means)
            .order_by(payments.c.means)
        )
        return [
            InHand(means, count, int(cents), returned_count, int(back))
            for means, count, cents, returned_count, back in rows
        ]

    def _list(self, which: Sequence[ColumnElement[bool]]) -> list[RemittedPayment]:
        payments = _payments_of(which)
        rows = self._session.execute(
            select(Payment, payments.c.means, payments.c.amount)
            .join(payments, payments.c.payment_id == Payment.id)
            .where(Payment.tenant_id == self._tenant, payments.c.amount != 0)
            .order_by(payments.c.first)
        ).all()
        titles = self._titles.of({payment.id for payment, *_rest in rows})
        return [
            RemittedPayment(
                payment_id=payment.id,
                means=means,
                amount=int(cents),
                receipt=payment.receipt_number,
                paid_at=payment.paid_at,
                payer=payment.payer,
                reference=" ".join(
                    filter(
                        None,
                        (
                            payment.authorisation,
                            payment.note,
                            *(titles.get(payment.id, ()) if self._is_title(payment, means) else ()),
                        ),
                    )
                ),
            )
            for payment, means, cents in rows
        ]

    def _is_title(self, payment: Payment, means: str) -> bool:
        """Tell whether numbers of titles are those of this means: it may have been corrected."""
        return self._town.one_means(payment.regie, means).is_title


def _payments_of(which: Sequence[ColumnElement[bool]]) -> Subquery:
    """SQL: the payments that entries are made of, by means: what came less what went back.

    A payment that came and went back within them stands with nothing, and is listed nowhere.
    """
    return (
        select(
            JournalEntry.means,
            JournalEntry.payment_id,
            func.sum(JournalEntry.amount).label("amount"),
            func.min(JournalEntry.id).label("first"),
        )
        .where(*which)
        .group_by(JournalEntry.means, JournalEntry.payment_id)
        .subquery()
    )


def _is_returned(payments: Subquery) -> ColumnElement[bool]:
    """SQL: what is left of a payment in hand is that it came back, after it had left."""
    return and_(payments.c.amount < 0, payments.c.means != Means.CASH)


def _of_own_entry() -> ColumnElement[bool]:
    return and_(
        Remittance.tenant_id == JournalEntry.tenant_id,
        Remittance.id == JournalEntry.remittance_id,
    )


def _of_entry() -> ColumnElement[bool]:
    return and_(
        RemittanceEntry.tenant_id == JournalEntry.tenant_id,
        RemittanceEntry.entry_id == JournalEntry.id,
    )


class PluginRemittances:
    """Remittances as plugins use them; satisfies `core.api.context.Remittances`."""

    def __init__(self, remittances: Remittances) -> None:
        self._remittances = remittances

    def make(
        self, regie: str, means: str, payment_ids: Collection[int], *, note: str = ""
    ) -> RemittanceInfo:
        """Remit these payments of one means, all of which are in hand."""
        made = self._remittances.make(regie, means=[means], payment_ids=payment_ids, note=note)
        return self._info(made)

    def replace(self, old: Collection[int], new: Collection[int]) -> None:
        """Let payments take the place of others in the remittance that took these."""
        self._remittances.replace(old, new)

    def get(self, remittance_id: int) -> RemittanceInfo | None:
        """One remittance, or None."""
        try:
            return self._info(self._remittances.get(remittance_id))
        except NotFoundError:
            return None

    def _info(self, made: Remittance) -> RemittanceInfo:
        return RemittanceInfo(
            id=made.id,
            regie=made.regie,
            name=made.name,
            made_on=made.made_at.astimezone(PARIS).date(),
            total=made.total,
            in_force=made.cancelled_at is None,
            payments={
                one.payment_id: one.means
                for one in self._remittances.payments_of(made.id)
                if one.amount > 0
            },
        )
