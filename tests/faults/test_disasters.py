"""Parents of two towns pay on two web and two worker machines, while everything fails.

A schedule draws from its seed what the parents do and which disasters meet them, and when: processes
killed, PostgreSQL crashed, Redis killed or emptied, a mail server that is busy, slow, cuts or dies
in mid-message, PayFiP gone or in trouble, clocks that jump, no room for documents. Then everything
works again, some hours pass, and an auditor compares each party's own record: PayFiP's ledger, the
mailboxes, the chats, and the database of each town. Nothing lost, nothing twice, nothing crossed.

``PREAU_DISASTERS=50`` runs so many schedules, ``PREAU_FIRST_SEED`` begins elsewhere.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from dataclasses import dataclass, field

import pytest
from city import FAMILIES, TOWNS, City, Parent, Smtp, payer
from house import folder

from plugins.payfip.simulator.scenarios import FaultKind

pytestmark = pytest.mark.faults

SCHEDULES = int(os.environ.get("PREAU_DISASTERS", "1"))
FIRST = int(os.environ.get("PREAU_FIRST_SEED", "0"))
INVOICES = 3
"""A parent's, in each schedule."""
WORKERS = ("worker1", "worker2")
"""Each does one thing at a time."""
STRIKES = 7
"""Disasters of a schedule."""
TROUBLES = (
    FaultKind.LOST_ANSWER,
    FaultKind.HTTP_502,
    FaultKind.MALFORMED,
    FaultKind.TECHNICAL,
    FaultKind.TIMEOUT,
)


@dataclass
class Storm:
    """The disasters of one schedule. Each method strikes; what has to be undone goes to `heals`."""

    city: City
    chance: random.Random
    struck: Counter[str] = field(default_factory=Counter)
    heals: list = field(default_factory=list)
    interrupted: int = 0
    """How many deliveries may have been cut between the other side and the commit."""

    def strike(self) -> None:
        """One disaster, and now and then the end of an earlier one."""
        blow = self.chance.choice(self.BLOWS)
        self.struck[blow.__name__] += 1
        blow(self)
        time.sleep(self.chance.uniform(0.1, 0.8))
        if self.heals and self.chance.random() < 0.6:
            self.heals.pop(self.chance.randrange(len(self.heals)))()

    def end(self) -> None:
        """Everything works again."""
        while self.heals:
            self.heals.pop()()
        self.city.all_up()

    def kill(self, name: str, *, at_once: bool | None = None) -> None:
        if name not in self.city.processes:
            return
        self.interrupted += name in WORKERS
        self.city.kill(name)
        if self.chance.random() < 0.5 if at_once is None else at_once:
            self.city.start(name)
        else:
            self.heals.append(lambda: self.city.start(name))

    def web_killed(self) -> None:
        self.kill(self.chance.choice(City.WEBS))

    def worker_killed(self) -> None:
        self.kill(self.chance.choice(WORKERS))

    def relay_killed(self) -> None:
        self.kill("relay")

    def beat_killed(self) -> None:
        self.kill("beat")

    def bot_killed(self) -> None:
        self.city.types(self.chance.choice(list(TOWNS)))
        self.kill("bot")
        self.city.types(self.chance.choice(list(TOWNS)))

    def postgresql_crashed(self) -> None:
        self.interrupted += len(WORKERS)
        self.city.crash_postgresql()
        time.sleep(self.chance.uniform(0, 0.5))
        self.city.restart_postgresql()

    def redis_emptied(self) -> None:
        if self.city.redis_answers():
            with self.city.redis() as client:
                client.flushall()

    def redis_gone(self) -> None:
        self.kill("valkey", at_once=False)

    def mail_fails(self) -> None:
        self.city.smtp.mode = self.chance.choice(Smtp.MODES)
        self.heals.append(lambda: setattr(self.city.smtp, "mode", ""))

    def payfip_gone(self) -> None:
        self.city.payfip.go_away()
        self.heals.append(self.city.payfip.come_back)

    def payfip_in_trouble(self) -> None:
        if self.city.payfip.simulator:
            kind, count = self.chance.choice(TROUBLES), self.chance.randrange(1, 4)
            self.city.payfip.simulator.store.add_fault("*", kind, seconds=3, count=count)

    def clock_jumps(self) -> None:
        # Beyond a lease, whoever works counts as dead, and another takes over.
        self.interrupted += len(WORKERS)
        self.city.clock.jump(self.chance.choice((-45, 70, 400, 2000)))

    def disk_full(self) -> None:
        self.city.fill_disk()
        self.heals.append(self.city.free_disk)

    BLOWS = (
        web_killed, web_killed, worker_killed, worker_killed, relay_killed, beat_killed, bot_killed,
        postgresql_crashed, redis_emptied, redis_gone, mail_fails, mail_fails, payfip_gone,
        payfip_in_trouble, clock_jumps, disk_full,
    )  # fmt: skip


def rest(city: City) -> int:
    """Let everything come to its end: two nights pass, in steps that the rows have to follow.

    Tells how many deliveries the passing hours may have interrupted.
    """
    interrupted = 0

    def pass_hours(seconds: float) -> None:
        # Who works is waited for: the hours would end its lease, and a mail be repeated. The rows of
        # those who are dead are freed by the hours alone.
        nonlocal interrupted
        working = time.monotonic() + 5
        while _rows(city, "state = 'running'") and time.monotonic() < working:
            time.sleep(0.1)
        city.clock.jump(seconds)
        interrupted += _rows(city, "state = 'running'")

    def at_rest() -> bool:
        if not any(city.left(slug) for slug in TOWNS):
            return True
        pass_hours(300)
        time.sleep(0.4)
        return False

    def all_asked() -> bool:
        return not _rows(city, "state <> 'done' AND available_at <= :now")

    city.until(lambda: all(map(city.answers, City.WEBS)))
    # Within the two hours in which an outcome may still come, beyond them, and until nobody asks
    # any more: a refusal that is a day old stays one.
    for hours in (1, 2, 31):
        city.until(at_rest)
        pass_hours(hours * 3600)
        city.until(all_asked)
    city.until(at_rest)
    assert not _rows(city, "state <> 'done'"), city.last_words()
    return interrupted


