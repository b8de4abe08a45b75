"""The planning on two web machines and a worker, killed in the middle: nothing lost, nothing twice.

Each act is held up by a lock in the database until it is surely under way, then its machine dies, the
lock goes, and whoever asked asks again, as browsers, telephones and the outbox do.
"""

from __future__ import annotations

import random
import re
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta

import httpx
import pytest
from city import Smtp
from house import House, folder
from lxml import html
from sqlalchemy import create_engine, text

from core.dev.embedded import free_port
from core.domain.roles import Role
from core.platform.plugins.discovery import discovered
from core.plugin import PARIS
from core.testing.waiting import PATIENCE_SECONDS
from plugins.planning import plugin
from plugins.planning.book import Book
from plugins.planning.models import PlanningEnrolment
from plugins.planning.rules import State

pytestmark = pytest.mark.faults

TOWN = """\
[tenant]
name = "Valmont"
[contact]
email = "regie@valmont.test"
[regies.CANTINE]
label = "Cantine"
[plugins.planning]
feed_key = "made-up-key-for-feeds"
zone = "B"
known_until = 2099-12-31
[plugins.planning.services.CANTINE]
label = "Cantine"
weekdays = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
period = "all"
add = { days = 1, at = "10:00" }
cancel = { days = 1, at = "10:00" }
places = 3
waiting_list = true
[plugins.planning.services.MIDI]
label = "Midi"
weekdays = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
period = "all"
add = { days = 3, at = "00:00" }
cancel = { days = 3, at = "00:00" }
caterer = "cuisine@traiteur.example"
"""
PARENTS, PLACES = 50, 3
ANSWER_SECONDS = 2 * PATIENCE_SECONDS
"""Time in which somebody is answered, while a machine may have to start on a busy computer."""


class Canteen(House):
    """A town of fifty families with a child each, on two web machines and a worker."""

    def __init__(self, place):
        self.smtp = Smtp()
        self.ports = {name: free_port() for name in ("web1", "web2")}
        serve = ("--workers", "1", "--threads", "8")
        super().__init__(
            place,
            {"valmont": TOWN},
            {
                **{name: ("web", "--port", str(port), *serve) for name, port in self.ports.items()},
                "worker": ("worker", "--concurrency", "1"),
                "relay": ("relay",),
            },
            discovered(),
            smtp_port=str(self.smtp.port),
        )
        self.all_up()
        self.homes = {}
        self.browsers = []
        with self.town() as town:
            for number in range(PARENTS):
                family = town.families.open(f"F{number:03}", f"FAMILLE {number}")
                child = town.families.add_child(family.id, f"E{number:03}", f"Enfant {number}")
                self.homes[family.id] = (child.id, town.web_sessions.open(family.id))
                town.session.add_all(
                    PlanningEnrolment(
                        tenant_id="valmont", child_id=child.id, service=service, place="", meal="",
                        kind="occasional", weekdays="", first=self.day(-40), last=self.day(400), batch="test",
                    )
                    for service in ("CANTINE", "MIDI")
                )
            self.agent = town.agent_sessions.open(town.agents.create("a@valmont.test", "Agent", Role.REGISSEUR))
        self.until(lambda: all(map(self.serves, self.ports)))

    def day(self, ahead):
        """A day on which the town is open, about so many days from today."""
        found = self.clock.now().astimezone(PARIS).date() + timedelta(days=ahead)
        with self.town() as town:
            public = town.settings(plugin).calendar().public
        while found in public:
            found += timedelta(days=1)
        return found

    def serves(self, web):
        try:
            url = f"http://127.0.0.1:{self.ports[web]}/health/live"
            return httpx.get(url, trust_env=False, timeout=PATIENCE_SECONDS).is_success
        except httpx.TransportError:
            return False

    def waiting(self):
        """How many statements wait for a lock."""
        return self.rows("SELECT count(*) FROM pg_locks WHERE NOT granted")[0][0]

    @contextmanager
    def holding(self, service, day):
        """Keep every other process from changing a day of a service."""
        with self.town() as town:
            Book(town, town.settings(plugin), actor="test").lock_day(service, day)
            yield

    @contextmanager
    def locked(self, table):
        """Keep every other process from writing to a table."""
        engine = create_engine(self.settings["owner_url"])
        with engine.begin() as connection:
            connection.execute(text(f"LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE"))
            yield
        engine.dispose()

    def close(self):
        super().close()
        self.smtp.close()


