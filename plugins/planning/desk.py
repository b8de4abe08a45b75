"""Work of agents: count, list, mark presence, close a day, decide late, export for billing."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import delete, exists, func, select
from sqlalchemy.dialects.postgresql import insert

from core.plugin import ChildInfo, Notification, TenantContext, UserError
from core.plugin import gettext as _
from plugins.planning import telling
from plugins.planning.book import Book
from plugins.planning.models import (
    PlanningAttendance,
    PlanningBooking,
    PlanningChange,
    PlanningClosure,
    PlanningEnrolment,
    PlanningHome,
)
from plugins.planning.rules import TAKEN, State, Weeks

PRESENT, ABSENT = "present", "absent"
MARKS = (PRESENT, ABSENT)
OLDEST_TAP = timedelta(days=3)
"""A tap that a telephone kept for longer is no longer believed: the page is looked at again."""


@dataclass(frozen=True, slots=True)
class Count:
    """Numbers of children of one service, place and meal code."""

    service: str
    place: str
    meal: str
    booked: int
    absent: int
    waiting: int


@dataclass(frozen=True, slots=True)
class Line:
    """A child on the list of a service's day."""

    child: ChildInfo
    place: str
    meal: str
    state: State | None
    """None: enrolled, not booked."""
    late: bool
    mark: str
    justified: bool | None

    @property
    def unplanned(self) -> bool:
        """True if the child is there without a booking."""
        return self.mark == PRESENT and self.state not in TAKEN


