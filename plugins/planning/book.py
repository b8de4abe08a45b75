"""The book of a town's days: what is asked for is decided, written once, and proved.

All decisions are `rules`; here is what they look at, and in which order locks are taken. Whoever
changes a day of a service holds its row of `planning_day`: places and waiting list are counted
while nobody else can change them. Rows are locked in the order of service and day.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert

from core.plugin import ChildInfo, TenantContext
from plugins.planning.facts import Booking, read_facts
from plugins.planning.models import PlanningEnrolment, PlanningRequest
from plugins.planning.rules import (
    AFTER,
    NEVER,
    TAKEN,
    Cell,
    Decision,
    Enrolment,
    Kind,
    Service,
    State,
    Verdict,
    Why,
    Wish,
    decide,
    enrolment_on,
    to_promote,
)
from plugins.planning.settings import PlanningSettings

SYSTEM = "planning"
"""The actor of what follows from a rule, such as a place that went to the first who waits."""
_VERDICTS = {
    State.BOOKED: Verdict.BOOK,
    State.WAITING: Verdict.WAIT,
    State.ABSENT: Verdict.ABSENCE,
    State.CANCELLED: Verdict.CANCEL,
    State.CLOSED: Verdict.CANCEL,
}

# Arrays instead of rows: a usual week over a year is a thousand days, and one statement.
_MAKE_DAYS = text(
    "INSERT INTO planning_day (tenant_id, service, day)"
    " SELECT :tenant, service, day"
    " FROM unnest(CAST(:services AS text[]), CAST(:days AS date[])) AS wanted (service, day)"
    " ON CONFLICT DO NOTHING"
)
_LOCK_DAYS = text(
    "SELECT planning_day.id FROM planning_day"
    " JOIN unnest(CAST(:services AS text[]), CAST(:days AS date[])) AS wanted (service, day)"
    " ON planning_day.service = wanted.service AND planning_day.day = wanted.day"
    " WHERE planning_day.tenant_id = :tenant"
    ' ORDER BY planning_day.service COLLATE "C", planning_day.day FOR UPDATE OF planning_day'
)
_WRITE_BOOKINGS = text(
    "INSERT INTO planning_booking (tenant_id, child_id, service, day, place, meal, state, late,"
    " queued, family_id, changed_at, justified)"
    " SELECT :tenant, one.*, CAST(:at AS timestamptz), NULL FROM unnest("
    " CAST(:children AS bigint[]), CAST(:services AS text[]), CAST(:days AS date[]),"
    " CAST(:places AS text[]), CAST(:meals AS text[]), CAST(:states AS text[]),"
    " CAST(:lates AS boolean[]), CAST(:queues AS bigint[]), CAST(:families AS bigint[])) AS one"
    " ON CONFLICT (tenant_id, child_id, service, day) DO UPDATE SET place = excluded.place,"
    " meal = excluded.meal, state = excluded.state, late = excluded.late,"
    " queued = excluded.queued, family_id = excluded.family_id, changed_at = excluded.changed_at,"
    " justified = excluded.justified"
)
_WRITE_CHANGES = text(
    "INSERT INTO planning_change (tenant_id, child_id, service, day, after, late, actor, before,"
    " at, reason, request)"
    " SELECT :tenant, one.*, CAST(:at AS timestamptz), :reason, :request FROM unnest("
    " CAST(:children AS bigint[]), CAST(:services AS text[]), CAST(:days AS date[]),"
    " CAST(:states AS text[]), CAST(:lates AS boolean[]), CAST(:actors AS text[]),"
    " CAST(:befores AS text[])) AS one"
)


@dataclass(frozen=True, slots=True)
class Asked:
    """One wish of somebody: a child, a service, a day."""

    child_id: int
    service: str
    day: date
    wish: Wish


@dataclass(frozen=True, slots=True)
class Answer:
    """Result of a wish."""

    asked: Asked
    decision: Decision
    state: State | None
    """State of the day now."""

    @property
    def changed(self) -> bool:
        """True if the decision changes the day."""
        return self.decision.verdict in AFTER

    def as_json(self) -> dict[str, Any]:
        """The answer for the proof."""
        deadline = self.decision.deadline
        return {
            "child": self.asked.child_id,
            "service": self.asked.service,
            "day": self.asked.day.isoformat(),
            "wish": self.asked.wish.value,
            "verdict": self.decision.verdict.value,
            "why": self.decision.why.value if self.decision.why else "",
            "deadline": deadline.isoformat() if deadline not in (None, NEVER) else "",
        }


@dataclass(frozen=True, slots=True)
class Promotion:
    """A place that went to a child who waited; `family_id` asked for it."""

    child_id: int
    service: str
    day: date
    family_id: int | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """All answers to one request, and the places that became somebody else's by it."""

    key: str
    at: datetime
    answers: tuple[Answer, ...]
    promotions: tuple[Promotion, ...] = ()
    repeated: bool = False
    """The same request came before; nothing was done again."""


