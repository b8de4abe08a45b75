"""Families by service, school and day, for the messages that agents write to many families."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import date

from sqlalchemy import select

from core.plugin import PARIS, GroupField, TenantContext
from core.plugin import gettext as _
from plugins.planning import labels
from plugins.planning.models import PlanningBooking, PlanningEnrolment
from plugins.planning.rules import State
from plugins.planning.settings import PlanningSettings

EXPECTED = (State.BOOKED, State.WAITING, State.CLOSED)
"""States of a day that concern a family: it counts on the service, or did before it was closed."""


class _Group:
    """Base of the groups: a service, a school."""

    def __init__(self, ctx: TenantContext, settings: PlanningSettings) -> None:
        self._ctx = ctx
        self._settings = settings

    @property
    def _service_and_place(self) -> tuple[GroupField, ...]:
        services = tuple((key, one.label) for key, one in self._settings.services.items())
        places = tuple((place, place) for place in self._places() if place)
        found = [GroupField("service", _("Service"), services, is_optional=True)]
        if places:
            found.append(GroupField("place", _("École"), places, is_optional=True))
        return tuple(found)

    def _places(self) -> list[str]:
        return list(
            self._ctx.session.scalars(
                select(PlanningEnrolment.place)
                .where(
                    PlanningEnrolment.tenant_id == self._ctx.town.slug,
                    PlanningEnrolment.last >= self._today(),
                )
                .distinct()
                .order_by(PlanningEnrolment.place)
            )
        )

    def _today(self) -> date:
        return self._ctx.clock.now().astimezone(PARIS).date()

    def _homes(self, child_ids: Iterable[int]) -> Collection[int]:
        """Every home of the children: who has them that week may not be who brings them."""
        children = self._ctx.families.children_by_id(list(child_ids))
        return {home for child in children.values() for home in child.family_ids}

    def _where(self, chosen: Mapping[str, str]) -> str:
        service = self._settings.services.get(chosen.get("service", ""))
        parts = [service.label if service else _("tous les services"), chosen.get("place", "")]
        return ", ".join(part for part in parts if part)


class BookedGroup(_Group):
    """Children who are expected on a day."""

    key = "booked"

    @property
    def label(self) -> str:
        """For the list of groups."""
        return _("Planning : les enfants attendus un jour")

    @property
    def fields(self) -> tuple[GroupField, ...]:
        """A day, and a service or school."""
        return (GroupField("day", _("Jour")), *self._service_and_place)

    def describe(self, chosen: Mapping[str, str]) -> str:
        """Say which day, and where."""
        return _("Enfants attendus le %(day)s (%(where)s)") % {
            "day": labels.day(date.fromisoformat(chosen["day"])), "where": self._where(chosen),
        }  # fmt: skip

    def families(self, chosen: Mapping[str, str]) -> Collection[int]:
        """The homes of the children who count on that day."""
        query = select(PlanningBooking.child_id).where(
            PlanningBooking.tenant_id == self._ctx.town.slug,
            PlanningBooking.day == date.fromisoformat(chosen["day"]),
            PlanningBooking.state.in_(EXPECTED),
        )
        if service := chosen.get("service"):
            query = query.where(PlanningBooking.service == service)
        if place := chosen.get("place"):
            query = query.where(PlanningBooking.place == place)
        return self._homes(self._ctx.session.scalars(query.distinct()))


class EnrolledGroup(_Group):
    """Children who are enrolled now, or from a day to come."""

    key = "enrolled"

    @property
    def label(self) -> str:
        """For the list of groups."""
        return _("Planning : les enfants inscrits")

    @property
    def fields(self) -> tuple[GroupField, ...]:
        """A service or school."""
        return self._service_and_place

    def describe(self, chosen: Mapping[str, str]) -> str:
        """Say where."""
        return _("Enfants inscrits (%(where)s)") % {"where": self._where(chosen)}

    def families(self, chosen: Mapping[str, str]) -> Collection[int]:
        """The homes of the enrolled children."""
        query = select(PlanningEnrolment.child_id).where(
            PlanningEnrolment.tenant_id == self._ctx.town.slug,
            PlanningEnrolment.last >= self._today(),
        )
        if service := chosen.get("service"):
            query = query.where(PlanningEnrolment.service == service)
        if place := chosen.get("place"):
            query = query.where(PlanningEnrolment.place == place)
        return self._homes(self._ctx.session.scalars(query.distinct()))


GROUPS = (BookedGroup, EnrolledGroup)
