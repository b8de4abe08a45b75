"""The caterer's order: frozen at the deadline and mailed, later changes as a difference."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import func, select

from core.plugin import PARIS, Document, Notification, TenantContext, Wording, csv_text
from core.plugin import gettext as _
from plugins.planning import labels, tables
from plugins.planning.book import Book
from plugins.planning.models import PlanningBooking, PlanningOrder
from plugins.planning.rules import NEVER, DeadlineKind, Service, State, instant
from plugins.planning.settings import PlanningSettings

ORDER = "order"
FURTHEST_DAYS = 70
"""Days ahead that deadlines may lie; "day 1 of the month before" is 61 days."""

Counts = list[list[Any]]


class Orders:
    """The orders of one town."""

    def __init__(self, ctx: TenantContext, book: Book) -> None:
        self._ctx = ctx
        self._book = book

    def run(self) -> int:
        """Freeze what is due and mail what changed; how many mails are asked for."""
        now = self._ctx.clock.now()
        today = now.astimezone(PARIS).date()
        mails = 0
        for key, service in self._book.services.items():
            if not service.order:
                continue
            for number in range(FURTHEST_DAYS):
                day = today + timedelta(days=number)
                if service.opens(day, self._book.calendar) and now >= self.due(service, day):
                    mails += self._freeze(key, day, now)
        return mails

    def due(self, service: Service, day: date) -> datetime:
        """Time at which the day's order is frozen: the later deadline of adding and cancelling.

        Where one has no deadline, or families may do neither, the start of the day counts.
        """
        ends = [
            instant(day, 0)
            if rule.kind is DeadlineKind.NONE
            else rule.instant(day, self._book.calendar)
            for rule in (service.add, service.cancel)
        ]
        end = max(ends)
        return instant(day, 0) if end == NEVER else end

    def latest(self, service: str, day: date) -> PlanningOrder | None:
        """The order as the caterer knows it."""
        found: PlanningOrder | None = self._ctx.session.scalar(
            select(PlanningOrder)
            .where(
                PlanningOrder.tenant_id == self._ctx.town.slug,
                PlanningOrder.service == service,
                PlanningOrder.day == day,
            )
            .order_by(PlanningOrder.version.desc())
            .limit(1)
        )
        return found

    def _freeze(self, service: str, day: date, now: datetime) -> int:
        self._book.lock_day(service, day)
        counts = self._counts(service, day)
        old = self.latest(service, day)
        if old is not None and old.counts == counts:
            return 0
        version = old.version + 1 if old is not None else 1
        self._ctx.session.add(
            PlanningOrder(
                tenant_id=self._ctx.town.slug, service=service, day=day, version=version, at=now,
                counts=counts,
            )
        )  # fmt: skip
        self._ctx.session.flush()
        from plugins.planning import plugin  # noqa: PLC0415 - the plugin object imports us

        self._ctx.messages.mail(
            plugin,
            ORDER,
            self._book.settings.services[service].caterer,
            key=f"{service}/{day}/{version}",
            payload={"service": service, "day": day.isoformat(), "version": version},
        )
        return 1

    def _counts(self, service: str, day: date) -> Counts:
        table = PlanningBooking
        rows = self._ctx.session.execute(
            select(table.place, table.meal, func.count().label("number"))
            .where(
                table.tenant_id == self._ctx.town.slug,
                table.service == service,
                table.day == day,
                table.state == State.BOOKED,
            )
            .group_by(table.place, table.meal)
            .order_by(table.place, table.meal)
        )
        return [[row.place, row.meal, row.number] for row in rows]


def difference(before: Counts, after: Counts) -> Counts:
    """Changes between two orders: place, meal code, children more or less."""
    old = {(place, meal): number for place, meal, number in before}
    new = {(place, meal): number for place, meal, number in after}
    return [
        [place, meal, new.get((place, meal), 0) - old.get((place, meal), 0)]
        for place, meal in sorted(old.keys() | new.keys())
        if new.get((place, meal), 0) != old.get((place, meal), 0)
    ]


class OrderKind:
    """The order as the caterer reads it."""

    key = ORDER

    def __init__(self, ctx: TenantContext, settings: PlanningSettings) -> None:
        self._ctx = ctx
        self._settings = settings

    @property
    def label(self) -> str:
        """For lists of messages."""
        return _("Planning : commande au traiteur")

    def write(self, notification: Notification) -> Wording | None:
        """Say the numbers, and what changed since the last mail."""
        payload = notification.payload
        day, version = date.fromisoformat(payload["day"]), payload["version"]
        rows = {
            row.version: row.counts
            for row in self._ctx.session.scalars(
                select(PlanningOrder).where(
                    PlanningOrder.tenant_id == self._ctx.town.slug,
                    PlanningOrder.service == payload["service"],
                    PlanningOrder.day == day,
                    PlanningOrder.version.in_([version - 1, version]),
                )
            )
        }
        if version not in rows:
            return None
        counts = rows[version]
        given = self._settings.services.get(payload["service"])
        values = {
            "service": given.label if given else payload["service"],
            "day": labels.day(day),
            "town": self._ctx.town.name,
            "total": sum(number for _place, _meal, number in counts),
        }
        if version == 1:
            subject = _("Commande %(service)s du %(day)s") % values
            text = [_("%(town)s commande %(total)s repas pour le %(day)s (%(service)s).") % values]
        else:
            subject = _("Modification : %(service)s du %(day)s") % values
            changed = "\n".join(
                f"– {_where(place, meal)}{labels.colon()}{number:+d}"
                for place, meal, number in difference(rows.get(version - 1, []), counts)
            )
            text = [
                _("La commande du %(day)s (%(service)s) change ; le total est de %(total)s repas.")
                % values,
                changed,
            ]
        listed = "\n".join(
            f"– {_where(place, meal)}{labels.colon()}{number}" for place, meal, number in counts
        )
        text.append(listed or _("Aucun repas."))
        table = [["lieu", "repas", "nombre"]]
        table += [[csv_text(place), csv_text(meal), str(n)] for place, meal, n in counts]
        name = f"commande-{payload['service']}-{day}-{version}.csv"
        paper = Document(name, "text/csv", tables.written(table).encode())
        return Wording(subject, "\n\n".join(part for part in text if part), None, (paper,))


def _where(place: str, meal: str) -> str:
    place = place or _("sans lieu")
    return f"{place}, {meal}" if meal else place