class Book:
    """The days of one town. `actor` is who changes them; a family sees its own children only."""

    def __init__(
        self,
        ctx: TenantContext,
        settings: PlanningSettings,
        *,
        actor: str,
        family_id: int | None = None,
    ) -> None:
        self._ctx = ctx
        self._tenant = ctx.town.slug
        self._actor = actor
        self._family_id = family_id
        self._homes: Sequence[ChildInfo] | None = None
        self.settings = settings
        self.calendar = settings.calendar()
        self.services: Mapping[str, Service] = settings.rules()

    def children(self) -> Sequence[ChildInfo]:
        """The family's children who are enrolled somewhere, by name."""
        if self._family_id is None:
            return ()
        children = self._of_family()
        known = set(
            self._ctx.session.scalars(
                select(PlanningEnrolment.child_id)
                .where(
                    PlanningEnrolment.tenant_id == self._tenant,
                    PlanningEnrolment.child_id.in_([child.id for child in children]),
                )
                .distinct()
            )
        )
        return [child for child in children if child.id in known]

    def _of_family(self) -> Sequence[ChildInfo]:
        if self._homes is None:
            self._homes = self._ctx.families.children(self._family_id) if self._family_id else ()
        return self._homes

    def enrolments(
        self, children: Collection[int], first: date, last: date
    ) -> Mapping[int, Sequence[Enrolment]]:
        """The enrolments of children that hold somewhere in a span."""
        return _read_enrolments(self._ctx, set(children), first, last)

    def enrolled(self, children: Collection[int], first: date, last: date) -> list[Enrolment]:
        """All of `enrolments` in one list."""
        return [e for held in self.enrolments(children, first, last).values() for e in held]

    def look(
        self, children: Collection[int], days: Sequence[date], services: Collection[str] = ()
    ) -> dict[tuple[int, str, date], Cell]:
        """Known facts of `children` on `days`, each service: to show them, or to judge wishes."""
        if not children or not days:
            return {}
        return self._shown(_Seen(self, children, days, services), children, days, services)

    def look_at_family(
        self, days: Sequence[date]
    ) -> tuple[list[ChildInfo], dict[tuple[int, str, date], Cell]]:
        """The family's `children`, and known facts of them on `days`, each service."""
        children = self._of_family()
        if not children:
            return [], {}
        seen = _Seen(self, [child.id for child in children], days)
        enrolled = [child for child in children if child.id in seen.enrolled]
        return enrolled, self._shown(seen, [child.id for child in enrolled], days)

    def _shown(
        self,
        seen: _Seen,
        children: Collection[int],
        days: Sequence[date],
        services: Collection[str] = (),
    ) -> dict[tuple[int, str, date], Cell]:
        return {
            (child, key, day): seen.cell(child, service, day)
            for child in children
            for key, service in self.services.items()
            if not services or key in services
            for day in days
            if seen.matters(child, service, day)
        }

    def weigh(self, wishes: Sequence[Asked], *, by_pattern: bool = False) -> list[Answer]:
        """Answers that wishes would get now, without writing anything: to show before a request."""
        seen = self._seen(wishes)
        return [
            Answer(wish, self._decide(seen, wish, by_pattern=by_pattern), seen.state(wish))
            for wish in wishes
        ]

    def ask(
        self,
        wishes: Iterable[Asked],
        *,
        key: str,
        by_pattern: bool = False,
        reason: str = "",
    ) -> Outcome:
        """Do what is asked, as far as the rules let it. The same `key` again does nothing.

        A wish that is refused keeps no other one from being done. Each answer stays in the proof.
        """
        wishes = list(dict.fromkeys(wishes))
        self._lock((wish.service, wish.day) for wish in wishes)
        before = self._request(key)
        if before is not None:
            return before
        seen = self._seen(wishes)
        # The moment of decision: with the rows in hand nobody can come between.
        now = self._ctx.clock.now()
        answers, freed = [], []
        for wish in wishes:
            decision = self._decide(seen, wish, now=now, by_pattern=by_pattern)
            after = AFTER.get(decision.verdict)
            if after is not None:
                was = seen.state(wish)
                seen.move(wish, after, late=decision.verdict is Verdict.BOOK_LATE)
                if was in TAKEN and after not in TAKEN:
                    freed.append((wish.service, seen.place(wish), wish.day))
            answers.append(Answer(wish, decision, seen.state(wish)))
        promotions = self._promote(seen, freed, now)
        self._write(seen, key, now, reason)
        self._prove(key, now, answers, reason)
        return Outcome(key, now, tuple(answers), tuple(promotions))

    def set_state(
        self, changes: Iterable[tuple[int, str, date, State]], *, key: str, reason: str
    ) -> Outcome:
        """Change days as an agent decides, whatever the deadlines and places; the reason stays."""
        changes = list(dict.fromkeys(changes))
        self._lock((service, day) for _child, service, day, _state in changes)
        before = self._request(key)
        if before is not None:
            return before
        wishes = [
            (Asked(child, service, day, Wish.ADD if state in TAKEN else Wish.REMOVE), state)
            for child, service, day, state in changes
        ]
        seen = self._seen([wish for wish, _state in wishes])
        now = self._ctx.clock.now()
        answers, freed = [], []
        for wish, state in wishes:
            was = seen.state(wish)
            if was is state:
                answers.append(Answer(wish, Decision(Verdict.NOTHING), state))
                continue
            late = state is State.BOOKED and now >= self.services[wish.service].add.instant(
                wish.day, self.calendar
            )
            seen.move(wish, state, late=late)
            if was in TAKEN and state not in TAKEN:
                freed.append((wish.service, seen.place(wish), wish.day))
            answers.append(Answer(wish, Decision(_VERDICTS[state]), state))
        promotions = self._promote(seen, freed, now)
        self._write(seen, key, now, reason)
        self._prove(key, now, answers, reason)
        return Outcome(key, now, tuple(answers), tuple(promotions))

    def lock_day(self, service: str, day: date) -> None:
        """Keep everybody else from changing a service's day until the transaction ends."""
        self._lock([(service, day)])

    # --- inside --------------------------------------------------------------------------------

    def _seen(self, wishes: Sequence[Asked]) -> _Seen:
        return _Seen(
            self,
            {wish.child_id for wish in wishes},
            {wish.day for wish in wishes} or {self.calendar.first},
            {wish.service for wish in wishes},
            judges=True,
        )

    def _decide(
        self, seen: _Seen, wish: Asked, *, now: datetime | None = None, by_pattern: bool
    ) -> Decision:
        service = self.services.get(wish.service)
        if service is None or wish.child_id not in seen.mine:
            # Another family's child is, to this one, a child that nobody knows.
            return Decision(Verdict.REFUSE, Why.NOT_ENROLLED)
        cell = seen.cell(wish.child_id, service, wish.day)
        moment = now or self._ctx.clock.now()
        return decide(wish.wish, cell, self.calendar, moment, by_pattern=by_pattern)

    def _lock(self, days: Iterable[tuple[str, date]]) -> None:
        wanted = sorted({(service, day) for service, day in days if service in self.services})
        if not wanted:
            return
        values = {
            "tenant": self._tenant,
            "services": [service for service, _day in wanted],
            "days": [day for _service, day in wanted],
        }
        for statement in (_MAKE_DAYS, _LOCK_DAYS):
            self._ctx.session.execute(statement, values)

    def _request(self, key: str) -> Outcome | None:
        row = self._ctx.session.scalar(
            select(PlanningRequest).where(
                PlanningRequest.tenant_id == self._tenant, PlanningRequest.key == key
            )
        )
        return None if row is None else Outcome(key, row.at, (), repeated=True)

    def _promote(
        self, seen: _Seen, freed: Iterable[tuple[str, str, date]], now: datetime
    ) -> list[Promotion]:
        found = []
        for key, place, day in dict.fromkeys(freed):
            service = self.services[key]
            if now >= service.add.instant(day, self.calendar) or seen.is_closed(key, place, day):
                continue
            waiting = seen.waiting(key, place, day)
            for child_id in to_promote(waiting, seen.free(service, place, day)):
                family_id = seen.asked_by(child_id, key, day)
                seen.move(Asked(child_id, key, day, Wish.ADD), State.BOOKED, promoted=True)
                found.append(Promotion(child_id, key, day, family_id))
        return found

    def _write(self, seen: _Seen, key: str, now: datetime, reason: str) -> None:
        moved = [(*key, row) for key, row in seen.moved.items()]
        if not moved:
            return
        values = {
            "tenant": self._tenant, "at": now, "reason": reason, "request": key,
            "children": [child for child, _service, _day, _row in moved],
            "services": [service for _child, service, _day, _row in moved],
            "days": [day for _child, _service, day, _row in moved],
            "places": [row.place for *_key, row in moved],
            "meals": [row.meal for *_key, row in moved],
            "states": [row.state.value for *_key, row in moved],
            "lates": [row.late for *_key, row in moved],
            "queues": [row.queued for *_key, row in moved],
            "families": [row.family_id for *_key, row in moved],
            "actors": [SYSTEM if row.promoted else self._actor for *_key, row in moved],
            "befores": [row.before.value if row.before else "" for *_key, row in moved],
        }  # fmt: skip
        for statement in (_WRITE_BOOKINGS, _WRITE_CHANGES):
            self._ctx.session.execute(statement, values)

    def _prove(self, key: str, now: datetime, answers: Sequence[Answer], reason: str) -> None:
        self._ctx.session.execute(
            insert(PlanningRequest).values(
                tenant_id=self._tenant, key=key, family_id=self._family_id, actor=self._actor,
                at=now, reason=reason, answers=[answer.as_json() for answer in answers],
            )
        )  # fmt: skip


