"""Rows that one message brings together: each is done or not for itself, whatever befalls another."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import pytest
from sqlalchemy import text

from core.api.errors import RetryableError
from core.services.outbox import HELD
from core.tasks.consumers import all_consumers
from core.tasks.deliver import deliver
from core.testing.portal import due_rows

pytestmark = pytest.mark.faults


class Killed(BaseException):
    """No handler of errors catches it."""


class Rows:
    """Five rows of one topic; what happens when one is done is set by its number."""

    def __init__(self, portal):
        self.portal, self.done, self.happens = portal, [], {}
        self._consumers = dict(all_consumers(portal.runtime.extensions))
        _plugin, consumer = self._consumers["housekeeping"]
        self._consumers["housekeeping"] = "", replace(consumer, handler=self._do, attempts=3)
        with portal.town() as town:
            for number in range(5):
                town.outbox.add("housekeeping", {"number": number}, key=str(number), bulk=True)
                portal.clock.pass_time(seconds=1)
            town.session.commit()
            self.ids = [row_id for _tenant, row_id in due_rows(town)]

    def _do(self, _town, payload):
        number = payload["number"]
        self.happens.get(number, lambda: None)()
        self.done.append(number)

    def deliver(self, *numbers):
        with suppress(Killed):
            deliver(self.portal.runtime, self._consumers, "valmont", *(self.ids[n] for n in numbers))

    def states(self):
        with self.portal.town() as town:
            rows = town.session.execute(
                text("SELECT state, attempts FROM outbox ORDER BY (payload->>'number')::int")
            )
            return [tuple(row) for row in rows]


@pytest.fixture
def rows(portal):
    return Rows(portal)


def raising(error):
    def happen():
        raise error

    return happen


def test_all_are_done_in_their_order(rows):
    rows.deliver(3, 0, 1, 2, 4)
    assert rows.done == [3, 0, 1, 2, 4]
    assert rows.states() == [("done", 1)] * 5
    rows.deliver(0, 1, 2, 3, 4)
    assert len(rows.done) == 5


def test_one_that_fails_keeps_none_of_the_others_off(rows):
    rows.happens[1] = raising(RetryableError("not now"))
    rows.happens[2] = raising(ValueError("a fault"))
    rows.deliver(0, 1, 2, 3, 4)
    assert rows.done == [0, 3, 4]
    assert [state for state, _attempts in rows.states()] == ["done", "ready", "ready", "done", "done"]


def test_a_worker_that_died_of_one_costs_the_others_one_attempt_and_a_minute(rows):
    """They were taken together with it; from then on each is taken for itself."""
    rows.happens[1] = raising(Killed())
    rows.deliver(0, 1, 2, 3, 4)
    assert rows.done == [0]
    rows.deliver(2, 3)
    assert rows.done == [0], "held for the worker that died"
    for _worker in range(4):
        rows.portal.clock.pass_time(seconds=HELD.total_seconds() + 1)
        rows.deliver(1, 2, 3, 4)
    rows.portal.clock.pass_time(seconds=HELD.total_seconds() + 1)
    rows.deliver(2, 3, 4)
    assert sorted(rows.done) == [0, 2, 3, 4]
    states = rows.states()
    assert states[1] == ("dead", 4)
    assert states[2:] == [("done", 2)] * 3


def test_what_waited_too_long_behind_a_slow_one_is_left_to_who_took_it(rows):
    def slow():
        rows.portal.clock.pass_time(seconds=HELD.total_seconds() + 1)
        rows.deliver(1)

    rows.happens[0] = slow
    rows.deliver(0, 1, 2)
    assert rows.done.count(1) == 1
    assert rows.states()[1] == ("done", 2)
    assert rows.states()[2][0] == "done"


def test_what_waits_behind_a_slow_one_is_held_anew(rows):
    def later():
        rows.portal.clock.pass_time(seconds=HELD.total_seconds() - 1)

    def meanwhile():
        rows.portal.clock.pass_time(seconds=2)
        rows.happens.clear()
        rows.deliver(1)

    rows.happens |= {0: later, 1: meanwhile}
    rows.deliver(0, 1)
    assert rows.done == [0, 1]
    assert rows.states()[1] == ("done", 1)
