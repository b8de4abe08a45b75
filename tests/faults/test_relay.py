"""The relay and a worker that dies, without processes: every step is where the test wants it."""

from __future__ import annotations

import time
import uuid
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from core.platform.interruption import Interruption
from core.platform.outbox import service as outbox
from core.platform.outbox.deliver import deliver
from core.platform.outbox.relay import Relay
from core.processes.consumers import all_consumers

pytestmark = pytest.mark.faults


class Killed(Interruption):
    """The worker dies: nothing that contains errors holds it up."""


@pytest.fixture
def consumers(portal):
    """Core's, and one whose handler is `consumers["handler"]`."""
    found = dict(all_consumers(portal.runtime.extensions))
    _plugin, consumer = found["housekeeping"]
    found["housekeeping"] = "", replace(consumer, handler=lambda *_args: None, attempts=3)
    return found


@pytest.fixture
def relay(portal, consumers):
    """A relay whose broker is one worker that does everything at once."""

    def publish(tenant, row_id):
        relay.published.append(row_id)
        with suppress(Killed):
            deliver(portal.runtime, consumers, tenant, uuid.UUID(row_id))

    relay = Relay(portal.runtime.settings.relay_url, portal.clock, publish)
    relay.published = []
    yield relay
    relay._engine.dispose()


def add(portal):
    with portal.town() as town:
        town.outbox.add("housekeeping", {}, key="1")


def state(portal):
    with portal.town() as town:
        return town.session.execute(text("SELECT state, attempts FROM outbox")).one()


def break_with(consumers, error):
    plugin, consumer = consumers["housekeeping"]

    def handler(*_args):
        raise error

    consumers["housekeeping"] = plugin, replace(consumer, handler=handler)
    return lambda: consumers.__setitem__("housekeeping", (plugin, consumer))


def test_a_row_is_relayed_once(portal, relay):
    add(portal)
    assert relay.once() == 1
    assert relay.once() == 0
    assert state(portal) == ("done", 1)


def test_a_row_whose_worker_died_is_done_by_the_next(portal, relay, consumers):
    add(portal)
    mend = break_with(consumers, Killed())
    relay.once()
    assert state(portal) == ("running", 1)
    mend()
    relay.once()
    assert len(relay.published) == 1  # It may still be at work.
    portal.clock.pass_time(seconds=61)
    relay.once()
    assert state(portal) == ("done", 2)


def test_a_row_that_kills_its_workers_is_given_up(portal, relay, consumers):
    add(portal)
    break_with(consumers, Killed())
    for _time in range(6):
        relay.once()
        portal.clock.pass_time(minutes=5)
    assert state(portal) == ("dead", 4)
    assert len(relay.published) == 4


def test_a_row_that_the_broker_lost_is_published_again(portal, relay, consumers):
    add(portal)
    relay._publish, working = lambda *_args: None, relay._publish
    assert relay.once() == 1
    assert relay.once() == 0
    portal.clock.pass_time(seconds=61)
    relay._publish = working
    assert relay.once() == 1
    assert state(portal) == ("done", 1)


def test_a_long_queue_is_not_made_longer(portal, relay, monkeypatch):
    """Else each row of a big mailing would be published again every minute until it is done."""
    monkeypatch.setattr("core.platform.outbox.relay.QUEUE", 3)
    queue = []
    relay._publish = lambda *row: queue.append(row)
    relay._waiting = lambda: len(queue)
    with portal.town() as town:
        town.outbox.add_many([("housekeeping", {}, str(number)) for number in range(5)])
    assert (relay.once(), relay.once()) == (3, 0)
    portal.clock.pass_time(minutes=5)
    assert relay.once() == 0
    del queue[:2]  # Two are taken by a worker, which needs long for them.
    assert relay.once() == 2
    assert len(queue) == 3