def _rows(city: City, which: str) -> int:
    """How many rows of the outbox there are of a kind, in all towns."""
    statement = (
        f"SELECT count(*) FROM outbox WHERE {which} AND CAST(:now AS timestamptz) IS NOT NULL"
    )
    return sum(city.rows(statement, slug, now=city.clock.now())[0][0] for slug in TOWNS)


def audit(city: City, numbers: dict[str, dict[str, int]], storm: Storm, mails: Counter) -> Counter:
    """Compare the parties' records of one schedule; how its payments ended."""
    store = city.payfip.simulator.store
    operations = {one.id_op: one for one in store.operations(limit=1_000_000)}
    ends: Counter[str] = Counter()
    told = Counter(dict((city.smtp.mails - mails).items()))
    repeats = storm.interrupted + storm.struck["mail deaths"]
    known = set()
    payers = {payer(slug, number) for slug, amounts in numbers.items() for number in amounts}
    for slug, amounts in numbers.items():
        rows = city.rows(
            "SELECT i.number, i.amount, i.paid, p.id, p.state, p.amount, p.provider_reference,"
            " p.anomaly FROM invoice i LEFT JOIN payment_item x ON x.invoice_id = i.id"
            " LEFT JOIN payment p ON p.id = x.payment_id WHERE i.number = ANY(:numbers)",
            slug, numbers=list(amounts),
        )  # fmt: skip
        assert {row[0] for row in rows} == set(amounts)
        for number, amount, paid, payment, state, asked, reference, anomaly in rows:
            story = f"{slug}, {number}, payment {payment}: {state}"
            assert amount == amounts[number], story
            operation = operations.get(reference)
            paid_there = operation is not None and operation.paid
            assert (state == "settled") == paid_there, story
            assert not anomaly, story
            assert paid == (amount if state == "settled" else 0), story
            if state == "settled":
                assert operation.cents == asked == amount, story
                assert operation.numcli == TOWNS[slug], story
                known.add(reference)
            else:
                # Nothing can change any more, and nobody is kept from paying anew.
                assert state in {None, "created", "refused", "cancelled", "expired"}, story
            mine = {key: n for key, n in told.items() if key[0] == payer(slug, number)}
            assert len(mine) == (state == "settled"), f"{story}: {mine}"
            assert all(slug in sender for _to, sender, _id in mine), mine
            ends[str(state)] += 1
        receipts: dict[str, list[int]] = {}  # of each year: the clocks may jump into the next
        for (number,) in city.rows(
            "SELECT receipt_number FROM payment WHERE receipt_number <> '' ORDER BY 1", slug
        ):
            year, _dash, rank = number.rpartition("-")
            receipts.setdefault(year, []).append(int(rank))
        for year, ranks in receipts.items():
            assert ranks == [*range(1, len(ranks) + 1)], f"{slug}, {year}"
        ((answered,),) = city.rows(
            "SELECT count(*) FROM outbox WHERE topic = 'telegram_bot.update'", slug
        )
        assert answered == city.typed[slug], "an update is lost, or there twice"
    # Whoever is paid at PayFiP is paid here: no operation is left over.
    paid = {id_op for id_op, one in operations.items() if one.paid and one.mel in payers}
    assert paid == known
    again = {key: count - 1 for key, count in told.items() if count > 1}
    assert sum(again.values()) <= repeats, (again, storm)
    ends["mails repeated"] = sum(again.values())
    return ends


@pytest.fixture(scope="module")
def city():
    with folder() as place:
        made = City(place)
        try:
            yield made
        finally:
            made.close()


@pytest.mark.parametrize("seed", range(FIRST, FIRST + SCHEDULES))
def test_parents_pay_through_disasters(city, seed):
    chance = random.Random(seed)
    numbers = {slug: {} for slug in TOWNS}
    for slug in TOWNS:
        owed = [(f"S{seed}-{n}", chance.randrange(100, 99_999)) for n in range(2 * INVOICES)]
        city.publish(slug, [(n, FAMILIES[i % 2], cents) for i, (n, cents) in enumerate(owed)])
        numbers[slug] = dict(owed)
    mails, deaths = Counter(city.smtp.mails), city.smtp.deaths
    parents = []
    for slug in TOWNS:
        for family in FAMILIES:
            with city.town(slug) as town:
                found = town.families.by_code(family)
                invoices = [
                    (one.id, one.number)
                    for one in town.invoices.unpaid(found.id)
                    if one.number in numbers[slug]
                ]
            parents.append(Parent(city, slug, family, invoices, random.Random(chance.random())))
    storm = Storm(city, chance)
    for parent in parents:
        parent.start()
    try:
        for _number in range(STRIKES):
            time.sleep(chance.uniform(0.1, 0.6))
            storm.strike()
    finally:
        storm.end()
    for parent in parents:
        parent.join(120)
        assert not parent.is_alive(), f"{parent.doing}\n{city.last_words()}"
        assert parent.error is None, parent.error
    storm.interrupted += rest(city)
    storm.struck["mail deaths"] = city.smtp.deaths - deaths
    ends = audit(city, numbers, storm, mails)
    print(f"seed {seed}: {dict(ends)} through {dict(storm.struck)}")
