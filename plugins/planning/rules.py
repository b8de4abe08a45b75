"""Rules of a child's days as pure functions: deadlines, places, homes, patterns. No database.

A deadline is one instant in UTC; a request is in time while the clock stands before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache

from core.plugin import PARIS

ONE_DAY = timedelta(days=1)
NEVER = datetime.min.replace(tzinfo=UTC)
"""The deadline of what may not be asked for at all."""
MIDNIGHT_MINUTES = 24 * 60
"""The end of a day, as minutes since its beginning."""
SEARCH_LIMIT_DAYS = 400
"""Bound of the search for an earlier school or working day, such as one before the summer."""


class Counting(StrEnum):
    """Days that a deadline counts."""

    CALENDAR = "calendar"
    WORKING = "working"
    SCHOOL = "school"


class Period(StrEnum):
    """The part of the year in which a service is open."""

    SCHOOL = "school"
    HOLIDAYS = "holidays"
    ALL = "all"


class Weeks(StrEnum):
    """Weeks in which something holds, by their ISO number."""

    ALL = "all"
    EVEN = "even"
    ODD = "odd"


class Late(StrEnum):
    """The answer to a request for a place after the deadline."""

    REFUSE = "refuse"
    KEEP = "keep"
    """It is taken and marked *hors délai*."""


class Kind(StrEnum):
    """Kind of an enrolment, by the changes that a family may make."""

    REGULAR = "regular"
    OCCASIONAL = "occasional"
    SHOWN = "shown"
    """The town alone changes it."""


class State(StrEnum):
    """State of a child's day in a service. The text is the value that the database keeps."""

    BOOKED = "booked"
    WAITING = "waiting"
    ABSENT = "absent"
    """The absence was announced after the deadline: the place stays taken."""
    CANCELLED = "cancelled"
    CLOSED = "closed"
    """The town closed the day."""


TAKEN = frozenset({State.BOOKED, State.ABSENT})
"""States that hold a place."""


class Wish(StrEnum):
    """Wish for a day: to add it or to remove it."""

    ADD = "add"
    REMOVE = "remove"


class Verdict(StrEnum):
    """Result of a wish."""

    BOOK = "book"
    BOOK_LATE = "book_late"
    WAIT = "wait"
    RESTORE = "restore"
    """The child comes although the absence was announced."""
    CANCEL = "cancel"
    ABSENCE = "absence"
    """Too late to cancel: the absence is noted with its time."""
    NOTHING = "nothing"
    REFUSE = "refuse"


class Why(StrEnum):
    """Reasons of a refusal."""

    NOT_ENROLLED = "not_enrolled"
    SHOWN_ONLY = "shown_only"
    NOT_OPEN = "not_open"
    CLOSED = "closed"
    OTHER_HOME = "other_home"
    BEYOND_WINDOW = "beyond_window"
    TOO_LATE = "too_late"
    FULL = "full"
    PAST = "past"


@lru_cache(maxsize=8192)
def instant(day: date, minutes: int) -> datetime:
    """The moment at which the clocks of Paris have passed `minutes` of `day`, in UTC.

    A time that the clocks show twice in autumn means the second one; a time that they leap over in
    spring means the leap. So a deadline never ends before its time is over.
    """
    naive = datetime.combine(day, time()) + timedelta(minutes=minutes)
    first = naive.replace(tzinfo=PARIS).astimezone(UTC)
    second = naive.replace(tzinfo=PARIS, fold=1).astimezone(UTC)
    if second >= first:
        return second
    # The time is leapt over: `second` lies before the leap, `first` after it.
    while second.astimezone(PARIS).replace(tzinfo=None) < naive:
        second += timedelta(minutes=1)
    return second


@dataclass(frozen=True, slots=True)
class Calendar:
    """Days of one town: school holidays, public holidays, and how far they are known."""

    first: date
    last: date
    school_weekdays: frozenset[int]
    holidays: frozenset[date]
    public: Mapping[date, str] = field(default_factory=dict)

    def knows(self, day: date) -> bool:
        """True if the school year of `day` is published."""
        return self.first <= day <= self.last

    def is_working_day(self, day: date) -> bool:
        """Monday to Friday, no public holiday."""
        return day.weekday() < 5 and day not in self.public

    def is_school_day(self, day: date) -> bool:
        """A day on which pupils have class."""
        return (
            day.weekday() in self.school_weekdays
            and day not in self.holidays
            and day not in self.public
        )

    def counts(self, day: date, counting: Counting) -> bool:
        """True if a deadline of this kind counts `day`."""
        if counting is Counting.SCHOOL:
            return self.is_school_day(day)
        return counting is Counting.CALENDAR or self.is_working_day(day)