class Person:
    """Somebody at a browser: asks whichever machine answers until one does.

    `first` is the machine that is asked once before, which serves: the one that a test then kills.
    """

    def __init__(self, canteen, cookie, seed=0):
        self.canteen, self.chance, self.first = canteen, random.Random(seed), ""
        self.http = httpx.Client(trust_env=False, timeout=PATIENCE_SECONDS, cookies=cookie)
        canteen.browsers.append(self.http)

    def ask(self, method, path, data=None):
        end = time.monotonic() + ANSWER_SECONDS
        while time.monotonic() < end:
            port = self.canteen.ports[self.first or self.chance.choice(list(self.canteen.ports))]
            self.first = ""
            try:
                answer = self.http.request(method, f"http://127.0.0.1:{port}/valmont/+planning/{path}", data=data)
                if not answer.is_server_error and answer.status_code != 429:
                    return answer
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        raise AssertionError(f"{method} {path} was never answered")

    def token(self, path):
        page = html.fromstring(self.ask("GET", path).text)
        return page.xpath("//input[@name='csrf_token']/@value")[0]


def parent(canteen, family_id):
    child, session = canteen.homes[family_id]
    return child, Person(canteen, {"preau_family": session}, seed=family_id)


def agent(canteen):
    return Person(canteen, {"preau_agent": canteen.agent})


@pytest.fixture(scope="module")
def canteen():
    with folder() as place:
        made = Canteen(place)
        try:
            yield made
        finally:
            made.close()


@pytest.fixture(autouse=True)
def settled(canteen):
    canteen.all_up()
    yield
    while canteen.browsers:
        canteen.browsers.pop().close()
    canteen.smtp.mode = ""
    for name in ("valkey", "worker", "relay"):  # A web machine that died is needed by the next test only.
        canteen.start(name)
    canteen.until(lambda: canteen.left() == 0)
    assert canteen.rows("SELECT topic, last_error FROM outbox WHERE state = 'dead'") == []


def wishes(canteen, day, families, field, pool, *, first=""):
    """Every family asks for its day; the same form, until it is answered. `first` is asked once before."""

    def one(family_id):
        child, person = parent(canteen, family_id)
        form = {"csrf_token": person.token(f"?jour={day}"), "key": f"form-{field}-{family_id:05}",
                field: f"{child}/CANTINE/{day}"}
        person.first = first
        answer = person.ask("POST", "confirmer", form)
        assert re.search(r"/demande/\d+$", answer.headers.get("location", "")), (answer.headers, answer.text[:500])

    return [pool.submit(one, family_id) for family_id in families]


def die_and_come_back(canteen, *machines):
    for machine in machines:
        canteen.kill(machine)
        canteen.start(machine)


def states(canteen, day):
    return dict(canteen.rows("SELECT child_id, state FROM planning_booking WHERE day = :d AND service = 'CANTINE'", d=day))


def test_the_last_places_asked_for_by_fifty_while_machines_die(canteen):
    day = canteen.day(20)
    families = list(canteen.homes)
    with ThreadPoolExecutor(PARENTS) as pool:
        with canteen.holding("CANTINE", day):
            asked = wishes(canteen, day, families, "add", pool)
            canteen.until(lambda: canteen.waiting() >= 8 or asked[0].done())
            die_and_come_back(canteen, "web1")
        time.sleep(0.2)
        die_and_come_back(canteen, "web2")
        for one in asked:
            one.result()
    assert Counter(states(canteen, day).values()) == {"booked": PLACES, "waiting": PARENTS - PLACES}
    queue = canteen.rows("SELECT child_id, queued FROM planning_booking WHERE day = :d AND state = 'waiting' ORDER BY queued", d=day)
    assert [queued for _child, queued in queue] == list(range(1, PARENTS - PLACES + 1))
    # One request and one change each, whatever was sent again; the list is in the order of requests.
    trail = canteen.rows("SELECT child_id, after FROM planning_change WHERE day = :d ORDER BY id", d=day)
    assert len(trail) == len({child for child, _after in trail}) == PARENTS
    assert [child for child, after in trail if after == "waiting"] == [child for child, _queued in queue]
    assert canteen.rows(
        "SELECT count(*), count(DISTINCT key) FROM planning_request WHERE key LIKE '%form-add-%'"
    ) == [(PARENTS, PARENTS)]

    # All who have a place give it back: the first who wait get them, each is told once.
    by_child = {child: family_id for family_id, (child, _session) in canteen.homes.items()}
    leaving = [by_child[child] for child, state in states(canteen, day).items() if state == "booked"]
    canteen.until(lambda: canteen.serves("web1"))
    with ThreadPoolExecutor(PLACES) as pool:
        with canteen.holding("CANTINE", day):
            asked = wishes(canteen, day, leaving, "remove", pool, first="web1")
            canteen.until(lambda: canteen.waiting() >= 1)
            canteen.kill("web1")  # The other machine does what this one had begun.
        for one in asked:
            one.result()
    now = states(canteen, day)
    assert {child for child, state in now.items() if state == "booked"} == {child for child, _queued in queue[:PLACES]}
    assert Counter(now.values()) == {"cancelled": PLACES, "booked": PLACES, "waiting": PARENTS - 2 * PLACES}
    told = canteen.rows("SELECT count(*) FROM outbox WHERE payload->>'kind' = 'planning.place'")
    assert told == [(PLACES,)]


