"""Pages read from a standby that is real, late, paused, hung, killed or promoted."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from prometheus_client import REGISTRY
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from core import runtime
from core.api.payments import Means
from core.cli import invoices as command
from core.dev.standby import EmbeddedStandby
from core.imports.service import Imports
from core.platform.db import standby as standbys
from core.platform.db.rls import APP
from core.platform.db.standby import Standby
from core.testing.portal import record

REASONS = ("standby", "own_write", "late", "away", "no_standby", "failed")


class Served:
    """How many readings were served since the last look, by where and why."""

    def __init__(self):
        self._before = self._now()

    def _now(self):
        return {
            why: REGISTRY.get_sample_value("preau_readings_total", {"served": why}) or 0
            for why in REASONS
        }

    def since(self):
        """Those since the last time."""
        now, before = self._now(), self._before
        self._before = now
        return {why: int(now[why] - before[why]) for why in REASONS if now[why] != before[why]}


@pytest.fixture
def served():
    return Served()


@pytest.fixture
def reader(browser, portal, standby_server, monkeypatch):
    """A parent who is signed in, on a portal that reads from the standby, however busy the machine."""
    monkeypatch.setattr(standbys, "ANSWER_SECONDS", 60.0)
    url = standby_server.url(APP, portal.runtime.engine.url.database)
    portal.runtime.standby = Standby(url, lag_seconds=10)
    browser.sign_in()
    standby_server.catch_up()
    browser.get("/factures/payees")  # Before, the process knows nothing of how far the primary is.
    yield browser
    portal.runtime.standby.engine.dispose()
    portal.runtime.standby = None


@pytest.fixture
def paused(reader, standby_server):
    """The standby receives, and shows nothing new."""
    standby_server.pause()
    yield
    standby_server.resume()


class Ticking:
    """The time by which standbys are judged and left alone."""

    def __init__(self, monkeypatch):
        self.seconds = time.monotonic()
        monkeypatch.setattr(standbys, "monotonic", lambda: self.seconds)


def backends(server):
    """The processes that serve the application's connections there."""
    with server.connect() as connection:
        rows = connection.execute("SELECT pid FROM pg_stat_activity WHERE usename = %s", [APP])
        return [pid for (pid,) in rows]


def pay(portal, number):
    """Somebody pays an invoice at the counter."""
    with portal.town() as town:
        invoice = town.session.execute(
            text("SELECT id, amount, family_id FROM invoice WHERE number = :n"), {"n": number}
        ).one()
        town.payments.record(
            regie="CANTINE", family_id=invoice.family_id, means=Means.CASH, amount=invoice.amount,
            paid_at=portal.clock.now(), payer="x", shares=[(invoice.id, invoice.amount)],
            key=f"cash-{number}",
        )  # fmt: skip


def ready(browser):
    return browser.app.get("/health/ready").text


def test_readings_are_served_by_the_standby_and_all_else_by_the_primary(reader, served):
    assert "standby ok" in ready(reader)
    reader.get("/factures/payees")
    assert served.since() == {"standby": 1}
    reader.get("/factures")
    reader.get("/menu")
    assert served.since() == {}


def test_without_a_standby_nothing_is_marked(browser):
    browser.sign_in()
    browser.get("/factures/payees")
    assert "preau_position" not in browser.app.cookies


def test_a_page_after_ones_own_write_is_the_primary_s(reader, portal, paused, served):
    """Signing in is a write: the page after it shows what was there by then, and so do all others."""
    pay(portal, "1")
    assert "CANTINE février" not in reader.get("/factures/payees")
    assert served.since() == {"standby": 1}
    reader.sign_in()
    for _page in range(2):
        assert "CANTINE février" in reader.get("/factures/payees")
    assert served.since() == {"own_write": 2}


def test_what_a_page_of_the_primary_showed_does_not_disappear(reader, portal, paused, served):
    """As after a payment that PayFiP told of: no write of the browser's own."""
    pay(portal, "1")
    reader.get("/menu")
    assert "CANTINE février" in reader.get("/factures/payees")
    assert served.since() == {"own_write": 1}


def test_a_write_that_is_then_refused_is_a_write(reader, served, paused):
    """A page that ends in an error may have committed before."""
    form = reader.get("/connexion")
    reader.app.cookiejar.clear("localhost.local", "/valmont", "preau_position")
    reader.fill(form, family_code="F001", child_code="FAUX")
    assert "preau_position" in reader.app.cookies


def test_a_browser_whose_mark_is_reached_reads_there_again(reader, portal, standby_server, served):
    pay(portal, "1")
    reader.get("/menu")
    standby_server.catch_up()
    assert "CANTINE février" in reader.get("/factures/payees")
    assert served.since() == {"standby": 1}


@pytest.mark.parametrize("mark", ["x", "FFFFFFFFFFFFFFFFFF", "-1", "7FFFFFFFFFFFFFFF"])
def test_a_mark_that_nobody_gave_leads_to_the_primary(reader, served, mark):
    reader.app.set_cookie("preau_position", mark)
    reader.get("/factures/payees")
    assert served.since() == {"own_write": 1}


