"""Days for the billing software: the whole of a period, or each row once in numbered exports.

An export is kept row by row and can be fetched again as it was. What changed after its export goes
out in the next one, as a correction with the units that are more or less.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date

from sqlalchemy import func, or_, select, text
from sqlalchemy.dialects.postgresql import insert

from core.plugin import TenantContext, UserError, csv_text
from core.plugin import gettext as _
from plugins.planning import tables
from plugins.planning.desk import ABSENT, PRESENT
from plugins.planning.models import (
    PlanningAttendance,
    PlanningBooking,
    PlanningExport,
    PlanningExported,
)
from plugins.planning.rules import TAKEN, State

MAX_SPAN_DAYS = 400
SHOWN_EXPORTS = 12
COLUMNS = ("enfant", "nom", "service", "jour", "lieu", "repas", "etat", "hors_delai", "annonce_le",
           "justifie", "presence", "unites")  # fmt: skip
_BILLED = {State.BOOKED.value: "reserve", State.ABSENT.value: "absence_annoncee"}
_SERVICE, _STATE, _UNITS = (COLUMNS.index(name) for name in ("service", "etat", "unites"))
"""Before the service stands who the child is: another writing of its name corrects nothing."""
_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")

Key = tuple[int, str, date]


@dataclass(frozen=True, slots=True)
class Export:
    """One export: its number, and its file."""

    id: int
    count: int
    content: str


class Billing:
    """The exports of a town. `actor` is who makes them."""

    def __init__(self, ctx: TenantContext, *, actor: str) -> None:
        self._ctx = ctx
        self._actor = actor
        self._tenant = ctx.town.slug

    def whole(self, first: date, last: date) -> str:
        """Every day of a period, as CSV: child, service and day, each once.

        Presences without a booking stand in it too; prices are the billing software's business.

        Raises:
            UserError: a period that cannot be.
        """
        return tables.written([COLUMNS, *self._rows(first, last).values()])

    def export(self, first: date, last: date) -> Export | None:
        """Export what no export had yet, and corrections; None without anything new.

        Raises:
            UserError: a period that cannot be.
        """
        # One export at a time: each row goes out by one of them.
        self._ctx.session.execute(_ONE_AT_A_TIME, {"name": f"planning-export/{self._tenant}"})
        rows = self._rows(first, last)
        fresh = dict(self._against_before(first, last, rows))
        if not fresh:
            return None
        export = PlanningExport(
            tenant_id=self._tenant, at=self._ctx.clock.now(), actor=self._actor, first=first,
            last=last, count=len(fresh),
        )  # fmt: skip
        self._ctx.session.add(export)
        self._ctx.session.flush()
        self._ctx.session.execute(
            insert(PlanningExported),
            [
                {"tenant_id": self._tenant, "export_id": export.id, "child_id": child,
                 "service": service, "day": day, "row": list(row)}
                for (child, service, day), row in fresh.items()
            ],
        )  # fmt: skip
        return Export(export.id, len(fresh), tables.written([COLUMNS, *fresh.values()]))

    def again(self, export_id: int) -> Export | None:
        """An export as it was; None if there is none of this number."""
        export = self._ctx.session.get(PlanningExport, (self._tenant, export_id))
        if export is None:
            return None
        rows = self._ctx.session.scalars(
            select(PlanningExported.row)
            .where(
                PlanningExported.tenant_id == self._tenant, PlanningExported.export_id == export_id
            )
            .order_by(PlanningExported.id)
        ).all()
        return Export(export.id, export.count, tables.written([COLUMNS, *rows]))

    def latest(self) -> Sequence[PlanningExport]:
        """The latest exports."""
        return self._ctx.session.scalars(
            select(PlanningExport)
            .where(PlanningExport.tenant_id == self._tenant)
            .order_by(PlanningExport.id.desc())
            .limit(SHOWN_EXPORTS)
        ).all()

    # --- inside --------------------------------------------------------------------------------

    def _against_before(
        self, first: date, last: date, rows: dict[Key, list[str]]
    ) -> list[tuple[Key, list[str]]]:
        table = PlanningExported
        known: dict[Key, list[str]] = {}
        units: dict[Key, int] = {}
        for row in self._ctx.session.execute(
            select(table.child_id, table.service, table.day, table.row)
            .where(table.tenant_id == self._tenant, table.day.between(first, last))
            .order_by(table.id)
        ):
            key = (row.child_id, row.service, row.day)
            known[key] = row.row
            units[key] = units.get(key, 0) + int(row.row[_UNITS])
        found = []
        for key, now in rows.items():
            if key not in known:
                found.append((key, now))
            elif known[key][_SERVICE:_UNITS] != now[_SERVICE:_UNITS]:
                found.append((key, [*now[:_UNITS], str(int(now[_UNITS]) - units[key])]))
        for key in sorted(known.keys() - rows.keys(), key=lambda one: (one[2], one[1], one[0])):
            if units[key]:
                gone = list(known[key])
                gone[_STATE], gone[_UNITS] = "annule", str(-units[key])
                found.append((key, gone))
        return found

    def _rows(self, first: date, last: date) -> dict[Key, list[str]]:
        if not 0 <= (last - first).days <= MAX_SPAN_DAYS:
            raise UserError(_("La période va d’un jour à un jour suivant, sur un an au plus."))
        booking = (
            select(PlanningBooking)
            .where(
                PlanningBooking.tenant_id == self._tenant,
                PlanningBooking.day.between(first, last),
            )
            .subquery("booking")
        )
        there = (
            select(PlanningAttendance)
            .where(
                PlanningAttendance.tenant_id == self._tenant,
                PlanningAttendance.day.between(first, last),
            )
            .subquery("there")
        )
        same = (
            (there.c.child_id == booking.c.child_id)
            & (there.c.service == booking.c.service)
            & (there.c.day == booking.c.day)
        )
        rows = self._ctx.session.execute(
            select(
                func.coalesce(booking.c.child_id, there.c.child_id).label("child_id"),
                func.coalesce(booking.c.service, there.c.service).label("service"),
                func.coalesce(booking.c.day, there.c.day).label("day"),
                booking.c.place, booking.c.meal, booking.c.state, booking.c.late,
                booking.c.justified, booking.c.changed_at, there.c.mark,
            )
            .select_from(booking.join(there, same, full=True))
            .where(or_(booking.c.state.in_(sorted(TAKEN)), there.c.mark == PRESENT))
            .order_by("day", "service", "child_id")
        ).all()  # fmt: skip
        children = self._ctx.families.children_by_id({row.child_id for row in rows})
        found = {}
        for row in rows:
            child = children.get(row.child_id)
            absent = row.state == State.ABSENT
            found[row.child_id, row.service, row.day] = [
                csv_text(child.code if child else str(row.child_id)),
                csv_text(child.name if child else ""),
                row.service, row.day.isoformat(), csv_text(row.place or ""),
                csv_text(row.meal or ""),
                _BILLED.get(row.state or "", "present_non_reserve"),
                "oui" if row.late else "non",
                row.changed_at.astimezone(UTC).isoformat(timespec="seconds") if absent else "",
                {True: "oui", False: "non", None: ""}[row.justified] if absent else "",
                {PRESENT: "present", ABSENT: "absent"}.get(row.mark or "", ""), "1",
            ]  # fmt: skip
        return found
