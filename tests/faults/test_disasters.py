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
from auditor import audit, rest
from city import TOWNS, City, Smtp
from house import folder

from core.testing.waiting import PATIENCE_SECONDS
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
    numbers = city.owe(f"S{seed}", INVOICES, chance)
    mails, deaths = Counter(city.smtp.mails), city.smtp.deaths
    parents = city.parents(numbers, chance)
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
        parent.join(2 * PATIENCE_SECONDS)
        assert not parent.is_alive(), f"{parent.doing}\n{city.last_words()}"
        assert parent.error is None, parent.error
    storm.interrupted += rest(city)
    storm.struck["mail deaths"] = city.smtp.deaths - deaths
    repeats = storm.interrupted + storm.struck["mail deaths"]
    ends = audit(city, numbers, mails, repeats=repeats)
    print(f"seed {seed}: {dict(ends)} through {dict(storm.struck)}")