class DeadlineKind(StrEnum):
    """Method to find a deadline."""

    NONE = "none"
    """Until the day itself is over."""
    NEVER = "never"
    DAYS = "days"
    WEEKDAY = "weekday"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class Deadline:
    """The last moment of a request, from the day that it is about. `minutes` are of Paris."""

    kind: DeadlineKind
    minutes: int = MIDNIGHT_MINUTES
    days: int = 0
    counting: Counting = Counting.CALENDAR
    weekday: int = 0
    weeks: int = 1
    """1: the week before, 2: the one before that."""
    day_of_month: int = 1
    """Of the month before; the month's last day where it has no such day."""
    school_day: bool = False
    """A day without school moves the deadline to the last school day before it."""

    def day(self, of: date, calendar: Calendar) -> date:
        """The day on which the deadline for the day `of` lies."""
        if self.kind is DeadlineKind.DAYS:
            found = _back(of, self.days, self.counting, calendar)
        elif self.kind is DeadlineKind.WEEKDAY:
            monday = of - timedelta(days=of.weekday())
            found = monday - timedelta(weeks=self.weeks) + timedelta(days=self.weekday)
        elif self.kind is DeadlineKind.MONTH:
            last = of.replace(day=1) - ONE_DAY
            found = last.replace(day=min(self.day_of_month, last.day))
        else:
            return of
        if self.school_day and not calendar.is_school_day(found):
            return _back(found, 1, Counting.SCHOOL, calendar)
        return found

    def instant(self, of: date, calendar: Calendar) -> datetime:
        """The moment, in UTC, from which it is too late."""
        if self.kind is DeadlineKind.NEVER:
            return NEVER
        return instant(self.day(of, calendar), self.minutes)


def _back(day: date, count: int, counting: Counting, calendar: Calendar) -> date:
    earliest = day - timedelta(days=SEARCH_LIMIT_DAYS)
    while count and day > earliest:
        day -= ONE_DAY
        count -= calendar.counts(day, counting)
    return day


NO_DEADLINE = Deadline(DeadlineKind.NONE)


@dataclass(frozen=True, slots=True)
class Service:
    """A service with its rules, such as the canteen."""

    key: str
    label: str
    weekdays: frozenset[int]
    period: Period = Period.SCHOOL
    places: int | None = None
    """Children a day at one place (school, site); None: no limit."""
    places_at: Mapping[str, int] = field(default_factory=dict)
    """Children a day at each place that has its own number."""
    add: Deadline = NO_DEADLINE
    cancel: Deadline = NO_DEADLINE
    late: Late = Late.REFUSE
    waiting_list: bool = False
    window_days: int | None = None
    """Days ahead that families may book; None: no limit."""
    order: bool = False
    """Meals are ordered from a caterer."""

    def limit(self, place: str) -> int | None:
        """Children a day at `place`."""
        return self.places_at.get(place, self.places)

    def opens(self, day: date, calendar: Calendar) -> bool:
        """True if the service is open on `day`, closures apart."""
        if not calendar.knows(day) or day.weekday() not in self.weekdays or day in calendar.public:
            return False
        return self.period is Period.ALL or (
            (day in calendar.holidays) == (self.period is Period.HOLIDAYS)
        )


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A child may use a service at a place over a span of days, both included."""

    service: str
    first: date
    last: date
    kind: Kind = Kind.OCCASIONAL
    place: str = ""
    meal: str = ""
    weekdays: frozenset[int] = frozenset()
    """Days that a regular enrolment books by itself."""


def enrolment_on(enrolments: Iterable[Enrolment], service: str, day: date) -> Enrolment | None:
    """The enrolment that holds on `day`: of several, the one that began last."""
    return max(
        (e for e in enrolments if e.service == service and e.first <= day <= e.last),
        key=lambda e: e.first,
        default=None,
    )


@dataclass(frozen=True, slots=True)
class Home:
    """Weeks in which one of a child's homes may change its days; `handover`: when they begin."""

    weeks: Weeks = Weeks.ALL
    handover: int = 0

    def has(self, day: date) -> bool:
        """True if the child lives in this home on `day`."""
        return in_weeks(day - timedelta(days=(day.weekday() - self.handover) % 7), self.weeks)


def in_weeks(day: date, weeks: Weeks) -> bool:
    """True if the ISO week of `day` is one of `weeks`. Week 53 and week 1 are both odd."""
    return weeks is Weeks.ALL or (day.isocalendar().week % 2 == 0) == (weeks is Weeks.EVEN)


@dataclass(frozen=True, slots=True)
class Cell:
    """Known facts of one child, service and day when a wish is judged."""

    day: date
    service: Service
    enrolment: Enrolment | None = None
    state: State | None = None
    closed: bool = False
    here: bool = True
    """The child lives in the asking home on this day, or an agent asks."""
    free: int | None = None
    """Places left; None: no limit."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer to a wish; `deadline` is the instant that it was measured against."""

    verdict: Verdict
    why: Why | None = None
    deadline: datetime | None = None


