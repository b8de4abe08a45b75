"""What an invoice source says wrongly, or never says: a message for the agent, and no page waits."""

from __future__ import annotations

import itertools
import sys
import threading
from dataclasses import replace
from datetime import date
from decimal import Decimal
from io import BytesIO

import pytest
from structlog.testing import capture_logs

from core.api.invoices import Attachment, InvoiceKind, SourceProblem
from core.imports import reading, uploads
from core.platform.plugins import rests
from core.testing.broken_plugins import Broken
from core.testing.portal import make_portal, record
from core.testing.waiting import PATIENCE_SECONDS

released = threading.Event()
ended = []
"""Of this test's sources that hang, those that came to an end."""


class Source:
    """A source that reads what it is told, as a plugin's does."""

    key, label = "slow", "Lent"

    def __init__(self, read):
        self._read = read

    def read(self, _file):
        return self._read()


@pytest.fixture
def broken():
    return Broken()


@pytest.fixture
def portal(database, redis, tmp_path, broken, monkeypatch):
    redis.flushall()
    monkeypatch.setattr(uploads, "AT_ONCE_SECONDS", 0.5)
    monkeypatch.setattr(reading, "SILENCE_SECONDS", 2.0)
    released.clear()
    monkeypatch.setattr(sys.modules[__name__], "ended", [])
    made = make_portal(database, tmp_path, plugins={"broken": broken}, toml="[plugins.broken]\n")
    with capture_logs():
        yield made
    released.set()
    rests.forget_rests()
    made.runtime.redis.close()


def upload(portal, slug="valmont"):
    """Send a file; the upload's number."""
    with portal.town(slug) as town:
        return town.uploads.receive(BytesIO(b"x"), "factures.txt", "slow")


def state(portal, number):
    with portal.town() as town:
        found = town.uploads.get(number)
        return found.state, found.report


def hangs():
    """Hang for as long as nobody lets it go: longer than a test may take."""
    mine = ended  # One that is let go at the end of its test is no matter of the next one.
    released.wait(PATIENCE_SECONDS)
    mine.append(1)
    yield from ()


def test_a_problem_may_quote_anything(portal, broken, monkeypatch):
    monkeypatch.setattr(uploads, "AT_ONCE_SECONDS", PATIENCE_SECONDS)
    quoted = SourceProblem("a\0b", "c\ud800d", 1, "e\x1bf", "g\nh" * 5000)
    broken.does["invoice_sources"] = lambda _ctx: [Source(lambda: iter([quoted]))]
    number = upload(portal)
    found, report = state(portal, number)
    assert found == "refused"
    assert report["problems"][0]["message"] == "a\N{REPLACEMENT CHARACTER}b"


def endless():
    return (SourceProblem(f"{n}") for n in itertools.count())


def hides():
    mine, over = ended, False
    while not over:
        try:
            over = released.wait(0.1)
        except BaseException:  # noqa: BLE001 - that is the point
            continue
    mine.append(1)
    yield from ()


@pytest.mark.parametrize("read", [hangs, hides])
def test_a_source_that_hangs_is_left_to_a_worker_and_refused_there(portal, broken, read):
    broken.does["invoice_sources"] = lambda _ctx: [Source(read)]
    number = upload(portal)
    assert state(portal, number)[0] == "checking"
    portal.work(rounds=1)
    assert not ended, "it was waited for"
    found, report = state(portal, number)
    assert found == "refused"
    assert "a échoué" in report["problems"][0]["message"]


def test_nine_uploads_to_a_source_that_hangs_hold_nobody(portal, broken):
    broken.does["invoice_sources"] = lambda _ctx: [Source(hangs)]
    numbers = [upload(portal) for _number in range(9)]
    assert {state(portal, number)[0] for number in numbers} == {"checking"}
    assert not ended, "it was waited for"


def test_problems_without_end_end(portal, broken, monkeypatch):
    monkeypatch.setattr(uploads, "AT_ONCE_SECONDS", PATIENCE_SECONDS)
    broken.does["invoice_sources"] = lambda _ctx: [Source(endless)]
    number = upload(portal)
    found, report = state(portal, number)
    assert found == "refused"
    assert report["problem_count"] == reading.MAX_PROBLEMS + 1


