"""The rules of a child's days once more, written from the towns' own words and by other means.

Nothing of the plugin is used: days are listed and walked, moments are found by looking at the clock
of Paris minute by minute.
"""

from __future__ import annotations

import calendar
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

PARIS = ZoneInfo("Europe/Paris")
DAY = timedelta(days=1)


def clock(moment: datetime) -> tuple[date, int]:
    """What the clocks of Paris show: the day, and the minutes since it began."""
    shown = moment.astimezone(PARIS)
    return shown.date(), shown.hour * 60 + shown.minute


@cache
def moment_of(day: date, minutes: int) -> datetime:
    """The last minute that shows the time; where none does, the first one that shows a later time."""
    if minutes == 24 * 60:
        day, minutes = day + DAY, 0
    # Paris is one or two hours before UTC: the moment lies within these four hours.
    around = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(minutes=minutes - 180)
    shown = [(around + timedelta(minutes=n), clock(around + timedelta(minutes=n))) for n in range(240)]
    exact = [moment for moment, face in shown if face == (day, minutes)]
    return exact[-1] if exact else next(moment for moment, face in shown if face > (day, minutes))


@dataclass
class Year:
    """A school year: everything is listed."""

    vacation: set[date]
    public: set[date]
    class_days: set[int]
    until: date

    def school(self, day):
        return day.weekday() in self.class_days and day not in self.vacation and day not in self.public

    def working(self, day):
        return day.weekday() <= 4 and day not in self.public


def deadline_day(rule: dict, day: date, year: Year) -> date:
    """Rules as towns say them: see the keys."""
    if "days" in rule:
        counted = {"calendar": lambda _d: True, "working": year.working, "school": year.school}[rule.get("counting", "calendar")]
        before = [day - n * DAY for n in range(1, 300)]
        listed = [d for d in before if counted(d)]
        found = listed[rule["days"] - 1] if rule["days"] else day
    elif "weekday" in rule:
        target = day.isocalendar()
        some_day = date.fromisocalendar(target.year, target.week, 1) - 7 * rule["weeks"] * DAY
        found = next(some_day + n * DAY for n in range(7) if (some_day + n * DAY).weekday() == rule["weekday"])
    else:
        month, of_year = (day.month - 1, day.year) if day.month > 1 else (12, day.year - 1)
        found = date(of_year, month, min(rule["day_of_month"], calendar.monthrange(of_year, month)[1]))
    if rule.get("school_day") and not year.school(found):
        found = next(found - n * DAY for n in range(1, 300) if year.school(found - n * DAY))
    return found


def in_time(rule: dict | str, day: date, year: Year, now: datetime) -> bool:
    """Whether `now` is before the deadline."""
    if rule == "none":
        return clock(now)[0] <= day
    if rule == "never":
        return False
    return now < moment_of(deadline_day(rule, day, year), rule["minutes"])


@dataclass
class PaperTown:
    """The oracle's own book: who is where on each day, kept in plain lists."""

    year: Year
    services: dict[str, dict]
    """By key: weekdays, period, places, add, cancel, late, waiting_list, window."""
    here: dict = field(default_factory=dict)
    """(service, place, day): children with a place, in a set."""
    queue: dict = field(default_factory=dict)
    """(service, place, day): children who wait, in order."""
    away: set = field(default_factory=set)
    """(child, service, day) announced too late."""
    shut: set = field(default_factory=set)
    """(service, day) closed."""

    def open(self, key, day):
        service = self.services[key]
        if day > self.year.until or day in self.year.public or day.weekday() not in service["weekdays"]:
            return False
        vacation = day in self.year.vacation
        return {"all": True, "school": not vacation, "holidays": vacation}[service["period"]]

    def ask(self, child, key, place, day, now, wish, *, enrolled=True, kind="occasional", home=True):
        """What a parent's single request must lead to, in one word."""
        service, slot = self.services[key], (key, place, day)
        inside = child in self.here.get(slot, set())
        waits = child in self.queue.get(slot, [])
        if not enrolled and not (inside or waits):
            return "refuse not_enrolled"
        if (key, day) in self.shut:
            return "refuse closed"
        if kind == "shown":
            return "refuse shown_only"
        if not self.open(key, day) and not (inside or waits):
            return "refuse not_open"
        if not home:
            return "refuse other_home"
        if clock(now)[0] > day:
            return "refuse past"
        if wish == "remove":
            if waits:
                self.queue[slot].remove(child)
                return "cancel"
            if not inside or (child, key, day) in self.away:
                return "nothing"
            if not in_time(service["cancel"], day, self.year, now):
                self.away.add((child, key, day))
                return "absence"
            self.here[slot].remove(child)
            self.move_up(slot, now)
            return "cancel"
        if waits:
            return "nothing"
        if inside:
            if (child, key, day) in self.away:
                self.away.remove((child, key, day))
                return "restore"
            return "nothing"
        if service["window"] is not None and day > clock(now)[0] + service["window"] * DAY:
            return "refuse beyond_window"
        late = not in_time(service["add"], day, self.year, now)
        if late and (service["late"] == "refuse" or service["add"] == "never"):
            return "refuse too_late"
        places = service["places"]
        if places is not None and len(self.here.get(slot, set())) >= places:
            if service["waiting_list"] and not late:
                self.queue.setdefault(slot, []).append(child)
                return "wait"
            return "refuse full"
        self.here.setdefault(slot, set()).add(child)
        return "book_late" if late else "book"

    def move_up(self, slot, now):
        """The first who waits gets what became free, as long as places may be asked for."""
        service = self.services[slot[0]]
        while (
            self.queue.get(slot)
            and service["places"] is not None
            and len(self.here.get(slot, set())) < service["places"]
            and in_time(service["add"], slot[2], self.year, now)
        ):
            self.here.setdefault(slot, set()).add(self.queue[slot].pop(0))
