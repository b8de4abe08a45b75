"""Figures that the documentation claims are those of the code, and the files it names are there."""

from __future__ import annotations

import math
import re
import runpy
from datetime import timedelta
from pathlib import Path

import pytest

from core.agents.invitations import MINIMUM_PASSWORD
from core.agents.second_factor import DRIFT
from core.domain import access_codes, polling, sessions
from core.payments import watching
from core.platform import doors, passwords
from core.platform.outbox import service as outbox
from core.platform.web import known
from core.processes.consumers import all_consumers
from core.sign_in import confirmations
from core.sign_in import service as sign_in

ROOT = Path(__file__).parents[2]
DAY, MINUTE, HOUR = timedelta(days=1), timedelta(minutes=1), timedelta(hours=1)
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "deploy/README.md", "tenants/README.md")]
PAGES += sorted(page for page in (ROOT / "docs").rglob("*.md") if "decisions" not in page.parts)


def page(name):
    return " ".join((ROOT / "docs" / name).read_text("utf-8").split())


def test_what_stands_against_guessing():
    said = page("security.md")
    bits = access_codes.SECRET_LENGTH * math.log2(len(access_codes.ALPHABET))
    for claim in (
        f"wrong tries by address, {doors.TRIES_BY_ADDRESS} in a quarter of an hour",
        f"a browser that signed in before has {doors.TRIES_BY_BROWSER} of its own",
        f"{doors.PASSWORD_TRIES} a day from all browsers that never opened it",
        f"{doors.PASSWORD_TRIES_BY_BROWSER} a day for each that did",
        f"{doors.SECOND_FACTOR_TRIES} a day, and {doors.SECOND_FACTOR_TRIES} for each browser",
        f"{doors.PASSWORD_TRIES_BY_SESSION} in a quarter of an hour | wait; other sessions",
        f"{confirmations.MAILS_A_PAIR} to one address at one family's wish",
        f"{confirmations.MAILS_A_FAMILY} at one family's wish, {confirmations.MAILS_AN_ADDRESS} to one address",
        f"mails to one address: {sign_in.LOST_CODES_MAILS} in the two hours",
        f"{known.LIFE // DAY} days after a password",
        f"is mailed a link ({sign_in.WAY_IN_LIFE // MINUTE} minutes, once",
        f"{sessions.IDLE_END // MINUTE} minutes idle, {sessions.ABSOLUTE_END // HOUR} hours in all",
        f"the password ({MINIMUM_PASSWORD} characters",
        f"Against {round(bits, 1)} bits",
    ):
        assert claim in said, claim
    assert timedelta(hours=2) == sign_in.LOST_CODES_LIFE == sign_in.CONFIRM_LIFE


def test_the_odds_follow_from_the_figures():
    """A hash of 25 ms, eight cores that do nothing else, two codes a family."""
    said = page("security.md")
    codes = len(access_codes.ALPHABET) ** access_codes.SECRET_LENGTH
    a_core = 86_400 / 0.025
    assert f"{a_core / 1e6:.1f} million a day, {8 * a_core / 1e6:.0f} million on eight cores" in said
    chance = 8 * a_core * 2 / codes
    assert 3.5e9 < 1 / chance < 4.5e9
    assert "one chance in four thousand million a day" in said
    assert 1.9e7 < 2**50 / (8 * a_core * 2) < 2.1e7
    assert "it would be one in twenty million" in said
    assert 10_500 < 1 / (chance * 1000 * 365) < 12_000
    assert "for a year, one in eleven thousand" in said
    assert len(DRIFT) == 3
    assert "of which three in a million are good at any time" in said
    assert f"has {doors.SECOND_FACTOR_TRIES} tries a day, 3 chances in 100 000" in said


def test_the_hash_takes_a_while():
    """The odds rest on what a hash costs: Argon2id as OWASP asks for at least."""
    # Read anew: in tests, hashes are cheap.
    cost = runpy.run_path(passwords.__file__)["COST"]
    assert (cost["time_cost"], cost["memory_cost"]) >= (2, 19 * 1024)
    assert round(len(passwords._most_used()), -3) == 30_000
    assert "among the 30 000 most used" in page("security.md")


def test_when_what_an_outage_delayed_is_settled():
    said = page("reliability.md")
    assert polling.retry_interval(DAY) == timedelta(minutes=5)
    assert "five minutes for a day-old payment" in said
    assert timedelta(minutes=1) == outbox.LEASE
    assert "further than a lease (a minute, mostly)" in said
    assert watching.FIRST_POLL <= MINUTE


def test_how_often_effects_are_tried(portal):
    """As the operator's manual says where it tells of dead rows."""
    tries = {topic: consumer.attempts for topic, (_plugin, consumer) in all_consumers(portal.runtime.extensions).items()}
    assert (tries["message.send"], tries["upload.import"], tries["event"]) == (20, 3, 12)
    assert "(12 times; mails 20, imports 3)" in page("operating.md")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_a_page_names_are_there(page):
    said = page.read_text("utf-8")
    roots = "core|plugins|tests|docs|deploy|examples|benchmarks|scale|requirements|tenants"
    named = set(re.findall(rf"`((?:{roots})/[\w./*-]*)`", said))
    missing = [
        name for name in sorted(named)
        if not list(ROOT.glob(name.rstrip("/"))) and not list((ROOT / "tests").glob(name.rstrip("/")))
    ]  # fmt: skip
    assert missing == []