def test_an_order_and_its_difference_leave_once_though_the_worker_dies(canteen):
    today = canteen.day(0)
    days = [today + timedelta(days=number) for number in (1, 2)]
    children = [child for child, _session in list(canteen.homes.values())[:4]]

    def change(state, chosen, key):
        with canteen.town() as town:
            Book(town, town.settings(plugin), actor="agent:1").set_state(
                [(child, "MIDI", days[0], state) for child in chosen], key=key, reason="test")

    def order(key):
        with canteen.town() as town:
            town.outbox.add("planning.orders", {}, key=key)

    def versions():
        return canteen.rows("SELECT version, counts FROM planning_order WHERE day = :d ORDER BY version", d=days[0])

    change(State.BOOKED, children, "first")
    with canteen.holding("MIDI", days[1]):
        order("one")
        # The first days are frozen in the transaction that waits for the last one.
        canteen.until(lambda: canteen.waiting() >= 1)
        canteen.kill("worker")
    assert versions() == []
    canteen.start("worker")
    canteen.until(lambda: canteen.left() == 0)
    assert versions() == [(1, [["", "", 4]])]

    change(State.CANCELLED, children[:1], "second")
    canteen.smtp.mode = "slow"
    order("two")
    canteen.until(lambda: len(versions()) == 2)
    canteen.kill("worker")
    canteen.smtp.mode = ""
    canteen.start("worker")
    order("three")
    canteen.until(lambda: canteen.left() == 0)
    assert versions() == [(1, [["", "", 4]]), (2, [["", "", 3]])]
    orders = canteen.rows("SELECT count(*) FROM planning_order")[0][0]
    mails = {key: count for key, count in canteen.smtp.mails.items() if key[0] == "cuisine@traiteur.example"}
    # A mail on its way when the worker died may be there again, with the same Message-ID.
    assert len(mails) == orders
    assert sum(mails.values()) <= orders + 1


def test_a_tap_that_a_dying_machine_took_is_kept_once(canteen):
    day = canteen.day(0)
    child = next(iter(canteen.homes.values()))[0]
    person = agent(canteen)
    token = person.token(f"regie/liste?jour={day}&service=MIDI")
    tap = {"csrf_token": token, "child": str(child), "service": "MIDI", "jour": str(day), "mark": "present",
           "script": "1", "tapped": str(int(canteen.clock.seconds() * 1000))}
    canteen.until(lambda: canteen.serves("web2"))
    with ThreadPoolExecutor(1) as pool:
        with canteen.holding("MIDI", day):
            person.first = "web2"
            sent = pool.submit(person.ask, "POST", "regie/pointage", tap)
            canteen.until(lambda: canteen.waiting() >= 1)
            canteen.kill("web2")
        assert sent.result().status_code == 204
    # The telephone sends what it did not see answered, and an older tap comes last.
    assert person.ask("POST", "regie/pointage", tap).status_code == 204
    older = {**tap, "mark": "absent", "tapped": str(int(tap["tapped"]) - 60_000)}
    assert person.ask("POST", "regie/pointage", older).status_code == 204
    assert canteen.rows("SELECT child_id, mark FROM planning_attendance WHERE day = :d", d=day) == [(child, "present")]
    assert canteen.rows("SELECT before, after FROM planning_change WHERE day = :d AND after = 'present'", d=day) == [("", "present")]


def test_an_export_that_dies_half_way_leaves_no_row_out_and_none_twice(canteen):
    day = canteen.day(5)
    children = [child for child, _session in list(canteen.homes.values())[:10]]
    with canteen.town() as town:
        Book(town, town.settings(plugin), actor="agent:1").set_state(
            [(child, "MIDI", day, State.BOOKED) for child in children], key="export", reason="test")
    person = agent(canteen)
    form = {"csrf_token": person.token("regie"), "first": str(day), "last": str(day)}
    canteen.until(lambda: canteen.serves("web1"))
    with ThreadPoolExecutor(1) as pool:
        with canteen.locked("planning_exported"):
            person.first = "web1"
            sent = pool.submit(person.ask, "POST", "regie/facturation.csv", form)
            canteen.until(lambda: canteen.waiting() >= 1)
            canteen.kill("web1")
        assert sent.result().status_code == 303
    assert person.ask("POST", "regie/facturation.csv", form).status_code == 303
    exported = canteen.rows("SELECT child_id FROM planning_exported WHERE day = :d ORDER BY child_id", d=day)
    assert [child for (child,) in exported] == sorted(children)
    assert canteen.rows("SELECT count FROM planning_export") == [(10,)]