class _Seen:
    """Data for a request, read at once and kept in step with the changes of the request."""

    def __init__(
        self,
        book: Book,
        children: Collection[int],
        days: Collection[date],
        services: Collection[str] = (),
        *,
        judges: bool = False,
    ) -> None:
        self._book = book
        self.moved: dict[tuple[int, str, date], Booking] = {}
        self.mine = self._allowed(children)
        limited = [
            key
            for key, service in book.services.items()
            if (not services or key in services)
            and (service.places is not None or service.places_at)
        ]
        # To show days, who else waits does not matter.
        facts = read_facts(
            book._ctx,  # noqa: SLF001 - one thing in two classes
            self.mine, days, counted=limited, queued=limited if judges else (),
        )  # fmt: skip
        self.enrolled = facts.enrolled
        self._enrolments, self._homes = facts.enrolments, facts.homes
        self._closures, self._rows = facts.closures, facts.bookings
        self._taken, self._queues = facts.taken, facts.queues

    def cell(self, child_id: int, service: Service, day: date) -> Cell:
        """Facts that `rules.decide` needs."""
        enrolment = enrolment_on(self._enrolments.get(child_id, ()), service.key, day)
        row = self._rows.get((child_id, service.key, day))
        place = row.place if row is not None and row.state in {*TAKEN, State.WAITING} else (
            enrolment.place if enrolment else ""
        )  # fmt: skip
        homes = self._homes.get(child_id)
        family_id = self._book._family_id  # noqa: SLF001 - one thing in two classes
        return Cell(
            day=day,
            service=service,
            enrolment=enrolment,
            state=row.state if row is not None else None,
            closed=self.is_closed(service.key, place, day),
            here=(
                family_id is None
                or homes is None
                or family_id not in homes
                or homes[family_id].has(day)
            ),
            free=self.free(service, place, day),
        )

    def matters(self, child_id: int, service: Service, day: date) -> bool:
        """True if there is anything to show: an enrolment, or a booking that is not cancelled."""
        row = self._rows.get((child_id, service.key, day))
        return enrolment_on(self._enrolments.get(child_id, ()), service.key, day) is not None or (
            row is not None and row.state is not State.CANCELLED
        )

    def state(self, wish: Asked) -> State | None:
        """State of the day; None without a booking row."""
        row = self._rows.get((wish.child_id, wish.service, wish.day))
        return None if row is None else row.state

    def place(self, wish: Asked) -> str:
        """The school or site of the day."""
        return self._rows[wish.child_id, wish.service, wish.day].place

    def asked_by(self, child_id: int, service: str, day: date) -> int | None:
        """The family that asked."""
        return self._rows[child_id, service, day].family_id

    def free(self, service: Service, place: str, day: date) -> int | None:
        """Places left."""
        limit = service.limit(place)
        return None if limit is None else limit - self._taken[service.key, place, day]

    def is_closed(self, service: str, place: str, day: date) -> bool:
        """True if the town closed the day for this service and place."""
        return any(
            (day, key, where) in self._closures for key in ("", service) for where in ("", place)
        )

    def waiting(self, service: str, place: str, day: date) -> list[int]:
        """The children who wait, the first in front."""
        return [child_id for _queued, child_id in sorted(self._queues[service, place, day])]

    def move(
        self, wish: Asked, state: State, *, late: bool = False, promoted: bool = False
    ) -> None:
        """Let the day stand otherwise from here on."""
        key = (wish.child_id, wish.service, wish.day)
        old = self._rows.get(key)
        holds = old is not None and old.state in {*TAKEN, State.WAITING}
        enrolment = enrolment_on(
            self._enrolments.get(wish.child_id, ()), wish.service, wish.day
        )
        family_id = self._book._family_id  # noqa: SLF001 - one thing in two classes
        place, meal = (old.place, old.meal) if old else ("", "")
        if enrolment is not None:
            place, meal = (place if holds else enrolment.place), enrolment.meal
        row = Booking(
            place=place,
            meal=meal,
            state=state,
            late=late or (state in TAKEN and old is not None and old.state in TAKEN and old.late),
            queued=0,
            family_id=old.family_id if promoted and old else family_id,
            before=self.moved[key].before if key in self.moved else old.state if old else None,
            promoted=promoted,
        )
        slot = (wish.service, row.place, wish.day)
        if old is not None and old.state in TAKEN:
            self._taken[slot] -= 1
        if old is not None and old.state is State.WAITING:
            self._queues[slot] = [pair for pair in self._queues[slot] if pair[1] != wish.child_id]
        if state in TAKEN:
            self._taken[slot] += 1
        if state is State.WAITING:
            row.queued = 1 + max((queued for queued, _child in self._queues[slot]), default=0)
            self._queues[slot].append((row.queued, wish.child_id))
        self._rows[key] = self.moved[key] = row

    # --- reading -------------------------------------------------------------------------------

    def _allowed(self, children: Collection[int]) -> set[int]:
        book = self._book
        if book._family_id is None:  # noqa: SLF001 - one thing in two classes
            return set(children)
        return {child.id for child in book._of_family()} & set(children)  # noqa: SLF001


def _read_enrolments(
    ctx: TenantContext, children: Collection[int], first: date, last: date
) -> dict[int, list[Enrolment]]:
    table = PlanningEnrolment
    found: dict[int, list[Enrolment]] = defaultdict(list)
    for row in ctx.session.execute(
        select(
            table.child_id, table.service, table.first, table.last, table.kind, table.place,
            table.meal, table.weekdays,
        ).where(
            table.tenant_id == ctx.town.slug,
            table.child_id.in_(children),
            table.first <= last,
            table.last >= first,
        )
    ):  # fmt: skip
        found[row.child_id].append(
            Enrolment(
                row.service, row.first, row.last, Kind(row.kind), row.place, row.meal,
                frozenset(int(digit) for digit in row.weekdays),
            )
        )  # fmt: skip
    return found
