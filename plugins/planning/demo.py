"""The demonstration: children enrolled in the town's services, usual weeks, two homes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from random import Random

from core.plugin import PARIS, ChildInfo, TenantContext
from plugins.planning.book import Book
from plugins.planning.models import PlanningEnrolment, PlanningHome
from plugins.planning.patterns import Patterns
from plugins.planning.rules import Kind, Pattern
from plugins.planning.settings import PlanningSettings

PLACES = ("École du Centre", "École des Tilleuls")
MEALS = ("", "", "", "SV", "PAI")
WEEKS_BOOKED = 8


def fill(ctx: TenantContext, settings: PlanningSettings) -> None:
    """Enrol the town's children, and book their usual weeks from tomorrow on."""
    pick = Random(ctx.town.slug)  # noqa: S311 - made-up data, the same each time
    today = ctx.clock.now().astimezone(PARIS).date()
    first = date(today.year - (today.month < 8), 9, 1)
    last = date(first.year + 1, 7, 31)
    seen: dict[int, int] = {}
    for family_id, _code, _names in ctx.families.names():
        children = ctx.families.children(family_id)
        fresh = [child for child in children if child.id not in seen]
        for child in children:
            if child.id in seen:
                _share(ctx, child, seen[child.id], family_id)
            else:
                seen[child.id] = family_id
        _enrol(ctx, settings, fresh, first, last, pick)
        ctx.session.flush()
        book = Book(ctx, settings, actor=f"family:{family_id}", family_id=family_id)
        days = {(key, number) for key, service in book.services.items()
                for number in service.weekdays if pick.random() < _LIKELY}  # fmt: skip
        wishes = Patterns(book, ctx).expand(
            [child.id for child in fresh], list(book.services), Pattern(frozenset(days)),
            today + timedelta(days=1), today + timedelta(weeks=WEEKS_BOOKED),
        )  # fmt: skip
        if wishes:
            book.ask(wishes, key=f"demo:{family_id}", by_pattern=True)


_LIKELY = 0.7


def _enrol(
    ctx: TenantContext, settings: PlanningSettings, children: Sequence[ChildInfo], first: date,
    last: date, pick: Random,
) -> None:  # fmt: skip
    place = pick.choice(PLACES)
    for child in children:
        meal = pick.choice(MEALS)
        for number, key in enumerate(settings.services):
            if number and pick.random() < 0.4:
                continue
            ctx.session.add(
                PlanningEnrolment(
                    tenant_id=ctx.town.slug, child_id=child.id, service=key, place=place,
                    meal=meal if number == 0 else "", kind=Kind.OCCASIONAL.value, weekdays="",
                    first=first, last=last, batch="demo",
                )
            )  # fmt: skip


def _share(ctx: TenantContext, child: ChildInfo, one: int, other: int) -> None:
    for family_id, weeks in ((one, "even"), (other, "odd")):
        ctx.session.add(
            PlanningHome(
                tenant_id=ctx.town.slug, child_id=child.id, family_id=family_id, weeks=weeks,
                handover=0,
            )
        )  # fmt: skip