class Desk:
    """The days of a town, as an agent (`actor`) handles them."""

    def __init__(self, ctx: TenantContext, book: Book, *, actor: str) -> None:
        self._ctx = ctx
        self._book = book
        self._actor = actor
        self._tenant = ctx.town.slug

    def counts(self, day: date) -> Sequence[Count]:
        """The day's children by service, place and meal code, in the services' order."""
        table = PlanningBooking
        rows = self._ctx.session.execute(
            select(
                table.service, table.place, table.meal,
                func.count().filter(table.state == State.BOOKED).label("booked"),
                func.count().filter(table.state == State.ABSENT).label("absent"),
                func.count().filter(table.state == State.WAITING).label("waiting"),
            )
            .where(
                table.tenant_id == self._tenant,
                table.day == day,
                table.state.in_([State.BOOKED, State.ABSENT, State.WAITING]),
            )
            .group_by(table.service, table.place, table.meal)
        ).all()  # fmt: skip
        order = {key: number for number, key in enumerate(self._book.services)}
        found = [
            Count(row.service, row.place, row.meal, row.booked, row.absent, row.waiting)
            for row in rows
        ]
        return sorted(
            found,
            key=lambda one: (order.get(one.service, len(order)), one.service, one.place, one.meal),
        )

    def lines(self, service: str, day: date, place: str = "") -> list[Line]:
        """The children of a service's day, then those who are enrolled only, by place and name."""
        rows, held, marks = (
            self._booked(service, day), self._enrolled(service, day), self._marks(service, day)
        )  # fmt: skip
        children = self._ctx.families.children_by_id({*rows, *held, *marks})
        found = []
        for child_id, child in children.items():
            row, enrolment = rows.get(child_id), held.get(child_id)
            where = row.place if row else enrolment.place if enrolment else ""
            if place and where != place:
                continue
            found.append(
                Line(
                    child, where, row.meal if row else enrolment.meal if enrolment else "",
                    State(row.state) if row else None, bool(row and row.late),
                    marks.get(child_id, ""), row.justified if row else None,
                )
            )  # fmt: skip
        return sorted(
            found, key=lambda line: (line.place, line.child.name.casefold(), line.child.id)
        )

    def _booked(self, service: str, day: date) -> dict[int, Any]:
        table = PlanningBooking
        found = self._ctx.session.execute(
            select(table.child_id, table.place, table.meal, table.state, table.late,
                   table.justified, table.queued)
            .where(
                table.tenant_id == self._tenant, table.service == service, table.day == day,
                table.state.in_([State.BOOKED, State.ABSENT, State.WAITING]),
            )
        )  # fmt: skip
        return {row.child_id: row for row in found}

    def _enrolled(self, service: str, day: date) -> dict[int, Any]:
        table = PlanningEnrolment
        found = self._ctx.session.execute(
            select(table.child_id, table.place, table.meal)
            .where(
                table.tenant_id == self._tenant,
                table.service == service,
                table.first <= day,
                table.last >= day,
            )
            .order_by(table.first)
        )
        return {row.child_id: row for row in found}

    def _marks(self, service: str, day: date) -> dict[int, str]:
        table = PlanningAttendance
        found = self._ctx.session.execute(
            select(table.child_id, table.mark).where(
                table.tenant_id == self._tenant, table.service == service, table.day == day
            )
        )
        return {row.child_id: row.mark for row in found}

    def mark(
        self, child_id: int, service: str, day: date, mark: str, tapped_at: datetime | None
    ) -> None:
        """Note that a child is there or not. The latest tap counts, however late it arrives.

        The same tap again changes nothing, so that a telephone may send it until it is answered.

        Raises:
            UserError: no such child or service, or a tap that is too old to be believed.
        """
        now = self._ctx.clock.now()
        at = now if tapped_at is None else min(tapped_at, now)
        if now - at > OLDEST_TAP:
            raise UserError(_("Ce pointage est trop ancien : vérifiez-le sur la page."))
        if mark not in MARKS or service not in self._book.services:
            raise UserError(_("Ce pointage est illisible."))
        if self._ctx.families.child(child_id) is None:
            raise UserError(_("Cet enfant n’existe pas."))
        self._book.lock_day(service, day)
        old = self._ctx.session.scalar(
            select(PlanningAttendance).where(
                PlanningAttendance.tenant_id == self._tenant,
                PlanningAttendance.child_id == child_id,
                PlanningAttendance.service == service,
                PlanningAttendance.day == day,
            )
        )
        if old is not None and old.tapped_at >= at:
            return
        before = old.mark if old is not None else ""
        if old is None:
            self._ctx.session.add(
                PlanningAttendance(
                    tenant_id=self._tenant, child_id=child_id, service=service, day=day, mark=mark,
                    tapped_at=at, actor=self._actor,
                )
            )  # fmt: skip
        else:
            old.mark, old.tapped_at, old.actor = mark, at, self._actor
        if before != mark:
            self._note(child_id, service, day, before, mark, "")
        self._ctx.session.flush()

    def close(self, day: date, services: Collection[str], place: str, reason: str) -> int:
        """Close a day: what is booked is cancelled and its families are told; how many children.

        Raises:
            UserError: no reason, no service, or it is closed already.
        """
        wanted = [key for key in self._book.services if key in services]
        if not reason:
            raise UserError(_("Dites pourquoi : les familles le liront."))
        if not wanted:
            raise UserError(_("Choisissez au moins un service."))
        for service in sorted(wanted):
            self._book.lock_day(service, day)
        now = self._ctx.clock.now()
        made = self._ctx.session.execute(
            insert(PlanningClosure)
            .values(
                [
                    {"tenant_id": self._tenant, "day": day, "service": service, "place": place,
                     "reason": reason, "actor": self._actor, "at": now}
                    for service in wanted
                ]
            )
            .on_conflict_do_nothing()
            .returning(PlanningClosure.service)
        ).scalars().all()  # fmt: skip
        if not made:
            raise UserError(_("Ce jour est déjà fermé."))
        return self._turn(
            day, made, place,
            lambda row: State.CLOSED if row.state in {*TAKEN, State.WAITING} else None,
            reason, is_open=False,
        )  # fmt: skip

    def reopen(self, day: date, service: str, place: str) -> int:
        """Take a closure back: days become what they were; how many children.

        Raises:
            UserError: it is not closed.
        """
        self._book.lock_day(service, day)
        gone = self._ctx.session.execute(
            delete(PlanningClosure)
            .where(
                PlanningClosure.tenant_id == self._tenant,
                PlanningClosure.day == day,
                PlanningClosure.service == service,
                PlanningClosure.place == place,
            )
            .returning(PlanningClosure.id)
        ).all()
        if not gone:
            raise UserError(_("Ce jour n’est pas fermé."))
        latest = {
            row.child_id: row.before
            for row in self._ctx.session.execute(
                select(PlanningChange.child_id, PlanningChange.before)
                .where(
                    PlanningChange.tenant_id == self._tenant,
                    PlanningChange.service == service,
                    PlanningChange.day == day,
                    PlanningChange.after == State.CLOSED,
                )
                .order_by(PlanningChange.id)
            )
        }
        # Another closure may still hold, of one place or of all.
        still = set(
            self._ctx.session.scalars(
                select(PlanningClosure.place).where(
                    PlanningClosure.tenant_id == self._tenant,
                    PlanningClosure.day == day,
                    PlanningClosure.service.in_(["", service]),
                )
            )
        )
        return self._turn(
            day, [service], place,
            lambda row: (
                State(latest.get(row.child_id, State.CANCELLED))
                if row.state == State.CLOSED and not still & {"", row.place}
                else None
            ),
            _("réouverture"), is_open=True,
        )  # fmt: skip

    def closures(self, since: date) -> Sequence[PlanningClosure]:
        """Closed days from `since` on."""
        return self._ctx.session.scalars(
            select(PlanningClosure)
            .where(PlanningClosure.tenant_id == self._tenant, PlanningClosure.day >= since)
            .order_by(PlanningClosure.day, PlanningClosure.service, PlanningClosure.place)
        ).all()

    def justify(self, child_id: int, service: str, day: date, *, justified: bool) -> None:
        """Decide on an absence that was announced."""
        self._book.lock_day(service, day)
        row = self._ctx.session.scalar(
            select(PlanningBooking).where(
                PlanningBooking.tenant_id == self._tenant,
                PlanningBooking.child_id == child_id,
                PlanningBooking.service == service,
                PlanningBooking.day == day,
            )
        )
        if row is None or row.state != State.ABSENT:
            raise UserError(_("Aucune absence n’est annoncée ce jour-là."))
        if row.justified is not justified:
            row.justified = justified
            word = "justified" if justified else "not justified"
            self._note(child_id, service, day, State.ABSENT, State.ABSENT, word)
        self._ctx.session.flush()

    def set_home(self, child_id: int, family_id: int, weeks: Weeks, handover: int) -> None:
        """Say which weeks one of a child's homes may change."""
        child = self._ctx.families.child(child_id)
        if child is None or family_id not in child.family_ids or handover not in range(7):
            raise UserError(_("Ce foyer n’est pas celui de l’enfant."))
        wanted = insert(PlanningHome).values(
            tenant_id=self._tenant, child_id=child_id, family_id=family_id, weeks=weeks.value,
            handover=handover,
        )  # fmt: skip
        self._ctx.session.execute(
            wanted.on_conflict_do_update(
                index_elements=["tenant_id", "child_id", "family_id"],
                set_={"weeks": wanted.excluded.weeks, "handover": wanted.excluded.handover},
            )
        )

    def homes(self, child_id: int) -> dict[int, PlanningHome]:
        """The weeks of a child's homes, by family."""
        rows = self._ctx.session.scalars(
            select(PlanningHome).where(
                PlanningHome.tenant_id == self._tenant, PlanningHome.child_id == child_id
            )
        )
        return {row.family_id: row for row in rows}

    def waiting(self, since: date) -> Sequence[PlanningBooking]:
        """Children who wait for a place, by day and in order."""
        table = PlanningBooking
        return self._ctx.session.scalars(
            select(table)
            .where(
                table.tenant_id == self._tenant, table.state == State.WAITING, table.day >= since
            )
            .order_by(table.day, table.service, table.place, table.queued)
        ).all()

    def without(self, monday: date) -> list[tuple[ChildInfo, str]]:
        """Children who may book and have nothing in a week, with the service."""
        sunday = monday + timedelta(days=6)
        booked = exists().where(
            PlanningBooking.tenant_id == PlanningEnrolment.tenant_id,
            PlanningBooking.child_id == PlanningEnrolment.child_id,
            PlanningBooking.service == PlanningEnrolment.service,
            PlanningBooking.day.between(monday, sunday),
            PlanningBooking.state.in_([State.BOOKED, State.ABSENT, State.WAITING]),
        )
        rows = self._ctx.session.execute(
            select(PlanningEnrolment.child_id, PlanningEnrolment.service)
            .where(
                PlanningEnrolment.tenant_id == self._tenant,
                PlanningEnrolment.first <= sunday,
                PlanningEnrolment.last >= monday,
                ~booked,
            )
            .distinct()
        ).all()
        children = self._ctx.families.children_by_id({row.child_id for row in rows})
        found = [
            (children[row.child_id], row.service) for row in rows if row.child_id in children
        ]
        return sorted(found, key=lambda pair: (pair[1], pair[0].name.casefold(), pair[0].id))

    def trail(self, child_id: int, limit: int = 100) -> Sequence[PlanningChange]:
        """History of a child's days, the latest change first."""
        return self._ctx.session.scalars(
            select(PlanningChange)
            .where(PlanningChange.tenant_id == self._tenant, PlanningChange.child_id == child_id)
            .order_by(PlanningChange.id.desc())
            .limit(limit)
        ).all()

    # --- inside --------------------------------------------------------------------------------

    def _turn(
        self,
        day: date,
        services: Iterable[str],
        place: str,
        to: Callable[[PlanningBooking], State | None],
        reason: str,
        *,
        is_open: bool,
    ) -> int:
        table, now = PlanningBooking, self._ctx.clock.now()
        key = f"close/{day}/{place}/{now.isoformat()}"
        rows = self._ctx.session.scalars(
            select(table).where(
                table.tenant_id == self._tenant,
                table.day == day,
                table.service.in_(list(services)),
                *([table.place == place] if place else []),
            )
        ).all()
        told: dict[int, list[list[object]]] = defaultdict(list)
        turned = set()
        children = self._ctx.families.children_by_id({row.child_id for row in rows})
        for row in rows:
            state = to(row)
            if state is None:
                continue
            self._note(row.child_id, row.service, day, row.state, state, reason, key)
            row.state, row.changed_at = state, now
            turned.add(row.child_id)
            child = children.get(row.child_id)
            for family_id in child.family_ids if child else ():
                told[family_id].append([row.child_id, row.service])
        from plugins.planning import plugin  # noqa: PLC0415 - the plugin object imports us

        self._ctx.messages.send(
            plugin,
            telling.CLOSED,
            *(
                Notification(
                    _short(f"{key}/{family_id}"), family_id,
                    {"day": day.isoformat(), "reason": reason, "booked": booked, "open": is_open},
                )
                for family_id, booked in sorted(told.items())
            ),
            bulk=True,
        )  # fmt: skip
        self._ctx.session.flush()
        return len(turned)

    def _note(
        self, child_id: int, service: str, day: date, before: str, after: str, reason: str,
        key: str = "",
    ) -> None:  # fmt: skip
        self._ctx.session.add(
            PlanningChange(
                tenant_id=self._tenant, child_id=child_id, service=service, day=day,
                at=self._ctx.clock.now(), actor=self._actor, before=before, after=after, late=False,
                reason=reason, request=key,
            )
        )  # fmt: skip


def _short(key: str) -> str:
    return key if len(key) < 180 else hashlib.sha256(key.encode()).hexdigest()
