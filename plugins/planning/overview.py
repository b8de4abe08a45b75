"""The planning at a glance: a line for the families' tile, what waits for agents."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import exists, func, select

from core.plugin import PARIS, TenantContext
from core.plugin import gettext as _
from plugins.planning import labels
from plugins.planning.book import Book
from plugins.planning.models import PlanningBooking, PlanningEnrolment
from plugins.planning.rules import DeadlineKind, State
from plugins.planning.settings import PlanningSettings
from plugins.planning.work import first_deadline

WEEKS = 3


def waiting_children(ctx: TenantContext) -> int:
    """Children who wait for a place on a day to come."""
    count: int = ctx.session.scalar(
        select(func.count(PlanningBooking.child_id.distinct())).where(
            PlanningBooking.tenant_id == ctx.town.slug,
            PlanningBooking.state == State.WAITING,
            PlanningBooking.day >= ctx.clock.now().astimezone(PARIS).date(),
        )
    ) or 0
    return count


def tile(ctx: TenantContext, settings: PlanningSettings, family_id: int) -> str:
    """Until when the next week of the family's services can be changed; "" without any."""
    children = [child.id for child in ctx.families.children(family_id)]
    if not children or not ctx.session.scalar(
        select(
            exists().where(
                PlanningEnrolment.tenant_id == ctx.town.slug,
                PlanningEnrolment.child_id.in_(children),
            )
        )
    ):
        return ""
    # The calendar costs the first one of a process half a second: only where it is needed.
    book = Book(ctx, settings, actor="planning", family_id=family_id)
    now = ctx.clock.now()
    today = now.astimezone(PARIS).date()
    monday = today - timedelta(days=today.weekday())
    held = {e.service for e in book.enrolled(children, today, today + timedelta(weeks=WEEKS))}
    ends = [
        end
        for key in held & book.services.keys()
        if book.services[key].add.kind not in {DeadlineKind.NONE, DeadlineKind.NEVER}
        for number in range(WEEKS)
        if (end := first_deadline(book, book.services[key], monday + timedelta(weeks=number)))
        and end > now
    ]
    if not ends:
        return ""
    return _("Prochaine date limite : %s") % labels.moment(min(ends))
