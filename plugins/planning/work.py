"""Work behind the pages: caterers' orders, reminders before a deadline."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import select

from core.plugin import PARIS, Notification, TenantContext
from plugins.planning import telling
from plugins.planning.book import Book
from plugins.planning.models import (
    PlanningBooking,
    PlanningEnrolment,
    PlanningHome,
    PlanningPattern,
)
from plugins.planning.orders import Orders
from plugins.planning.patterns import week_looks_like
from plugins.planning.rules import TAKEN, Home, Kind, Pattern, Service, State, Weeks, in_weeks
from plugins.planning.settings import PlanningSettings
from plugins.planning.when import span

HABIT_DAYS = 35
"""A child who came within these days is thought to come again: an empty week may be forgotten."""
WEEKS_AHEAD = 9


def send_orders(ctx: TenantContext, settings: PlanningSettings) -> None:
    """Freeze and mail the orders that are due, and the differences to earlier ones."""
    Orders(ctx, Book(ctx, settings, actor="planning")).run()


def remind(ctx: TenantContext, settings: PlanningSettings) -> None:
    """Write to families whose week is empty or unlike the usual one while it can be changed."""
    from plugins.planning import plugin  # noqa: PLC0415 - the plugin object imports us

    if not settings.remind_hours:
        return
    book = Book(ctx, settings, actor="planning")
    for week in weeks_to_remind(book, settings, ctx.clock.now()):
        notes = list(_notes(ctx, book, week))
        ctx.messages.send(plugin, telling.REMINDER, *notes, bulk=True)


@dataclass(frozen=True, slots=True)
class Week:
    """A week of services whose first deadline is near, all at the same instant."""

    monday: date
    until: datetime
    services: tuple[str, ...]

    @property
    def sunday(self) -> date:
        """The last day."""
        return self.monday + timedelta(days=6)

    @property
    def days(self) -> tuple[date, ...]:
        """The seven days, from Monday."""
        return span(self.monday, self.sunday)


def weeks_to_remind(book: Book, settings: PlanningSettings, now: datetime) -> list[Week]:
    """The weeks whose first deadline comes within the hours of the settings."""
    today = now.astimezone(PARIS).date()
    this = today - timedelta(days=today.weekday())
    found: dict[tuple[date, datetime], list[str]] = defaultdict(list)
    for key, service in book.services.items():
        for number in range(WEEKS_AHEAD):
            monday = this + timedelta(weeks=number)
            until = first_deadline(book, service, monday)
            if until and until - timedelta(hours=settings.remind_hours) <= now < until:
                found[monday, until].append(key)
    return [Week(monday, until, tuple(keys)) for (monday, until), keys in sorted(found.items())]


def first_deadline(book: Book, service: Service, monday: date) -> datetime | None:
    """The first deadline of a week's open days; None for a week without any."""
    days = span(monday, monday + timedelta(days=6))
    ends = [
        service.add.instant(day, book.calendar)
        for day in days
        if service.opens(day, book.calendar)
    ]
    return min(ends, default=None)


def _homes(ctx: TenantContext, children: Iterable[int]) -> dict[tuple[int, int], Home]:
    table = PlanningHome
    return {
        (row.child_id, row.family_id): Home(Weeks(row.weeks), row.handover)
        for row in ctx.session.scalars(
            select(table).where(
                table.tenant_id == ctx.town.slug, table.child_id.in_(list(children))
            )
        )
    }


def _notes(ctx: TenantContext, book: Book, week: Week) -> Iterable[Notification]:
    open_days = {
        key: [day for day in week.days if book.services[key].opens(day, book.calendar)]
        for key in week.services
    }
    told = _unlike_usual(ctx, week, open_days)
    homes = _homes(ctx, told)
    families: dict[int, list[list[Any]]] = defaultdict(list)
    for child_id, child in ctx.families.children_by_id(told).items():
        for family_id in child.family_ids:
            home = homes.get((child_id, family_id), Home())
            # The week of the other home is the other home's to plan.
            families[family_id] += [
                [child_id, service, empty]
                for service, empty in told[child_id]
                if any(map(home.has, open_days[service]))
            ]
    for family_id, weeks in sorted(families.items()):
        if not weeks:
            continue
        yield Notification(
            f"{week.monday}/{week.until.isoformat()}/{family_id}",
            family_id,
            {"monday": week.monday.isoformat(), "until": week.until.isoformat(), "weeks": weeks},
        )


def _unlike_usual(
    ctx: TenantContext, week: Week, open_days: Mapping[str, Sequence[date]]
) -> dict[int, list[tuple[str, bool]]]:
    """By child, the services of a week that look forgotten, each with whether nothing is booked."""
    booked, habit = _bookings(ctx, week)
    usual = _usual_weeks(ctx, week)
    told: dict[int, list[tuple[str, bool]]] = defaultdict(list)
    for child_id, service in sorted(_enrolled(ctx, week)):
        days = booked[child_id, service]
        if not days and not usual[child_id]:
            if (child_id, service) in habit:
                told[child_id].append((service, True))
            continue
        for kept in usual[child_id]:
            wanted = Pattern(
                frozenset((key, number) for key, number in kept.days if key == service)
            )
            found = {(service, day.weekday()): day in days for day in open_days[service]}
            if not week_looks_like(found, wanted):
                told[child_id].append((service, not days))
                break
    return told


def _enrolled(ctx: TenantContext, week: Week) -> set[tuple[int, str]]:
    """The children, and what they are enrolled for, of whom somebody is to plan the week."""
    table = PlanningEnrolment
    return {
        (row.child_id, row.service)
        for row in ctx.session.execute(
            select(table.child_id, table.service).where(
                table.tenant_id == ctx.town.slug,
                table.service.in_(week.services),
                table.kind != Kind.SHOWN,
                table.first <= week.sunday,
                table.last >= week.monday,
            )
        )
    }


def _bookings(
    ctx: TenantContext, week: Week
) -> tuple[dict[tuple[int, str], set[date]], set[tuple[int, str]]]:
    """By child and service, the week's days that are booked; and who came in the weeks before."""
    table = PlanningBooking
    booked: dict[tuple[int, str], set[date]] = defaultdict(set)
    habit: set[tuple[int, str]] = set()
    for row in ctx.session.execute(
        select(table.child_id, table.service, table.day).where(
            table.tenant_id == ctx.town.slug,
            table.service.in_(week.services),
            table.day.between(week.monday - timedelta(days=HABIT_DAYS), week.sunday),
            table.state.in_([*sorted(TAKEN), State.WAITING]),
        )
    ):
        pair = (row.child_id, row.service)
        if row.day >= week.monday:
            booked[pair].add(row.day)
        else:
            habit.add(pair)
    return booked, habit


def _usual_weeks(ctx: TenantContext, week: Week) -> dict[int, list[PlanningPattern]]:
    """By child, the usual weeks that hold in this one."""
    table = PlanningPattern
    usual: dict[int, list[PlanningPattern]] = defaultdict(list)
    for pattern in ctx.session.scalars(
        select(table).where(
            table.tenant_id == ctx.town.slug,
            table.first <= week.sunday,
            table.last >= week.monday,
        )
    ):
        if in_weeks(week.monday, Weeks(pattern.weeks)):
            usual[pattern.child_id].append(pattern)
    return usual
