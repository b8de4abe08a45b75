"""A school year of a town, lived through the book and through the oracle side by side.

Families ask for usual weeks and single days, in time and too late, from two homes; agents close days;
places are few, and who waits moves up. Every answer and, at the end, every day is compared.

A test lives a small one; `PREAU_PLANNING_CHILDREN=2000` makes it a whole town.
"""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta
from random import Random

import planning_oracle as oracle
from planning_towns import book_of
from sqlalchemy import select

from plugins.planning.book import Asked
from plugins.planning.desk import Desk
from plugins.planning.models import PlanningBooking, PlanningEnrolment, PlanningHome
from plugins.planning.rules import Pattern, State, Weeks, Wish

BEGIN, END, ENROLLED_UNTIL = date(2026, 9, 1), date(2027, 7, 2), date(2027, 8, 31)
TOML = """
[plugins.planning]
feed_key = "made-up-key-for-feeds"
zone = "C"

[plugins.planning.services.CANTINE]
label = "Cantine"
add = { weekday = "thursday", at = "10:00", school_day = true }
cancel = { days = 2, counting = "school", at = "09:00" }
places = PLACES
waiting_list = true

[plugins.planning.services.GARDERIE]
label = "Garderie"
add = { days = 1, counting = "working", at = "24:00" }
cancel = { day_of_month = 31, at = "12:00" }
late = "keep"

[plugins.planning.services.VACANCES]
label = "Centre de loisirs"
weekdays = ["monday", "tuesday", "wednesday", "thursday", "friday"]
period = "holidays"
add = { days = 15, at = "02:30" }
cancel = "never"
places = PLACES
window_days = 120
"""


class Year(oracle.PaperTown):
    """The oracle, with weeks asked for at once: what is too late is left out."""

    def week(self, child, key, place, day, now, wish, *, home):
        service, slot = self.services[key], (key, place, day)
        inside = child in self.here.get(slot, set())
        if wish == "add" and (child, key, day) in self.away:
            return "nothing"
        gate = {"add": "add", "remove": "cancel"}[wish]
        waits = child in self.queue.get(slot, [])
        acts = (wish == "add" and not inside and not waits) or (wish == "remove" and inside and (child, key, day) not in self.away)
        usable = home and (key, day) not in self.shut and oracle.clock(now)[0] <= day
        beyond = wish == "add" and service["window"] is not None and day > oracle.clock(now)[0] + timedelta(days=service["window"])
        if acts and usable and not beyond and not oracle.in_time(service[gate], day, self.year, now):
            return "refuse too_late"
        return self.ask(child, key, place, day, now, wish, home=home)


def services(places):
    weekdays = {0, 1, 3, 4}
    return {
        "CANTINE": {"weekdays": weekdays, "period": "school", "places": places, "waiting_list": True, "late": "refuse", "window": None,
                    "add": {"weekday": 3, "weeks": 1, "minutes": 600, "school_day": True},
                    "cancel": {"days": 2, "counting": "school", "minutes": 540}},
        "GARDERIE": {"weekdays": weekdays, "period": "school", "places": None, "waiting_list": False, "late": "keep", "window": None,
                     "add": {"days": 1, "counting": "working", "minutes": 1440},
                     "cancel": {"day_of_month": 31, "minutes": 720}},
        "VACANCES": {"weekdays": {0, 1, 2, 3, 4}, "period": "holidays", "places": places, "waiting_list": False, "late": "refuse",
                     "window": 120, "add": {"days": 15, "counting": "calendar", "minutes": 150}, "cancel": "never"},
    }


def calendar_of_zone_c():
    """The ministry's list for zone C, 2026-2027, and the public holidays, as they are printed."""
    spans = ["2026-07-04/2026-09-01", "2026-10-17/2026-11-02", "2026-12-19/2027-01-04", "2027-02-06/2027-02-22",
             "2027-04-03/2027-04-19", "2027-05-06/2027-05-10", "2027-07-03/2027-09-01"]
    vacation = set()
    for span in spans:
        first, back = (date.fromisoformat(part) for part in span.split("/"))
        vacation |= {first + timedelta(days=n) for n in range((back - first).days)}
    public = {date(2026, 11, 1), date(2026, 11, 11), date(2026, 12, 25), date(2027, 1, 1), date(2027, 3, 29), date(2027, 5, 1),
              date(2027, 5, 6), date(2027, 5, 8), date(2027, 5, 17), date(2027, 7, 14), date(2027, 8, 15)}
    return oracle.Year(vacation, public, {0, 1, 3, 4}, date(2027, 8, 31))


def live(portal, *, children, requests, places, seed=1, say=lambda _text: None):
    """Live the year; the number of answers that were compared. Differences raise."""
    pick = Random(seed)
    town = Year(calendar_of_zone_c(), services(places))
    homes, kids, of_home = enrol(portal, children, pick)
    moments = sorted(
        datetime(2026, 8, 20, tzinfo=UTC) + timedelta(minutes=pick.randrange(315 * 24 * 60)) for _n in range(requests)
    )
    first = [datetime(2026, 8, 18, 8, tzinfo=UTC) + timedelta(seconds=n) for n in range(len(homes))]
    compared, shut_at = 0, {m: pick.random() for m in moments}
    began = time.perf_counter()
    for number, now in enumerate([*first, *moments]):
        portal.clock._now = now
        home = homes[number % len(homes)] if number < len(first) else pick.choice(homes)
        today = oracle.clock(now)[0]
        if number >= len(first) and shut_at[now] < 0.01:
            close(portal, town, today + timedelta(days=pick.randrange(1, 20)), pick)
            continue
        wishes, by_pattern = (a_week if number < len(first) or pick.random() < 0.08 else some_days)(pick, of_home[home], today)
        compared += compare(portal, town, home, wishes, kids, now, by_pattern=by_pattern)
        if number % 500 == 499:
            say(f"{number + 1} requests, {compared} answers, {time.perf_counter() - began:.0f} s")
    compare_days(portal, town)
    return compared