def decide(
    wish: Wish, cell: Cell, calendar: Calendar, now: datetime, *, by_pattern: bool = False
) -> Decision:
    """Judge one wish of a family at the moment `now`.

    `by_pattern` is one of many days that were not looked at one by one: what is too late is left
    out, neither booked *hors délai* nor announced as an absence.
    """
    why = _closed_to_all(cell, calendar, now)
    if why is not None:
        return Decision(Verdict.REFUSE, why)
    if wish is Wish.ADD:
        return _add(cell, calendar, now, by_pattern=by_pattern)
    return _remove(cell, calendar, now, by_pattern=by_pattern)


def _closed_to_all(cell: Cell, calendar: Calendar, now: datetime) -> Why | None:
    if cell.enrolment is None and cell.state not in {*TAKEN, State.WAITING}:
        return Why.NOT_ENROLLED
    if cell.closed or cell.state is State.CLOSED:
        return Why.CLOSED
    if cell.enrolment is not None and cell.enrolment.kind is Kind.SHOWN:
        return Why.SHOWN_ONLY
    if not cell.service.opens(cell.day, calendar) and cell.state not in {*TAKEN, State.WAITING}:
        return Why.NOT_OPEN
    if not cell.here:
        return Why.OTHER_HOME
    if now >= instant(cell.day, MIDNIGHT_MINUTES):
        return Why.PAST
    return None


def _add(cell: Cell, calendar: Calendar, now: datetime, *, by_pattern: bool) -> Decision:
    service = cell.service
    if cell.state in {State.BOOKED, State.WAITING}:
        return Decision(Verdict.NOTHING)
    if cell.state is State.ABSENT:
        return Decision(Verdict.NOTHING if by_pattern else Verdict.RESTORE)
    if cell.enrolment is None:
        return Decision(Verdict.REFUSE, Why.NOT_ENROLLED)
    window = service.window_days
    if window is not None and (cell.day - now.astimezone(PARIS).date()).days > window:
        return Decision(Verdict.REFUSE, Why.BEYOND_WINDOW)
    deadline = service.add.instant(cell.day, calendar)
    late = now >= deadline
    if late and (service.late is Late.REFUSE or by_pattern or deadline == NEVER):
        return Decision(Verdict.REFUSE, Why.TOO_LATE, deadline)
    if cell.free is not None and cell.free <= 0:
        if service.waiting_list and not late:
            return Decision(Verdict.WAIT, deadline=deadline)
        return Decision(Verdict.REFUSE, Why.FULL, deadline)
    return Decision(Verdict.BOOK_LATE if late else Verdict.BOOK, deadline=deadline)


def _remove(cell: Cell, calendar: Calendar, now: datetime, *, by_pattern: bool) -> Decision:
    if cell.state is State.WAITING:
        return Decision(Verdict.CANCEL)
    if cell.state is not State.BOOKED:
        return Decision(Verdict.NOTHING)
    deadline = cell.service.cancel.instant(cell.day, calendar)
    if now < deadline:
        return Decision(Verdict.CANCEL, deadline=deadline)
    if by_pattern:
        return Decision(Verdict.REFUSE, Why.TOO_LATE, deadline)
    return Decision(Verdict.ABSENCE, deadline=deadline)


AFTER = {
    Verdict.BOOK: State.BOOKED,
    Verdict.BOOK_LATE: State.BOOKED,
    Verdict.RESTORE: State.BOOKED,
    Verdict.WAIT: State.WAITING,
    Verdict.CANCEL: State.CANCELLED,
    Verdict.ABSENCE: State.ABSENT,
}
"""The state that each verdict leads to; the others change nothing."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A week as a family wants it: pairs of service and weekday (0: Monday)."""

    days: frozenset[tuple[str, int]]
    weeks: Weeks = Weeks.ALL

    def wishes(
        self, services: Sequence[Service], first: date, last: date, calendar: Calendar
    ) -> Iterator[tuple[date, Service, Wish]]:
        """Wishes of the pattern for each open day of a span, both ends included."""
        day = first
        while day <= last:
            if in_weeks(day, self.weeks):
                for service in services:
                    if service.opens(day, calendar):
                        wanted = (service.key, day.weekday()) in self.days
                        yield day, service, Wish.ADD if wanted else Wish.REMOVE
            day += ONE_DAY


def to_promote(waiting: Sequence[int], free: int | None) -> Sequence[int]:
    """The first of a waiting list, oldest request first, that `free` places suffice for."""
    return waiting if free is None else waiting[: max(free, 0)]
