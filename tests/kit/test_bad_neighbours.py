"""Two towns, one with a broken plugin: the other notices nothing, and it loses nothing itself."""

from __future__ import annotations

import threading
import time

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs
from webtest import TestApp

from core.platform.db.session import LostTransactionError
from core.platform.plugins import calls as containment
from core.processes.app import make_app
from core.testing.broken_plugins import DEEDS, SETTINGS, Broken, says
from core.testing.portal import make_portal, record, write_towns

CONTAINED = (
    "invoice_sources", "payment_providers", "notification_channels", "menu_entries", "health_checks",
)  # fmt: skip


@pytest.fixture(scope="module")
def house(module_database, tmp_path_factory):
    """Valmont enables the broken plugin, Brumes does not; each has a parent and an agent at work."""
    folder, broken = tmp_path_factory.mktemp("portal"), Broken()
    towns = write_towns(folder / "both")
    with (towns / "valmont" / "tenant.toml").open("a") as file:
        file.write("[plugins.broken]\n")
    portal = make_portal(module_database, folder, plugins={"broken": broken}, tenants_dir=towns)
    portal.runtime.redis.flushall()
    application = make_app(portal.runtime)
    browsers = {}
    for town in ("valmont", "brumes"):
        portal.publish(record("1"), slug=town)
        browser = TestApp(application, extra_environ={"HTTP_HOST": "localhost"})
        form = browser.get(f"/{town}/connexion").forms
        form = next(form for form in form.values() if "family_code" in form.fields)
        form["family_code"], form["child_code"] = "F001", portal.codes("F001", town)
        form.submit().follow()
        browsers[town] = browser
    yield portal, broken, browsers
    portal.runtime.close()


@pytest.fixture
def portal(house, monkeypatch):
    monkeypatch.setattr(containment, "PATIENCE", 0.4)
    house[1].does.clear()
    house[0].runtime.answers.forget()
    with capture_logs():  # Tracebacks for a terminal take longer to write than all else.
        yield house[0]
    house[1].does.clear()
    house[0].runtime.answers.forget()
    containment.forget_rests()


@pytest.fixture
def broken(house, portal):
    return house[1]


@pytest.fixture
def page(house, portal):
    def get(town):
        answer = house[2][town].get(f"/{town}/factures", status=200)
        assert "56,87" in answer
        return answer

    return get


STATE = text(
    "SELECT current_setting('search_path'), current_setting('timezone'),"
    " current_setting('default_transaction_read_only'), current_user,"
    " current_setting('statement_timeout'), current_setting('lock_timeout'),"
    " current_setting('row_security'), current_setting('datestyle'),"
    " current_setting('app.tenant'), (SELECT count(*) FROM family),"
    " (SELECT count(*) FROM pg_listening_channels()),"
    " (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'),"
    " (SELECT count(*) FROM pg_prepared_statements WHERE from_sql)"
)


def connections(portal):
    """What every pooled connection is like, seen from its neighbour's town."""
    held = [portal.runtime.sessions(info={"tenant": "brumes"}) for _number in range(4)]
    try:
        found = [session.execute(STATE).one() for session in held]
    finally:
        for session in held:
            session.rollback()
            session.close()
    for _number in range(4):
        with portal.town("brumes") as town:
            town.session.execute(text("UPDATE family SET name = name"))
    return found


def everything(portal, slug):
    """What core asks of plugins in a town, all of it in one transaction."""
    with portal.town(slug) as town:
        family = town.families.by_code("F001")
        before = town.session.scalar(text("SELECT max(id) FROM access_code"))
        town.families.issue_code(family.id)
        assert "fakepay" in town.providers
        assert "email" in town.channels
        assert "csv" in town.sources
        for audience in containment_audiences():
            town.menu(audience)
        town.choices.of(["CANTINE", "GARDERIE"])
        town.health.plugins()
        town.notifications.reached([family.id], "invoices_published")
    with portal.town(slug) as town:
        assert town.session.scalar(text("SELECT max(id) FROM access_code")) > (before or 0)


def containment_audiences():
    from core.api.web import Audience

    return list(Audience)


@pytest.mark.parametrize("deed", DEEDS)
@pytest.mark.parametrize("hook", CONTAINED)
def test_what_a_contained_hook_does_is_lost_on_nobody(portal, broken, hook, deed):
    """A new access code is stored, whatever the hook did meanwhile; the neighbour is as before."""
    clean = connections(portal)
    broken.does[hook] = DEEDS[deed]
    start = time.monotonic()
    everything(portal, "valmont")
    assert time.monotonic() - start < 12
    assert connections(portal) == clean
    start = time.monotonic()
    everything(portal, "brumes")
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("deed", ["fails and hides it", "search path", "sleeps", "is cancelled", "rolls back"])
@pytest.mark.parametrize("hook", CONTAINED)
def test_pages_of_both_towns_are_whole(portal, broken, page, hook, deed):
    broken.does[hook] = DEEDS[deed]
    page("valmont")
    page("brumes")