def test_a_slow_source_is_read_whole_by_a_worker(portal, broken, monkeypatch):
    monkeypatch.setattr(reading, "SILENCE_SECONDS", PATIENCE_SECONDS)

    def slowly():
        for number in range(8):
            released.wait(PATIENCE_SECONDS)
            yield record(str(number))

    broken.does["invoice_sources"] = lambda _ctx: [Source(slowly)]
    number = upload(portal)
    assert state(portal, number)[0] == "checking"
    released.set()
    portal.work(rounds=1)
    found, report = state(portal, number)
    assert found == "checked"
    assert report["counts"]["created"] == 8


def test_a_source_cannot_touch_the_import(portal, broken, monkeypatch):
    """It reads over a connection of its own, whatever it does there."""
    from sqlalchemy import text

    monkeypatch.setattr(uploads, "AT_ONCE_SECONDS", PATIENCE_SECONDS)

    def sources(ctx):
        def read():
            yield record("1")
            try:
                ctx.session.execute(text("DELETE FROM staged_invoice"))
            except Exception:  # noqa: BLE001
                ctx.session.rollback()
            yield record("2")

        return [Source(read)]

    broken.does["invoice_sources"] = sources
    number = upload(portal)
    assert state(portal, number)[1]["counts"]["created"] == 2


def line(**changes):
    return (replace(record("1").lines[0], **changes),)


UNSOUND = {
    "nothing to pay": {"amount": 0, "lines": ()},
    "less than nothing": {"amount": -5, "lines": ()},
    "a fortune": {"amount": 10**18, "lines": ()},
    "more than a number": {"amount": 10**5000, "lines": ()},
    "a credit note to pay": {"amount": 5, "kind": InvoiceKind.CREDIT_NOTE, "lines": ()},
    "an endless label": {"label": "x" * 5_000_000},
    "a path": {"number": "../../x"},
    "a path of Windows": {"number": "..\\x"},
    "a line break": {"family_code": "F0\n01"},
    "a null": {"label": "CAN\0TINE"},
    "half a character": {"debtor": "DURAND \ud800"},
    "an endless number": {"number": "9" * 4000},
    "an endless reference": {"payment_reference": "9" * 4000},
    "due before it was made": {"issued_on": date(2026, 3, 2), "due_on": date(2026, 3, 1)},
    "a long address": {"address": ("x",) * 1000},
    "an activity with an end": {"lines": line(activity="a\x1bb")},
    "an endless child": {"lines": line(child="x" * 10_000)},
    "no quantity": {"lines": line(quantity=Decimal("NaN"))},
    "an endless quantity": {"lines": line(quantity=Decimal("1e400"))},
    "an endless price": {"lines": line(unit_price=10**30)},
    "a rank twice": {"lines": (*line(amount=5000), *line(amount=687))},
}


@pytest.mark.parametrize("what", UNSOUND)
def test_what_no_source_may_say_is_a_problem(portal, broken, monkeypatch, what):
    monkeypatch.setattr(uploads, "AT_ONCE_SECONDS", PATIENCE_SECONDS)
    broken.does["invoice_sources"] = lambda _ctx: [Source(lambda: iter([record("1", **UNSOUND[what])]))]
    number = upload(portal)
    found, report = state(portal, number)
    assert found == "refused"
    assert all(problem["message"] for problem in report["problems"])
    assert all(len(problem["value"]) <= 100 for problem in report["problems"])


WRONG = {
    "a text for an amount": {"lines": line(amount="12")},
    "a number for a debtor": {"debtor": 5},
    "a list for an address": {"address": [None]},
    "a text for lines": {"lines": "abc"},
    "a kind of line": {"lines": line(tax_kind="repas?")},
    "a year": {"fiscal_year": 0},
    "a document": {"document": b"%PDF"},
    "a document's text": {"document": Attachment("a.pdf", lambda: "no bytes")},
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_no_record_refuses_the_file(portal, broken, monkeypatch, what):
    monkeypatch.setattr(uploads, "AT_ONCE_SECONDS", PATIENCE_SECONDS)
    broken.does["invoice_sources"] = lambda _ctx: [Source(lambda: iter([record("1", **WRONG[what])]))]
    number = upload(portal)
    found, report = state(portal, number)
    assert found == "refused"
    assert "Lent" in report["problems"][0]["message"]
