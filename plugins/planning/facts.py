"""Facts of children's days, read by one statement: for pages, and to judge wishes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import text

from core.plugin import TenantContext
from plugins.planning.rules import TAKEN, Enrolment, Home, Kind, State, Weeks

Key = tuple[int, str, date]
"""A child, a service, a day."""
Slot = tuple[str, str, date]
"""A service, a place, a day."""

# A plan that is kept for any days and children must do as well as one that is made for these, and
# costs no planning. So "+ 0" keeps PostgreSQL from the index of days, with which it would read a
# whole town's weeks for three children; places are counted slot by slot, for slots of these
# children alone; and those who wait stand in an index of their own, which a word in the statement
# finds and a parameter would not.
_FACTS = text(
    """
    WITH held AS MATERIALIZED (
        SELECT child_id, service, first, last, kind, place, meal, weekdays
        FROM planning_enrolment
        WHERE tenant_id = :tenant AND child_id = ANY(CAST(:children AS bigint[]))
    ), here AS MATERIALIZED (
        SELECT * FROM held WHERE first <= :last AND last >= :first
    ), booked AS MATERIALIZED (
        SELECT child_id, service, day, place, meal, state, late, queued, family_id
        FROM planning_booking
        WHERE tenant_id = :tenant AND child_id = ANY(CAST(:children AS bigint[]))
            AND day + 0 BETWEEN :first AND :last
    ), slot AS MATERIALIZED (
        SELECT service, place, day
        FROM (SELECT service, place FROM here UNION SELECT service, place FROM booked) AS own,
            unnest(CAST(:days AS date[])) AS asked (day)
    ), counted AS MATERIALIZED (
        SELECT service, place, day, (
            SELECT count(*) FROM planning_booking b
            WHERE b.tenant_id = :tenant AND b.service = slot.service
                AND b.place = slot.place AND b.day = slot.day
                AND b.state = ANY(CAST(:taken AS text[]))) AS number
        FROM slot WHERE service = ANY(CAST(:counted AS text[]))
    )
    SELECT
        ARRAY(SELECT DISTINCT child_id FROM held),
        (SELECT json_agg(json_build_array(
            child_id, service, first, last, kind, place, meal, weekdays)) FROM here),
        (SELECT json_agg(json_build_array(child_id, family_id, weeks, handover))
            FROM planning_home
            WHERE tenant_id = :tenant AND child_id = ANY(CAST(:children AS bigint[]))),
        (SELECT json_agg(json_build_array(day, service, place)) FROM planning_closure
            WHERE tenant_id = :tenant AND day BETWEEN :first AND :last),
        (SELECT json_agg(json_build_array(
            child_id, service, day, place, meal, state, late, queued, family_id)) FROM booked),
        (SELECT json_agg(json_build_array(service, place, day, number))
            FROM counted WHERE number > 0),
        (SELECT json_agg(json_build_array(
            b.child_id, b.service, b.day, b.place, b.meal, b.state, b.late, b.queued, b.family_id))
            FROM slot JOIN planning_booking b ON b.tenant_id = :tenant
                AND b.service = slot.service AND b.place = slot.place AND b.day = slot.day
            WHERE b.state = 'waiting' AND slot.service = ANY(CAST(:queued AS text[])))
    """
)


@dataclass(slots=True)
class Booking:
    """A booking while a request is judged."""

    place: str
    meal: str
    state: State
    late: bool
    queued: int
    family_id: int | None
    before: State | None = None
    promoted: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """All that is known of some children on some days, in dictionaries of the reader's own."""

    enrolled: frozenset[int]
    """Those of the children who are enrolled somewhere, on whatever day."""
    enrolments: dict[int, list[Enrolment]]
    homes: dict[int, dict[int, Home]]
    """Weeks of a child's homes, by child and family."""
    closures: frozenset[tuple[date, str, str]]
    """Days that the town closed, with service and place; "": all."""
    bookings: dict[Key, Booking]
    taken: dict[Slot, int]
    """Places taken, where they are counted."""
    queues: dict[Slot, list[tuple[int, int]]]
    """Children who wait, with their places in the list before them."""


def read_facts(
    ctx: TenantContext,
    children: Collection[int],
    days: Collection[date],
    *,
    counted: Collection[str] = (),
    queued: Collection[str] = (),
) -> Facts:
    """Read the facts of `children` on `days`.

    Args:
        ctx: the town.
        children: whose days.
        days: one or more.
        counted: services whose places are counted, where these children are or would be.
        queued: services of which it matters who waits, there as well.
    """
    ctx.session.flush()  # Text does not make the session write what it holds.
    enrolled, held, homes, closures, booked, taken, waiting = ctx.session.execute(
        _FACTS,
        {
            "tenant": ctx.town.slug, "children": list(children), "days": sorted(days),
            "first": min(days), "last": max(days), "counted": list(counted),
            "queued": list(queued), "taken": sorted(TAKEN),
        },
    ).one()  # fmt: skip
    found = Facts(
        frozenset(enrolled), defaultdict(list), defaultdict(dict),
        frozenset((date.fromisoformat(day), service, place)
                  for day, service, place in closures or ()),
        {}, defaultdict(int), defaultdict(list),
    )  # fmt: skip
    for child, service, first, last, kind, place, meal, weekdays in held or ():
        found.enrolments[child].append(
            Enrolment(
                service, date.fromisoformat(first), date.fromisoformat(last), Kind(kind), place,
                meal, frozenset(map(int, weekdays)),
            )
        )  # fmt: skip
    for child, family, weeks, handover in homes or ():
        found.homes[child][family] = Home(Weeks(weeks), handover)
    found.bookings.update(_bookings(booked or ()))
    for service, place, day, number in taken or ():
        found.taken[service, place, date.fromisoformat(day)] = number
    for key, booking in _bookings(waiting or ()):
        child, service, day = key
        found.bookings[key] = booking
        found.queues[service, booking.place, day].append((booking.queued, child))
    return found


def _bookings(rows: Iterable[list[Any]]) -> Iterable[tuple[Key, Booking]]:
    for child, service, day, place, meal, state, late, queued, family in rows:
        yield (
            (child, service, date.fromisoformat(day)),
            Booking(place, meal, State(state), late, queued, family),
        )
