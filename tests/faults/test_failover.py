"""The primary is gone while parents pay: a standby takes over, and nothing that was settled is lost.

Two standbys, of which one has to have a commit before it counts (``ANY 1``). Every process has all
three servers in its address and asks for the one that can be written, so none is restarted.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator

import pytest
from auditor import audit, rest
from city import TOWNS, City
from house import folder
from sqlalchemy.exc import DBAPIError

from core.books.period import Period
from core.dev.embedded import Addresses
from core.dev.standby import EmbeddedStandby, either
from core.testing.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.faults

INVOICES = 6
"""A parent's: half of them are begun when the primary goes, or later."""
SYNCHRONOUS = "ANY 1 (one, two)"


class Pair(City):
    """The two towns on a primary with two standbys."""

    def _addresses(self) -> Addresses:
        self.standbys = [
            EmbeddedStandby(self.folder / name, self.databases, name=name) for name in ("one", "two")
        ]
        for standby in self.standbys:
            standby.start()
        self.databases.execute(
            f"ALTER SYSTEM SET synchronous_standby_names = '{SYNCHRONOUS}'",
            "SELECT pg_reload_conf()",
        )
        # The standbys have files of their own: whoever is promoted has to ask for the same.
        for standby in self.standbys:
            standby.execute(
                f"ALTER SYSTEM SET synchronous_standby_names = '{SYNCHRONOUS}'",
                "SELECT pg_reload_conf()",
            )
        return either(self.databases.addresses(), self.databases, *self.standbys)

    def fail_over(self) -> EmbeddedStandby:
        """Promote the standby that has most, and let the other follow it; as operating.md says."""
        new, other = sorted(self.standbys, key=EmbeddedStandby.received, reverse=True)
        other.follow(new)
        new.promote()
        return new

    def close(self) -> None:
        super().close()
        for standby in self.standbys:
            standby.stop()


class Witness(threading.Thread):
    """Reads what is settled, until the database is gone: what it saw, anybody may have seen."""

    def __init__(self, city: City) -> None:
        super().__init__(daemon=True)
        self._city = city
        self.seen: set[tuple] = set()

    def run(self) -> None:
        try:
            while True:
                self.seen |= settled(self._city)
                time.sleep(0.01)
        except DBAPIError:
            pass


def held_back(invoices: list, go_on: threading.Event) -> Iterator:
    """The first half of a parent's invoices, and the others once it may go on."""
    half = len(invoices) // 2
    yield from invoices[:half]
    go_on.wait(2 * PATIENCE_SECONDS)
    yield from invoices[half:]


def settled(city: City) -> set[tuple]:
    """The settled payments of both towns, and the entries of their journals."""
    return {
        (slug, *row)
        for slug in TOWNS
        for row in [
            *city.rows("SELECT id, receipt_number, amount FROM payment WHERE state = 'settled'", slug),
            *city.rows("SELECT regie, number, hash FROM journal_entry", slug),
        ]
    }


@pytest.fixture(scope="module")
def city():
    with folder() as place:
        made = Pair(place)
        try:
            yield made
        finally:
            made.close()


def test_nothing_settled_is_lost_and_nothing_doubled_when_a_standby_takes_over(city):
    chance = random.Random(25)
    numbers = city.owe("F", INVOICES, chance)
    mails = Counter(city.smtp.mails)
    parents = city.parents(numbers, chance)
    # Else parents on quick machines could be done before slow ones have settled anything.
    rest_of_them = threading.Event()
    for parent in parents:
        parent.invoices = held_back(parent.invoices, rest_of_them)
        parent.start()
    witness = Witness(city)
    witness.start()
    city.until(lambda: len(witness.seen) > 6)
    rest_of_them.set()
    city.crash_postgresql()
    witness.join(PATIENCE_SECONDS)
    assert not witness.is_alive()
    assert any(parent.is_alive() for parent in parents), "nobody was paying any more"
    gone = time.monotonic()
    city.fail_over()
    city.until(lambda: settled(city) is not None)
    print(f"away for {time.monotonic() - gone:.1f} s with {len(witness.seen)} rows seen")
    assert witness.seen <= settled(city)
    for parent in parents:
        parent.join(2 * PATIENCE_SECONDS)
        assert not parent.is_alive(), f"{parent.doing}\n{city.last_words()}"
        assert parent.error is None, parent.error
    assert all(process.poll() is None for process in city.processes.values()), city.last_words()
    # Whoever was at work at that moment may have sent its mail, and not been able to say so.
    repeats = len(TOWNS) + rest(city)
    ends = audit(city, numbers, mails, repeats=repeats)
    assert ends["settled"] > 6
    assert witness.seen <= settled(city)
    for slug in TOWNS:
        with city.town(slug) as town:
            for (month,) in city.rows("SELECT DISTINCT date_trunc('month', at)::date FROM journal_entry", slug):
                assert town.accounts.entries.chain_holds(Period("CANTINE", month)), (slug, month)
    print(dict(ends))
