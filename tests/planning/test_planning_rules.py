"""The rules against an oracle written by other means; both clock changes; calendars by region."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import planning_oracle as oracle
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from plugins.planning import rules
from plugins.planning.calendar import (
    PUBLISHED_UNTIL,
    REGIONS,
    Span,
    calendar,
    public_holidays,
    school_holidays,
)
from plugins.planning.rules import (
    Cell,
    Counting,
    Deadline,
    DeadlineKind,
    Enrolment,
    Home,
    Kind,
    Late,
    Pattern,
    Period,
    Service,
    State,
    Verdict,
    Weeks,
    Wish,
    decide,
)

CLASS_DAYS = frozenset({0, 1, 3, 4})
TOWN = calendar(zone="B", region="metropole", school_weekdays=CLASS_DAYS)
YEAR = oracle.Year(set(TOWN.holidays), set(TOWN.public), set(CLASS_DAYS), TOWN.last)

days = st.dates(date(2026, 1, 5), date(2027, 7, 20))
minutes = st.integers(0, 24 * 60)


def deadline(rule):
    """The plugin's form of the oracle's words."""
    if isinstance(rule, str):
        return Deadline(DeadlineKind(rule))
    more = {"minutes": rule["minutes"], "school_day": rule.get("school_day", False)}
    if "days" in rule:
        return Deadline(DeadlineKind.DAYS, days=rule["days"], counting=Counting(rule["counting"]), **more)
    if "weekday" in rule:
        return Deadline(DeadlineKind.WEEKDAY, weekday=rule["weekday"], weeks=rule["weeks"], **more)
    return Deadline(DeadlineKind.MONTH, day_of_month=rule["day_of_month"], **more)


rule_of_days = st.fixed_dictionaries({
    "days": st.integers(0, 15), "counting": st.sampled_from(["calendar", "working", "school"]),
    "minutes": minutes, "school_day": st.booleans(),
})
rule_of_weeks = st.fixed_dictionaries({
    "weekday": st.integers(0, 6), "weeks": st.integers(1, 2), "minutes": minutes, "school_day": st.booleans(),
})
rule_of_months = st.fixed_dictionaries({"day_of_month": st.integers(1, 31), "minutes": minutes, "school_day": st.booleans()})
deadlines = st.one_of(rule_of_days, rule_of_weeks, rule_of_months, st.sampled_from(["none", "never"]))


@given(day=st.one_of(days, st.sampled_from([date(2026, 3, 29), date(2026, 10, 25), date(2027, 3, 28), date(2027, 10, 31)])), at=minutes)
@example(date(2026, 3, 29), 150)
@example(date(2026, 10, 25), 150)
@example(date(2026, 3, 29), 180)
@example(date(2026, 10, 25), 120)
@settings(max_examples=60)
def test_an_instant_is_where_the_clock_has_passed(day, at):
    assert rules.instant(day, at) == oracle.moment_of(day, at)


def test_a_time_shown_twice_is_the_second_and_a_time_leapt_over_is_the_leap():
    assert rules.instant(date(2026, 10, 25), 150) == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    assert rules.instant(date(2026, 3, 29), 150) == datetime(2026, 3, 29, 1, 0, tzinfo=UTC)


@given(rule=st.one_of(rule_of_days, rule_of_weeks, rule_of_months), day=days)
@settings(max_examples=300)
def test_the_day_of_a_deadline(rule, day):
    assert deadline(rule).day(day, TOWN) == oracle.deadline_day(rule, day, YEAR)


@given(rule=deadlines, day=days, before=st.integers(-40_000, 3_000))
@settings(max_examples=150)
def test_in_time_or_too_late(rule, day, before):
    now = datetime(day.year, day.month, day.day, 12, tzinfo=UTC) + timedelta(minutes=before)
    assert (now < deadline(rule).instant(day, TOWN)) == oracle.in_time(rule, day, YEAR, now)


@pytest.mark.parametrize(("rule", "day", "expected"), [
    # "Le jeudi de la semaine précédente, 10 h"
    ({"weekday": 3, "weeks": 1, "minutes": 600}, date(2026, 12, 7), "2026-12-03T09:00:00+00:00"),
    # "La veille, jours d'école" of a Monday after the autumn holidays is the last Friday before them.
    ({"days": 1, "counting": "school", "minutes": 540}, date(2026, 11, 2), "2026-10-16T07:00:00+00:00"),
    # Two working days before a Thursday with the 11th of November between.
    ({"days": 2, "counting": "working", "minutes": 720}, date(2026, 11, 13), "2026-11-10T11:00:00+00:00"),
    # "Le 31 du mois précédent" in March.
    ({"day_of_month": 31, "minutes": 1440}, date(2026, 3, 10), "2026-02-28T23:00:00+00:00"),
    # The week before week 1 of 2027 is week 53 of 2026.
    ({"weekday": 1, "weeks": 1, "minutes": 1439}, date(2027, 1, 4), "2026-12-29T22:59:00+00:00"),
])
def test_rules_that_towns_have(rule, day, expected):
    assert deadline({"counting": "calendar", **rule}).instant(day, TOWN).isoformat() == expected


service_rules = st.fixed_dictionaries({
    "weekdays": st.sets(st.integers(0, 6), min_size=1), "period": st.sampled_from(["school", "holidays", "all"]),
    "places": st.one_of(st.none(), st.integers(0, 2)), "add": deadlines, "cancel": deadlines,
    "late": st.sampled_from(["refuse", "keep"]), "waiting_list": st.booleans(),
    "window": st.one_of(st.none(), st.integers(0, 90)),
})


def service(given_rules):
    return Service(
        "s", "S", frozenset(given_rules["weekdays"]), Period(given_rules["period"]), given_rules["places"],
        add=deadline(given_rules["add"]), cancel=deadline(given_rules["cancel"]), late=Late(given_rules["late"]),
        waiting_list=given_rules["waiting_list"], window_days=given_rules["window"],
    )


wishes = st.tuples(st.integers(0, 3), st.sampled_from(["add", "remove"]), st.integers(0, 4000), st.booleans(), st.booleans(),
                   st.sampled_from(["occasional", "regular", "shown"]))


@given(given_rules=service_rules, day=days, start=st.integers(-60_000, 1_000), asked=st.lists(wishes, max_size=12), shut=st.booleans())
@settings(max_examples=200)
def test_a_day_through_many_requests(given_rules, day, start, asked, shut):
    """Each answer, the places and the waiting list are those of the oracle after every request."""
    town = oracle.PaperTown(YEAR, {"s": given_rules})
    if shut:
        town.shut.add(("s", day))
    made = service(given_rules)
    states, queue = {}, []
    now = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(minutes=start)
    for child, wish, later, enrolled, home, kind in asked:
        now += timedelta(minutes=later)
        taken = sum(state in rules.TAKEN for state in states.values())
        enrolment = Enrolment("s", day, day, Kind(kind)) if enrolled or kind == "shown" else None
        cell = Cell(day, made, enrolment, states.get(child), shut, home, None if made.places is None else made.places - taken)
        found = decide(Wish(wish), cell, TOWN, now)
        expected = town.ask(child, "s", "", day, now, wish, enrolled=enrolment is not None, kind=kind if enrolment else "occasional", home=home)
        assert (f"{found.verdict} {found.why or ''}").strip() == expected
        if found.verdict in rules.AFTER:
            states[child] = rules.AFTER[found.verdict]
            if found.verdict is Verdict.WAIT:
                queue.append(child)
            elif child in queue:
                queue.remove(child)
            if found.verdict is Verdict.CANCEL and now < made.add.instant(day, TOWN):
                taken = sum(state in rules.TAKEN for state in states.values())
                for moved in rules.to_promote(list(queue), None if made.places is None else made.places - taken):
                    states[moved] = State.BOOKED
                    queue.remove(moved)
        slot = ("s", "", day)
        assert {c for c, s in states.items() if s in rules.TAKEN} == town.here.get(slot, set())
        assert queue == town.queue.get(slot, [])


@given(first=days, length=st.integers(0, 60), picked=st.sets(st.integers(0, 6)), weeks=st.sampled_from(list(Weeks)))
def test_a_pattern_asks_for_each_open_day_once(first, length, picked, weeks):
    canteen = Service("c", "C", frozenset(CLASS_DAYS))
    last = first + timedelta(days=length)
    pattern = Pattern(frozenset(("c", n) for n in picked), weeks)
    found = {day: wish for day, _service, wish in pattern.wishes([canteen], first, last, TOWN)}
    expected = {}
    for number in range(length + 1):
        day = first + timedelta(days=number)
        week = int(day.strftime("%V"))
        matches = weeks is Weeks.ALL or week % 2 == (0 if weeks is Weeks.EVEN else 1)
        if matches and YEAR.school(day) and day <= YEAR.until:
            expected[day] = Wish.ADD if day.weekday() in picked else Wish.REMOVE
    assert found == expected


@given(day=days, handover=st.integers(0, 6))
def test_each_day_belongs_to_one_of_two_homes(day, handover):
    assert Home(Weeks.EVEN, handover).has(day) != Home(Weeks.ODD, handover).has(day)
    # A week is lived in one home from its handover on.
    begin = next(day - timedelta(days=n) for n in range(7) if (day - timedelta(days=n)).weekday() == handover)
    assert Home(Weeks.EVEN, handover).has(begin) == Home(Weeks.EVEN, handover).has(day)


def test_week_53_and_week_1_are_both_odd():
    assert Home(Weeks.ODD).has(date(2026, 12, 31))
    assert Home(Weeks.ODD).has(date(2027, 1, 4))


def test_a_pattern_leaves_out_what_is_too_late_and_announces_no_absence():
    late = Service("c", "C", frozenset(CLASS_DAYS), add=Deadline(DeadlineKind.NEVER), cancel=Deadline(DeadlineKind.NEVER), late=Late.KEEP)
    day, now = date(2026, 12, 7), datetime(2026, 12, 1, tzinfo=UTC)
    enrolled = Enrolment("c", day, day)
    booked = Cell(day, late, enrolled, State.BOOKED)
    assert decide(Wish.REMOVE, booked, TOWN, now, by_pattern=True).why is rules.Why.TOO_LATE
    assert decide(Wish.REMOVE, booked, TOWN, now).verdict is Verdict.ABSENCE
    assert decide(Wish.ADD, Cell(day, late, enrolled), TOWN, now, by_pattern=True).why is rules.Why.TOO_LATE


# The ministry's list "fr-en-calendrier-scolaire" of data.education.gouv.fr for 2026-2027: first day, day of return.
OFFICIAL = {
    "A": ["2026-10-17/2026-11-02", "2026-12-19/2027-01-04", "2027-02-13/2027-03-01", "2027-04-10/2027-04-26"],
    "B": ["2026-10-17/2026-11-02", "2026-12-19/2027-01-04", "2027-02-20/2027-03-08", "2027-04-17/2027-05-03"],
    "C": ["2026-10-17/2026-11-02", "2026-12-19/2027-01-04", "2027-02-06/2027-02-22", "2027-04-03/2027-04-19"],
}


@pytest.mark.parametrize("zone", OFFICIAL)
def test_school_holidays_are_those_of_the_ministry(zone):
    expected = set()
    for span in OFFICIAL[zone]:
        begin, back = (date.fromisoformat(part) for part in span.split("/"))
        expected |= {begin + timedelta(days=n) for n in range((back - begin).days)}
    # The bridge after Ascension, and the summer from the first Saturday of July.
    expected |= {date(2027, 5, 6) + timedelta(days=n) for n in range(4)}
    expected |= {date(2027, 7, 3) + timedelta(days=n) for n in range((PUBLISHED_UNTIL - date(2027, 7, 3)).days + 1)}
    found = {day for day in school_holidays(zone) if date(2026, 9, 1) <= day <= PUBLISHED_UNTIL}
    assert found == expected


@pytest.mark.parametrize(("region", "day", "closed"), [
    ("metropole", date(2027, 3, 26), False), ("alsace", date(2027, 3, 26), True), ("moselle", date(2026, 12, 26), True),
    ("metropole", date(2026, 12, 26), False), ("mayotte", date(2027, 4, 27), True), ("martinique", date(2027, 5, 22), True),
    ("guadeloupe", date(2027, 5, 27), True), ("guyane", date(2027, 6, 10), True), ("la-reunion", date(2026, 12, 20), True),
    ("saint-martin", date(2027, 5, 28), True), ("saint-barthelemy", date(2027, 10, 9), True), ("nouvelle-caledonie", date(2027, 9, 24), True),
    ("metropole", date(2027, 5, 6), True), ("wallis-et-futuna", date(2027, 4, 28), True),
])
def test_public_holidays_by_region(region, day, closed):
    assert (day in public_holidays(region)) is closed


@pytest.mark.parametrize("region", REGIONS)
def test_every_region_has_the_eleven_days_of_the_labour_code(region):
    found = public_holidays(region)
    for month, number in ((1, 1), (5, 1), (5, 8), (7, 14), (8, 15), (11, 1), (11, 11), (12, 25)):
        assert date(2027, month, number) in found
    assert {date(2027, 3, 29), date(2027, 5, 6), date(2027, 5, 17)} <= set(found)


def test_a_town_overseas_says_its_holidays_itself_and_is_closed_beyond_them():
    island = calendar(
        zone=None, region="guadeloupe", school_weekdays=CLASS_DAYS,
        own=[Span(date(2027, 2, 13), date(2027, 2, 21))], known_until=date(2027, 7, 2),
    )
    canteen = Service("c", "C", frozenset(CLASS_DAYS))
    assert canteen.opens(date(2027, 2, 12), island)
    assert not canteen.opens(date(2027, 2, 15), island)
    assert not canteen.opens(date(2027, 9, 6), island)


def test_nothing_is_booked_in_a_school_year_that_is_not_published():
    canteen = Service("c", "C", frozenset(CLASS_DAYS), period=Period.ALL)
    assert not canteen.opens(PUBLISHED_UNTIL + timedelta(days=10), TOWN)
