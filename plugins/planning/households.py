"""Planning of a family that asks for its data, is erased, or is merged with another."""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, exists, select, update
from sqlalchemy.orm import aliased

from core.plugin import TenantContext
from plugins.planning.models import (
    PlanningBooking,
    PlanningExported,
    PlanningFeed,
    PlanningHome,
    PlanningPattern,
    PlanningRequest,
)


def data(ctx: TenantContext, family_id: int) -> dict[str, Any] | None:
    """The family's requests and the days that it booked, for the person who asks."""
    tenant = ctx.town.slug
    requests = ctx.session.scalars(
        select(PlanningRequest)
        .where(PlanningRequest.tenant_id == tenant, PlanningRequest.family_id == family_id)
        .order_by(PlanningRequest.id)
    ).all()
    bookings = ctx.session.scalars(
        select(PlanningBooking)
        .where(PlanningBooking.tenant_id == tenant, PlanningBooking.family_id == family_id)
        .order_by(PlanningBooking.day, PlanningBooking.id)
    ).all()
    if not requests and not bookings:
        return None
    return {
        "demandes": [
            {"numero": row.id, "le": row.at.isoformat(), "reponses": row.answers}
            for row in requests
        ],
        "jours": [
            {"enfant": row.child_id, "service": row.service, "jour": row.day.isoformat(),
             "etat": row.state, "repas": row.meal}
            for row in bookings
        ],
    }  # fmt: skip


def erase(ctx: TenantContext, family_id: int) -> None:
    """Forget usual weeks, homes and the calendar's address; days stay, as the meals were ordered.

    The rows of exports lose the names and codes of children who live nowhere else.

    Requests and changes name the family by its number alone, which leads to nobody any more.
    """
    tenant = ctx.town.slug
    for table in (PlanningPattern, PlanningHome, PlanningFeed):
        ctx.session.execute(
            delete(table).where(table.tenant_id == tenant, table.family_id == family_id)
        )
    ctx.session.execute(
        update(PlanningBooking)
        .where(PlanningBooking.tenant_id == tenant, PlanningBooking.family_id == family_id)
        .values(family_id=None)
    )
    alone = [
        child.id
        for child in ctx.families.children(family_id)
        if set(child.family_ids) == {family_id}
    ]
    exported = ctx.session.execute(
        select(PlanningExported.id, PlanningExported.row).where(
            PlanningExported.tenant_id == tenant, PlanningExported.child_id.in_(alone)
        )
    ).all()
    if exported:
        ctx.session.execute(
            update(PlanningExported),
            [
                {"tenant_id": tenant, "id": one.id, "row": ["", "", *one.row[2:]]}
                for one in exported
            ],
        )


def merge(ctx: TenantContext, kept: int, gone: int) -> None:
    """Give `kept` the days and usual weeks of `gone`; where both have one, that of `kept` holds."""
    tenant = ctx.town.slug
    other_pattern, other_home = aliased(PlanningPattern), aliased(PlanningHome)
    doubles = (
        delete(PlanningPattern).where(
            PlanningPattern.tenant_id == tenant,
            PlanningPattern.family_id == gone,
            exists().where(
                other_pattern.tenant_id == tenant,
                other_pattern.family_id == kept,
                other_pattern.child_id == PlanningPattern.child_id,
                other_pattern.weeks == PlanningPattern.weeks,
            ),
        ),
        delete(PlanningHome).where(
            PlanningHome.tenant_id == tenant,
            PlanningHome.family_id == gone,
            exists().where(
                other_home.tenant_id == tenant,
                other_home.family_id == kept,
                other_home.child_id == PlanningHome.child_id,
            ),
        ),
    )
    for statement in doubles:
        ctx.session.execute(statement, execution_options={"synchronize_session": False})
    for table in (PlanningPattern, PlanningHome, PlanningBooking):
        ctx.session.execute(
            update(table)
            .where(table.tenant_id == tenant, table.family_id == gone)
            .values(family_id=kept)
        )
    ctx.session.execute(
        delete(PlanningFeed).where(
            PlanningFeed.tenant_id == tenant, PlanningFeed.family_id == gone
        )
    )
