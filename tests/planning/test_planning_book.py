"""The book over PostgreSQL: places, waiting list, proof, towns and families apart, many at once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta

import pytest
from planning_towns import MONDAY, ask, book_of, enrol, family
from sqlalchemy import select, text

from core.testing.waiting import PATIENCE_SECONDS
from plugins.planning.book import Asked
from plugins.planning.models import PlanningBooking, PlanningChange, PlanningClosure, PlanningHome
from plugins.planning.rules import State, Verdict, Why, Wish


def verdicts(outcome):
    return [(answer.decision.verdict, answer.decision.why) for answer in outcome.answers]


def rows(portal, slug="valmont"):
    with portal.town(slug) as town:
        return {
            (row.child_id, row.service, row.day): row.state
            for row in town.session.scalars(select(PlanningBooking).where(PlanningBooking.tenant_id == slug))
        }


def changes(portal, slug="valmont"):
    with portal.town(slug) as town:
        return [
            (row.child_id, row.before, row.after, row.actor)
            for row in town.session.scalars(select(PlanningChange).where(PlanningChange.tenant_id == slug).order_by(PlanningChange.id))
        ]


def test_a_day_is_booked_once_and_cancelled_once(portal):
    mine, children = family(portal)
    child = children["E001"]
    enrol(portal, child)
    done = ask(portal, mine, (child, "CANTINE", MONDAY, "add"), key="1")
    assert verdicts(done) == [(Verdict.BOOK, None)]
    assert verdicts(ask(portal, mine, (child, "CANTINE", MONDAY, "add"), key="2")) == [(Verdict.NOTHING, None)]
    # The same form sent twice is one request.
    again = ask(portal, mine, (child, "CANTINE", MONDAY, "remove"), key="1")
    assert again.repeated
    assert again.at == done.at
    assert rows(portal) == {(child, "CANTINE", MONDAY): "booked"}
    ask(portal, mine, (child, "CANTINE", MONDAY, "remove"), key="3")
    assert changes(portal) == [(child, "", "booked", f"family:{mine}"), (child, "booked", "cancelled", f"family:{mine}")]


def test_the_instant_of_the_deadline(portal):
    mine, children = family(portal)
    child = children["E001"]
    enrol(portal, child)
    # Thursday, 26 March 2026, 10 h in Paris, still in winter time: the clocks change on the 29th.
    portal.clock._now = portal.clock.now().replace(day=26, hour=8, minute=59, second=59)
    assert verdicts(ask(portal, mine, (child, "CANTINE", MONDAY, "add"), key="1")) == [(Verdict.BOOK, None)]
    portal.clock.pass_time(seconds=1)
    assert verdicts(ask(portal, mine, (child, "CANTINE", date(2026, 3, 31), "add"), key="2")) == [(Verdict.REFUSE, Why.TOO_LATE)]
    assert verdicts(ask(portal, mine, (child, "CANTINE", MONDAY, "remove"), key="3")) == [(Verdict.ABSENCE, None)]
    assert rows(portal) == {(child, "CANTINE", MONDAY): "absent"}


def test_a_place_that_becomes_free_goes_to_the_first_who_waits(portal):
    homes = [family(portal, f"F{n}", (f"E{n}",)) for n in range(5)]
    ids = [next(iter(children.values())) for _home, children in homes]
    enrol(portal, *ids)
    for n, (home, _children) in enumerate(homes):
        ask(portal, home, (ids[n], "CANTINE", MONDAY, "add"), key=f"k{n}")
    assert [rows(portal)[i, "CANTINE", MONDAY] for i in ids] == ["booked", "booked", "waiting", "waiting", "waiting"]
    # Who leaves the list and comes again stands at its end.
    ask(portal, homes[2][0], (ids[2], "CANTINE", MONDAY, "remove"), key="a")
    ask(portal, homes[2][0], (ids[2], "CANTINE", MONDAY, "add"), key="b")
    done = ask(portal, homes[0][0], (ids[0], "CANTINE", MONDAY, "remove"), key="c")
    assert [(p.child_id, p.family_id) for p in done.promotions] == [(ids[3], homes[3][0])]
    ask(portal, homes[1][0], (ids[1], "CANTINE", MONDAY, "remove"), key="d")
    ask(portal, homes[3][0], (ids[3], "CANTINE", MONDAY, "remove"), key="e")
    assert [rows(portal)[i, "CANTINE", MONDAY] for i in ids] == ["cancelled", "cancelled", "booked", "cancelled", "booked"]
    assert (ids[3], "waiting", "booked", "planning") in changes(portal)


def test_a_child_of_nobody_or_of_another_town_is_not_known(portal):
    mine, children = family(portal)
    _theirs, other = family(portal, "F002", ("E002",))
    _far, foreign = family(portal, "F003", ("E003",), slug="brumes")
    enrol(portal, *children.values(), *other.values())
    enrol(portal, *foreign.values(), slug="brumes")
    for child in (other["E002"], foreign["E003"], 10**9):
        assert verdicts(ask(portal, mine, (child, "CANTINE", MONDAY, "add"), key=str(child))) == [(Verdict.REFUSE, Why.NOT_ENROLLED)]
    assert rows(portal) == {}
    with portal.town() as town:
        assert book_of(town, mine).look([other["E002"]], [MONDAY]) == {}


def test_a_closed_day_is_closed(portal):
    mine, children = family(portal)
    child = children["E001"]
    enrol(portal, child)
    with portal.town() as town:
        town.session.add(PlanningClosure(tenant_id="valmont", day=MONDAY, service="", place="Jules-Ferry", reason="Grève",
                                         actor="agent:1", at=town.clock.now()))
    assert verdicts(ask(portal, mine, (child, "CANTINE", MONDAY, "add"), key="1")) == [(Verdict.REFUSE, Why.CLOSED)]


def test_two_homes_change_their_own_weeks_only(portal):
    one, children = family(portal, "F001", ("E001",))
    two, shared = family(portal, "F002", ("E001",))
    child = children["E001"]
    assert shared == children
    enrol(portal, child)
    with portal.town() as town:
        town.session.add_all([
            PlanningHome(tenant_id="valmont", child_id=child, family_id=one, weeks="even", handover=0),
            PlanningHome(tenant_id="valmont", child_id=child, family_id=two, weeks="odd", handover=0),
        ])
    even, odd = MONDAY, MONDAY + timedelta(days=7)
    assert even.isocalendar().week % 2 == 0
    assert verdicts(ask(portal, one, (child, "CANTINE", even, "add"), (child, "CANTINE", odd, "add"), key="1")) == [
        (Verdict.BOOK, None), (Verdict.REFUSE, Why.NOT_OPEN if odd == date(2026, 4, 6) else Why.OTHER_HOME)]
    tuesday = odd + timedelta(days=1)
    assert verdicts(ask(portal, one, (child, "CANTINE", tuesday, "add"), key="2")) == [(Verdict.REFUSE, Why.OTHER_HOME)]
    assert verdicts(ask(portal, two, (child, "CANTINE", tuesday, "add"), (child, "CANTINE", even, "remove"), key="3")) == [
        (Verdict.BOOK, None), (Verdict.REFUSE, Why.OTHER_HOME)]


def test_an_agent_may_do_what_is_too_late_with_a_reason(portal):
    _mine, children = family(portal)
    child = children["E001"]
    enrol(portal, child)
    portal.clock._now = portal.clock.now().replace(day=30, hour=7)
    with portal.town() as town:
        book_of(town, actor="agent:7").set_state([(child, "CANTINE", MONDAY, State.BOOKED)], key="x", reason="Oubli, appel du jour")
    assert changes(portal) == [(child, "", "booked", "agent:7")]


def test_weighing_writes_nothing(portal):
    mine, children = family(portal)
    child = children["E001"]
    enrol(portal, child)
    with portal.town() as town:
        found = book_of(town, mine).weigh([Asked(child, "CANTINE", MONDAY, Wish.ADD)])
    assert [answer.decision.verdict for answer in found] == [Verdict.BOOK]
    assert rows(portal) == {}


FIFTY = 50


def test_the_last_place_asked_for_by_fifty_at_once(portal):
    homes = [family(portal, f"F{n:03d}", (f"E{n:03d}",)) for n in range(FIFTY)]
    ids = [next(iter(children.values())) for _home, children in homes]
    enrol(portal, *ids)
    first, children = family(portal, "G1", ("G1",))
    enrol(portal, *children.values())
    ask(portal, first, (children["G1"], "CANTINE", MONDAY, "add"), key="before")
    barrier = threading.Barrier(10)

    def go(number):
        if number < 10:
            barrier.wait(PATIENCE_SECONDS)
        return ask(portal, homes[number][0], (ids[number], "CANTINE", MONDAY, "add"), key=f"k{number}").answers[0].decision.verdict

    with ThreadPoolExecutor(10) as pool:
        found = list(pool.map(go, range(FIFTY)))
    assert found.count(Verdict.BOOK) == 1
    assert found.count(Verdict.WAIT) == FIFTY - 1
    with portal.town() as town:
        queue = town.session.execute(
            text("SELECT queued FROM planning_booking WHERE state = 'waiting' ORDER BY queued")
        ).scalars().all()
        order = town.session.execute(
            text("SELECT child_id FROM planning_booking WHERE state = 'waiting' ORDER BY queued")
        ).scalars().all()
        trail = town.session.execute(
            text("SELECT child_id FROM planning_change WHERE after = 'waiting' ORDER BY id")
        ).scalars().all()
    assert queue == list(range(1, FIFTY))
    # The order of the list is the order in which the requests were taken.
    assert order == trail
    # All who have a place give it back at once: the first two who wait get them, none is lost.
    winner = ids[found.index(Verdict.BOOK)]
    home = dict(zip(ids, [h for h, _c in homes], strict=True))
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda pair: ask(portal, pair[0], (pair[1], "CANTINE", MONDAY, "remove"), key=f"r{pair[1]}"),
                      [(first, children["G1"]), (home[winner], winner)]))
    states = rows(portal)
    assert sorted(c for (c, _s, _d), state in states.items() if state == "booked") == sorted(order[:2])


def test_one_form_sent_by_two_clicks_at_once_is_one_request(portal):
    mine, children = family(portal)
    child = children["E001"]
    enrol(portal, child)
    barrier = threading.Barrier(4)

    def click(_number):
        barrier.wait(PATIENCE_SECONDS)
        return ask(portal, mine, (child, "CANTINE", MONDAY, "add"), key="form")

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(click, range(4)))
    assert sorted(outcome.repeated for outcome in found) == [False, True, True, True]
    assert len(changes(portal)) == 1


@pytest.mark.parametrize("table", ["planning_request", "planning_change", "planning_order"])
def test_what_proves_cannot_be_changed(portal, table):
    from sqlalchemy.exc import ProgrammingError

    with pytest.raises(ProgrammingError, match="permission denied"), portal.town() as town:
        town.session.execute(text(f"DELETE FROM {table}"))