def enrol(portal, count, pick):
    """Families with one to three children; every tenth child lives in two homes by turns."""
    kids, of_home = {}, {}
    with portal.town() as made:
        number = 0
        while number < count:
            family = made.families.open(f"Y{len(of_home):05d}", f"FAMILLE {len(of_home)}")
            mine = []
            for _n in range(min(pick.choice((1, 1, 2, 2, 3)), count - number)):
                child = made.families.add_child(family.id, f"C{number:06d}", f"Enfant {number}")
                mine.append(child.id)
                kids[child.id] = {"place": pick.choice(("Nord", "Sud")), "homes": {family.id: "all"}}
                number += 1
            of_home[family.id] = mine
            if pick.random() < 0.1:
                other = made.families.open(f"Z{len(of_home):05d}", f"AUTRE {len(of_home)}")
                made.families.add_child(other.id, f"C{number - 1:06d}")
                of_home[other.id] = [mine[-1]]
                kids[mine[-1]]["homes"] = {family.id: "even", other.id: "odd"}
        for child, known in kids.items():
            for key in ("CANTINE", "GARDERIE", "VACANCES"):
                made.session.add(PlanningEnrolment(
                    tenant_id="valmont", child_id=child, service=key, place=known["place"], meal="", kind="occasional",
                    weekdays="", first=BEGIN, last=ENROLLED_UNTIL, batch="year"))
            for family_id, weeks in known["homes"].items():
                if weeks != "all":
                    made.session.add(PlanningHome(tenant_id="valmont", child_id=child, family_id=family_id, weeks=weeks, handover=0))
    return list(of_home), kids, of_home


def a_week(pick, mine, today):
    days = frozenset((key, n) for key in ("CANTINE", "GARDERIE", "VACANCES") for n in range(5) if pick.random() < 0.5)
    first = max(today, BEGIN) + timedelta(days=pick.randrange(10))
    last = min(END, first + timedelta(days=pick.choice((20, 60, 120))))
    return (Pattern(days, pick.choice(list(Weeks))), mine, first, last), True


def some_days(pick, mine, today):
    asked = []
    for _n in range(pick.randrange(1, 6)):
        day = max(today, BEGIN) + timedelta(days=pick.choice((0, 0, 1, 1, 2, 3, 4, 5, 7, 8, 12, 15, 16, 20, 40, 130)) - pick.choice((0, 0, 0, 1)))
        wish = Wish.ADD if pick.random() < 0.5 else Wish.REMOVE
        asked.append(Asked(pick.choice(mine), pick.choice(("CANTINE", "CANTINE", "GARDERIE", "VACANCES")), day, wish))
    return list({(one.child_id, one.service, one.day): one for one in asked}.values()), False


def compare(portal, town, home, wishes, kids, now, *, by_pattern):
    with portal.town() as made:
        book = book_of(made, home)
        if by_pattern:
            from plugins.planning.patterns import Patterns

            pattern, mine, first, last = wishes
            wishes = Patterns(book, made).expand(mine, list(book.services), pattern, first, last)
        found = book.ask(wishes, key=f"{home}/{now.isoformat()}", by_pattern=by_pattern)
    for answer in found.answers:
        asked, known = answer.asked, kids[answer.asked.child_id]
        weeks = known["homes"][home]
        here = weeks == "all" or (int(asked.day.strftime("%V")) % 2 == 0) == (weeks == "even")
        decide = town.week if by_pattern else town.ask
        expected = decide_with(decide, asked, known, now, here)
        given = f"{answer.decision.verdict} {answer.decision.why or ''}".strip()
        assert given == expected, (asked, now, given, expected)
    return len(found.answers)


def decide_with(decide, asked, known, now, here):
    more = {} if BEGIN <= asked.day <= ENROLLED_UNTIL else {"enrolled": False}
    return decide(asked.child_id, asked.service, known["place"], asked.day, now, asked.wish.value, home=here, **more)


def close(portal, town, day, pick):
    """Agents close a canteen's day: whoever was there or waited is there no more."""
    if ("CANTINE", day) in town.shut:
        return
    with portal.town() as made:
        Desk(made, book_of(made, actor="agent:1"), actor="agent:1").close(day, {"CANTINE"}, "", f"Grève {pick.random()}")
    town.shut.add(("CANTINE", day))
    for place in ("Nord", "Sud"):
        town.here.pop(("CANTINE", place, day), None)
        town.queue.pop(("CANTINE", place, day), None)
    town.away = {one for one in town.away if one[1:] != ("CANTINE", day)}


def compare_days(portal, town):
    """Who is where, who waits in which order, and who is away: each day of the year."""
    here, queue, away = {}, {}, set()
    with portal.town() as made:
        for row in made.session.scalars(select(PlanningBooking).order_by(PlanningBooking.queued)):
            slot = (row.service, row.place, row.day)
            if row.state in {State.BOOKED, State.ABSENT}:
                here.setdefault(slot, set()).add(row.child_id)
            if row.state == State.WAITING:
                queue.setdefault(slot, []).append(row.child_id)
            if row.state == State.ABSENT:
                away.add((row.child_id, row.service, row.day))
    assert here == {slot: who for slot, who in town.here.items() if who}
    assert queue == {slot: who for slot, who in town.queue.items() if who}
    assert away == town.away