def test_bulk_lets_all_others_pass(portal, relay, monkeypatch):
    """A parent's answer in the chat does not wait for the town's mailing."""
    monkeypatch.setattr("core.platform.outbox.relay.BULK_QUEUE", 2)
    queue = []
    relay._publish = lambda *row: queue.append(row)
    relay._waiting = lambda: len(queue)
    with portal.town() as town:
        mailing = [("housekeeping", {}, str(number)) for number in range(20)]
        town.outbox.add_many(mailing, bulk=True)
    assert relay.once() == 2
    portal.clock.pass_time(seconds=1)
    with portal.town() as town:
        town.outbox.add_many([("housekeeping", {}, key) for key in ("answer", "another")])
    assert relay.once() == 2, "the queue of bulk is full, that of others is not"
    del queue[:]
    assert relay.once() == 2


def test_a_broker_that_cannot_say_how_much_it_holds_is_away(portal, relay):
    add(portal)
    relay.stop()  # It would wait two seconds.

    def waiting():
        raise ConnectionError("no broker")

    relay._waiting = waiting
    assert relay.once() == 0
    relay._waiting = lambda: 0
    assert relay.once() == 1


def test_a_worker_slower_than_its_lease_does_nothing_twice(portal, relay, consumers):
    """It wakes up when another has taken over: what it did is rolled back."""
    add(portal)
    plugin, consumer = consumers["housekeeping"]
    calls = []

    def handler(town, _payload):
        town.audit.write("effect")
        town.session.flush()
        calls.append(1)
        if len(calls) == 1:
            portal.clock.pass_time(seconds=consumer.lease.total_seconds() + 1)
            relay.once()

    consumers["housekeeping"] = plugin, replace(consumer, handler=handler)
    relay.once()
    assert len(calls) == 2
    assert state(portal) == ("done", 2)
    with portal.town() as town:
        effects = "SELECT count(*) FROM audit_entry WHERE action = 'effect'"
        assert town.session.execute(text(effects)).scalar_one() == 1


def test_a_slow_worker_s_row_that_is_only_published_again_is_not_done_by_it(
    portal, relay, consumers
):
    """Its lease is over: it may not finish, for the other may begin at any moment."""
    add(portal)
    plugin, consumer = consumers["housekeeping"]

    def slow(town, _payload):
        town.audit.write("effect")
        portal.clock.pass_time(seconds=consumer.lease / timedelta(seconds=1) + 1)
        relay._publish, publish = lambda *_args: None, relay._publish
        relay.once()
        relay._publish = publish

    consumers["housekeeping"] = plugin, replace(consumer, handler=slow)
    relay.once()
    consumers["housekeeping"] = plugin, consumer
    portal.clock.pass_time(seconds=61)
    relay.once()
    assert state(portal) == ("done", 2)
    with portal.town() as town:
        effects = "SELECT count(*) FROM audit_entry WHERE action = 'effect'"
        assert town.session.execute(text(effects)).scalar_one() == 0


def test_a_worker_that_dies_at_a_long_work_is_replaced_within_a_minute(portal, relay, consumers):
    """Else what was to be published at once would wait for as long as the longest work may take."""
    plugin, consumer = consumers["housekeeping"]
    consumers["housekeeping"] = plugin, replace(consumer, lease=timedelta(minutes=30))
    add(portal)
    mend = break_with(consumers, Killed())
    relay.once()
    mend()
    portal.clock.pass_time(seconds=61)
    assert relay.once() == 1
    assert state(portal) == ("done", 2)


def test_a_long_work_keeps_its_row(portal, relay, consumers, monkeypatch):
    monkeypatch.setattr(outbox, "LEASE", timedelta(seconds=0.3))
    plugin, consumer = consumers["housekeeping"]
    taken_over = []

    def held():
        with portal.town() as town:
            return town.session.scalar(text("SELECT lease_until FROM outbox"))

    def long(*_args):
        for _time in range(3):
            portal.clock.pass_time(seconds=0.25)
            end = time.monotonic() + 60
            while held() < portal.clock.now() + outbox.LEASE and time.monotonic() < end:
                time.sleep(0.02)
            taken_over.append(relay.once())

    consumers["housekeeping"] = plugin, replace(consumer, handler=long)
    add(portal)
    relay.once()
    assert taken_over == [0, 0, 0]
    assert state(portal) == ("done", 1)
