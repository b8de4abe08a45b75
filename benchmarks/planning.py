"""The planning: a week beside the unpaid invoices, counts of a large town, a year at once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from statistics import median

from sqlalchemy import text

from benchmarks.browser import asking, quiet_logs, signed_in
from benchmarks.measure import Aim, Result, compared, each, in_turns, main, seconds
from benchmarks.portal import analysed, running
from core.processes.app import make_app
from core.testing.portal import record
from plugins.planning import plugin
from plugins.planning.book import Book
from plugins.planning.desk import Desk
from plugins.planning.patterns import Patterns
from plugins.planning.rules import Pattern

TOML = """
[plugins.planning]
feed_key = "made-up-key-for-feeds"
zone = "B"

[plugins.planning.services.CANTINE]
label = "Cantine"
add = { weekday = "thursday", at = "10:00" }
cancel = { weekday = "thursday", at = "10:00" }
places = 10000
waiting_list = true

[plugins.planning.services.GARDERIE]
label = "Garderie"
add = { days = 1, counting = "school", at = "18:00" }
cancel = { days = 1, counting = "school", at = "18:00" }
"""
MONDAY = date(2026, 3, 30)
INVOICES, CHILDREN = 20, 5000

FILL = """
INSERT INTO planning_booking (tenant_id, child_id, service, day, place, meal, state, late, queued,
                              changed_at)
SELECT 'valmont', 1000000 + n, service, date '2026-03-16' + d, 'Lieu ' || n % 12,
       (ARRAY['', '', '', 'SV', 'PAI'])[1 + n % 5], 'booked', false, 0, now()
FROM generate_series(1, {children}) n, generate_series(0, 30) d,
     unnest(ARRAY['CANTINE', 'GARDERIE']) service
"""


def run(quick: bool) -> Iterator[Result]:
    count, rounds = (10, 1) if quick else (200, 5)
    with running(plugins={"planning": plugin}, toml=TOML) as portal:
        quiet_logs(portal.runtime)
        portal.publish(
            *(record(f"2026-{number}", family="F020") for number in range(INVOICES)),
            *(record(f"2026-1{number:03}", family=f"F{number}") for number in range(100)),
        )
        family_id, children = _family(portal)
        with portal.town() as town:
            town.session.execute(text(FILL.format(children=CHILDREN // (50 if quick else 1))))
        analysed(portal)
        application = make_app(portal.runtime)
        cookies = signed_in(application, portal, "F020")
        ask_week = asking(application, f"/+planning/?jour={MONDAY}", cookies)
        ask_unpaid = asking(application, "/factures", cookies)
        assert ask_week().count(b'name="is"') >= len(children) * 8
        took = in_turns(
            {
                "week": lambda: median(each(ask_week, count)),
                "unpaid": lambda: median(each(ask_unpaid, count)),
            },
            rounds,
        )
        yield compared(
            "planning: week of three children",
            [1000 * one for one in took["week"]], [1000 * one for one in took["unpaid"]], "ms",
            Aim("at most", 1.3), requests=count, baseline="the page of 20 unpaid invoices",
        )  # fmt: skip
        with portal.town() as town:
            desk = Desk(town, Book(town, town.settings(plugin), actor="agent:1"), actor="agent:1")
            times = each(lambda: desk.counts(MONDAY), count)
        yield Result(
            "planning: counts of a day", 1000 * median(times), None, "ms",
            Aim("at most", 30, "figure"), conditions={"children": CHILDREN, "services": 2},
        )  # fmt: skip
        times = [
            seconds(lambda n=n: _year(portal, family_id, children, n)) for n in range(rounds + 1)
        ]
        yield Result(
            "planning: a usual week over a school year", 1000 * median(times), None, "ms",
            Aim("at most", 200, "figure"), conditions={"children": 3, "services": 2},
        )  # fmt: skip


def _family(portal) -> tuple[int, list[int]]:
    with portal.town() as town:
        family_id = town.families.by_code("F020").id
        children = [town.families.add_child(family_id, name).id for name in ("Léa", "Tom", "Zoé")]
        town.session.execute(
            text(
                "INSERT INTO planning_enrolment (tenant_id, child_id, service, place, meal, kind,"
                " weekdays, first, last, batch) SELECT 'valmont', child, service, 'Lieu 1', '',"
                " 'occasional', '', date '2025-09-01', date '2027-07-31', 'x'"
                " FROM unnest(CAST(:children AS bigint[])) child,"
                " unnest(ARRAY['CANTINE', 'GARDERIE']) service"
            ),
            {"children": children},
        )
    return family_id, children


def _year(portal, family_id: int, children: list[int], number: int) -> None:
    """Ask for another week than before over a school year, so that every day changes."""
    with portal.town() as town:
        book = Book(town, town.settings(plugin), actor="family", family_id=family_id)
        service = "CANTINE" if number % 2 else "GARDERIE"
        days = {(service, weekday) for weekday in range(5)}
        wishes = Patterns(book, town).expand(
            children, list(book.services), Pattern(frozenset(days)), MONDAY + timedelta(days=155),
            MONDAY + timedelta(days=155 + 305),
        )
        outcome = book.ask(wishes, key=f"year-{number}", by_pattern=True)
        assert sum(answer.changed for answer in outcome.answers) > 3 * 130


if __name__ == "__main__":
    main(run, __doc__)