def test_what_others_wrote_is_seen_within_the_bound(reader, portal, standby_server, served, monkeypatch):
    """By position: a standby that is paused for long is not late where nothing was written."""
    clock = Ticking(monkeypatch)
    reader.get("/factures/payees")
    standby_server.pause()
    try:
        clock.seconds += 3600
        reader.get("/factures/payees")
        assert served.since() == {"standby": 2}
        pay(portal, "1")
        clock.seconds += 5
        assert "CANTINE février" not in reader.get("/factures/payees")
        assert served.since() == {"standby": 1}
        clock.seconds += 11
        page = reader.get("/factures/payees")
        assert served.since() == {"late": 1}
        assert "CANTINE février" in page
        assert "standby late" in ready(reader)
    finally:
        standby_server.resume()


def test_a_standby_that_dies_costs_one_try_and_no_page(reader, standby_server, served, monkeypatch):
    clock = Ticking(monkeypatch)
    reader.get("/factures/payees")
    standby_server.kill()
    try:
        for _page in range(3):
            reader.get("/factures/payees")
        assert served.since() == {"standby": 1, "away": 3}
        assert "standby away" in ready(reader)
        connects = []
        monkeypatch.setattr(standbys, "_ask_how_far", connects.append)
        reader.get("/factures/payees")
        assert not connects
    finally:
        standby_server.start()
    clock.seconds += standbys.MAX_REST_SECONDS
    standby_server.catch_up()
    reader.get("/factures/payees")
    assert served.since() == {"away": 1, "standby": 1}


def test_a_standby_that_hangs_is_waited_for_once(reader, standby_server, served, monkeypatch):
    """Its kernel still takes what is sent: no time-out of a connection ends that."""
    monkeypatch.setattr(standbys, "ANSWER_SECONDS", 0.2)
    reader.get("/factures/payees")
    children = backends(standby_server)
    for process in children:
        os.kill(process, signal.SIGSTOP)
    try:
        for _page in range(3):
            reader.get("/factures/payees")
    finally:
        for process in children:
            os.kill(process, signal.SIGCONT)
    assert served.since() == {"standby": 1, "away": 3}


def test_what_fails_in_the_middle_is_done_again_on_the_primary(reader, portal, served, monkeypatch):
    """A standby cancels a reading that stands in the way of what it replays."""
    real = portal.runtime.standby.open

    def dying(tenant, mark, primary):
        session = real(tenant, mark, primary)
        (process,) = session.connection().exec_driver_sql("SELECT pg_backend_pid()").one()
        os.kill(process, signal.SIGTERM)
        return session

    monkeypatch.setattr(portal.runtime.standby, "open", dying)
    page = reader.get("/factures/payees")
    assert page.status_int == 200
    assert served.since() == {"failed": 1}


def test_a_server_that_was_promoted_is_no_standby(reader, portal, servers, served):
    """What it holds from then on is another past than the primary's."""
    with tempfile.TemporaryDirectory(prefix="preau-", ignore_cleanup_errors=True) as place:
        Path(place).chmod(0o711)
        other = EmbeddedStandby(Path(place), servers, name="promoted")
        other.start()
        try:
            other.catch_up()
            other.promote()
            url = other.url(APP, portal.runtime.engine.url.database)
            portal.runtime.standby.engine.dispose()
            portal.runtime.standby = Standby(url, lag_seconds=10)
            reader.get("/factures/payees")
            assert served.since() == {"no_standby": 1}
            assert "no standby" in ready(reader)
        finally:
            other.stop()


def test_a_session_that_was_ended_opens_no_page_of_a_late_standby(reader, portal, paused):
    """Who may see what is asked of the primary, always."""
    with portal.town() as town:
        town.web_sessions.close(reader.app.cookies["preau_family"])
    assert reader.get("/factures/payees").status_int == 303


# --- Commands that read much ---------------------------------------------------------------------


@pytest.fixture
def listed(portal, monkeypatch):
    """`preau invoices list`, on the portal's own runtime."""
    monkeypatch.setattr(command, "get_runtime", lambda: portal.runtime)

    def listed() -> str:
        answer = CliRunner().invoke(command.invoices, ["list", "valmont"])
        assert answer.exit_code == 0, answer.output
        return answer.output

    return listed


def test_a_command_reads_from_the_standby_what_was_written_just_before(reader, portal, listed, served):
    portal.publish(record("of-now"))
    assert "published" in listed()
    assert served.since() == {"standby": 1}


def test_a_command_does_not_wait_long_for_a_standby_that_is_late(
    reader, portal, paused, listed, served, monkeypatch
):
    monkeypatch.setattr(runtime, "CATCH_UP_SECONDS", 0.1)
    portal.publish(record("of-now"))
    assert "published" in listed()
    assert served.since() == {"own_write": 1}


def test_a_command_that_fails_there_in_the_middle_asks_the_primary(
    reader, portal, listed, served, monkeypatch
):
    asked, batches = [], Imports.batches

    def dies_once(imports):
        asked.append(imports)
        if len(asked) == 1:
            raise OperationalError("SELECT 1", {}, Exception("server closed the connection"))
        return batches(imports)

    monkeypatch.setattr(Imports, "batches", dies_once)
    portal.publish(record("of-now"))
    assert "published" in listed()
    assert served.since() == {"failed": 1}
    assert len(asked) == 2
