"""The usual week of a child: kept, applied to a range of days, compared with a week to come."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from core.plugin import TenantContext, UserError
from core.plugin import gettext as _
from plugins.planning import forms
from plugins.planning.book import Asked, Book
from plugins.planning.models import PlanningPattern
from plugins.planning.rules import ONE_DAY, Pattern, Weeks

MAX_SPAN_DAYS = 400
_DAY = re.compile(r"([A-Za-z0-9_-]{1,30})/([0-6])")


class Patterns:
    """The usual weeks of one family's children."""

    def __init__(self, book: Book, ctx: TenantContext) -> None:
        self._book = book
        self._ctx = ctx

    def wishes(self, form: Any) -> list[Asked]:
        """Wishes of the form's week for each day of its range.

        Raises:
            UserError: no child, or a range that cannot be.
        """
        children = [forms.whole(value) for value in form.getall("child")]
        services = [key for key in self._book.services if key in form.getall("service")]
        first = forms.typed_day(form, "first", _("Du"))
        last = forms.typed_day(form, "last", _("Au"))
        if not children:
            raise UserError(_("Choisissez au moins un enfant."))
        if not services:
            raise UserError(_("Choisissez au moins un service."))
        if not 0 <= (last - first).days <= MAX_SPAN_DAYS:
            raise UserError(_("La période va d’un jour à un jour suivant, sur un an au plus."))
        pattern = Pattern(self._picked(form), forms.weeks(form))
        return self.expand(children, services, pattern, first, last)

    def expand(
        self, children: Iterable[int], services: Iterable[str], pattern: Pattern, first: date,
        last: date,
    ) -> list[Asked]:  # fmt: skip
        """Write a pattern out, day by day, for children who are enrolled."""
        children = list(children)
        chosen = [self._book.services[key] for key in services]
        held = self._book.enrolments(children, first, last)
        return [
            Asked(child, service.key, day, wish)
            for day, service, wish in pattern.wishes(chosen, first, last, self._book.calendar)
            for child in children
            if any(
                e.service == service.key and e.first <= day <= e.last for e in held.get(child, ())
            )
        ]

    def keep(self, family_id: int, form: Any, wishes: Iterable[Asked]) -> None:
        """Remember the week as the usual one of the children it was asked for."""
        days = sorted([service, number] for service, number in self._picked(form))
        asked = list(wishes)
        if not asked:
            return
        wanted = insert(PlanningPattern)
        same = {name: wanted.excluded[name] for name in ("days", "first", "last", "at")}
        self._ctx.session.execute(
            wanted.on_conflict_do_update(
                index_elements=["tenant_id", "child_id", "family_id", "weeks"], set_=same
            ),
            [
                {
                    "tenant_id": self._ctx.town.slug, "child_id": child_id, "family_id": family_id,
                    "weeks": forms.weeks(form).value, "days": days,
                    "first": min(one.day for one in asked), "last": max(one.day for one in asked),
                    "at": self._ctx.clock.now(),
                }
                for child_id in sorted({one.child_id for one in asked})
            ],
        )  # fmt: skip

    def usual(self, family_id: int) -> set[tuple[str, int]]:
        """The pairs of service and weekday that the family asked for last."""
        row = self._ctx.session.scalar(
            select(PlanningPattern)
            .where(
                PlanningPattern.tenant_id == self._ctx.town.slug,
                PlanningPattern.family_id == family_id,
            )
            .order_by(PlanningPattern.at.desc(), PlanningPattern.id.desc())
            .limit(1)
        )
        return {(service, number) for service, number in row.days} if row else set()

    def breaks(self, today: date) -> list[tuple[date, date]]:
        """School holidays from `today` on, the first and the last day of each."""
        calendar, day = self._book.calendar, today
        found: list[tuple[date, date]] = []
        while calendar.knows(day) and (day - today).days < MAX_SPAN_DAYS:
            first = day
            while day in calendar.holidays:
                day += ONE_DAY
            if day > first:
                found.append((first, day - ONE_DAY))
            day += ONE_DAY
        return found

    def end(self, today: date) -> date:
        """The end of the school year: the last school day before the long summer."""
        summer = date(today.year + (today.month > 6), 7, 31)
        return self._last_school_day(min(summer, self._book.calendar.last), today)

    def until_holidays(self, today: date) -> date:
        """The last school day before the next school holidays."""
        ahead = (first for first, _last in self.breaks(today) if first > today)
        last = min(self._book.calendar.last, today + timedelta(days=MAX_SPAN_DAYS))
        return self._last_school_day(next(ahead, last) - ONE_DAY, today)

    def _last_school_day(self, day: date, today: date) -> date:
        while day > today and not self._book.calendar.is_school_day(day):
            day -= ONE_DAY
        return day

    @staticmethod
    def hidden(form: Any) -> list[tuple[str, str]]:
        """The fields that the page to confirm carries on."""
        names = ("weeks", "day")
        return [(name, value) for name in names for value in form.getall(name)]

    @staticmethod
    def _picked(form: Any) -> frozenset[tuple[str, int]]:
        matches = (_DAY.fullmatch(value) for value in form.getall("day"))
        return frozenset((match[1], int(match[2])) for match in matches if match)


def week_looks_like(days: Mapping[tuple[str, int], bool], pattern: Pattern) -> bool:
    """Tell whether a week's bookings are those of the usual one, as far as services are open."""
    return all(booked == (pair in pattern.days) for pair, booked in days.items())


__all__ = ["Patterns", "Weeks", "week_looks_like"]
