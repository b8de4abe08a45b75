"""Services get what their constructors ask for, by type; a gap is found before anything is served."""

from __future__ import annotations

from functools import cached_property

import pytest

from core.platform.wiring import WiringError, wired


class Session:
    """A stand-in."""


class Journal:
    def __init__(self, session: Session, tenant: str, *, retries: int = 3) -> None:
        self.given = session, tenant, retries


class Ledger:
    def __init__(self, *, journal: Journal, clock: Clock) -> None:
        self.given = journal, clock


class Clock:
    """Another one."""


def town(**annotations):
    """A class with services of its own."""
    def init(self):
        self.session, self.slug = Session(), "valmont"

    written = cached_property(clock)
    members = {"__annotations__": annotations, "__init__": init, "clock": written, "__module__": __name__}
    made = type("Town", (), members)
    written.__set_name__(made, "clock")
    return wired(types={Session: "session"}, names={"tenant": "slug"})(made)


def clock(_self) -> Clock:
    return Clock()


def test_each_is_made_once_of_what_it_asks_for():
    uow = town(ledger=Ledger, journal=Journal)()
    assert uow.ledger is uow.ledger
    assert uow.ledger.given == (uow.journal, uow.clock)
    assert uow.journal.given == (uow.session, "valmont", 3)
    assert vars(town(ledger=Ledger, journal=Journal)()).keys() == {"session", "slug"}


def test_a_gap_stops_the_process_at_its_start():
    with pytest.raises(WiringError, match=r"nobody has the journal .*Journal.* that ledger asks for"):
        town(ledger=Ledger)


def test_two_of_a_kind_are_refused():
    with pytest.raises(WiringError, match="journal and other are both"):
        town(journal=Journal, other=Journal)