def test_what_was_aborted_cannot_be_committed(portal):
    with portal.town() as town:
        with pytest.raises(Exception, match="division"):
            town.session.execute(text("SELECT 1 / 0"))
        with pytest.raises(LostTransactionError):
            town.session.commit()
        town.session.rollback()
        assert town.session.scalar(text("SELECT 1")) == 1


@pytest.mark.parametrize("end", ["ROLLBACK", "COMMIT"])
def test_a_transaction_that_was_ended_unseen_cannot_be_committed(portal, end):
    with portal.town() as town:
        town.session.execute(text(end))
        with pytest.raises(LostTransactionError):
            town.session.commit()
        town.session.rollback()


def test_a_statement_of_a_hook_ends_with_its_time(portal, broken):
    """Nobody waits for it, and PostgreSQL does not go on with it."""
    broken.does["payment_providers"] = says("SELECT pg_sleep(33)")
    start = time.monotonic()
    with portal.town() as town:
        assert "fakepay" in town.providers
    assert time.monotonic() - start < 3
    deadline = time.monotonic() + 5
    while sleeping(portal) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not sleeping(portal)


def sleeping(portal):
    with portal.town() as town:
        return town.session.scalar(
            text("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(33%' AND pid <> pg_backend_pid()")
        )


def test_no_session_is_used_by_two_threads(portal, broken):
    """Neither the page's by a plugin, nor a plugin's by its next call."""
    used = {}

    def note(ctx):
        used.setdefault(ctx.session, set()).add(threading.current_thread())

    for hook in CONTAINED:
        broken.does[hook] = note
    with portal.town() as town:
        everything(portal, "valmont")
        assert town.session not in used
    assert len(used) >= 4
    assert all(len(threads) == 1 for threads in used.values())
    assert threading.current_thread() not in set.union(*used.values())


def test_a_hook_that_is_asked_for_settings_has_no_database(portal, broken):
    reached = []

    def reach(ctx):
        reached.append(ctx.town.slug)
        reached.append(ctx.session)

    broken.does["menu_entries"] = reach
    with portal.town() as town:
        for audience in containment_audiences():
            assert town.menu(audience) == ()
    assert set(reached) == {"valmont"}


@pytest.mark.parametrize("deed", [*SETTINGS, "fails and hides it", "rolls back by statement", "is cancelled", "exits"])
def test_what_an_event_hook_does_stays_in_its_row(portal, broken, deed):
    """It has the worker's transaction, but neither its connection afterwards nor its end."""
    clean = connections(portal)
    broken.does["payment_settled"] = DEEDS[deed]
    with portal.town() as town:
        family = town.families.by_code("F001")
        town.events.emit(
            "payment_settled", f"e-{deed}",
            {"id": "x", "payment_id": 1, "family_id": family.id, "invoice_ids": [], "amount": 1},
        )  # fmt: skip
    portal.work(rounds=1)
    assert connections(portal) == clean
    states = {row.dedupe_key: row.state for row in portal.outbox() if row.topic == "event"}
    assert states[f"fakepay/e-{deed}"] == "done"
    assert states[f"broken/e-{deed}"] in {"done", "ready"}


@pytest.mark.parametrize("end", ["commit", "rollback", "close"])
@pytest.mark.parametrize("hook", ["family_data", "family_erased", "families_merged"])
def test_a_plugin_cannot_end_what_an_agent_does(portal, broken, hook, end):
    """Half a merge would be committed, or the agent told of one that was rolled back."""
    from core.api.errors import UserError

    with portal.town() as town:
        stamp = f"{hook}{end}"
        first = town.files.create(f"A{stamp}", "PETIT Jo", [], "fr")
        second = town.files.create(f"B{stamp}", "PETIT Joe", [], "fr")
        town.session.commit()
        broken.does[hook] = lambda ctx: getattr(ctx.session, end)()
        act = {
            "family_data": lambda: town.personal_data.export(first),
            "family_erased": lambda: town.personal_data.erase(first),
            "families_merged": lambda: town.merging.merge(first, second),
        }[hook]
        with pytest.raises(UserError, match="broken"):
            act()
        town.session.rollback()
    with portal.town() as town:
        assert [town.families.get(one).name for one in (first, second)] == ["PETIT Jo", "PETIT Joe"]
