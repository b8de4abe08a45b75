"""Two towns, one with a broken plugin: the other notices nothing, and it loses nothing itself."""

from __future__ import annotations

import multiprocessing
import os
import queue
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select, text
from structlog.testing import capture_logs
from webtest import TestApp

from core.api.errors import RetryableError
from core.cli.doctor import check_database
from core.platform import sharing
from core.platform.db.session import LostTransactionError, guest_session, guests_of
from core.platform.outbox.deliver import deliver
from core.platform.outbox.models import OutboxRow
from core.platform.plugins import calls as containment
from core.platform.plugins.rests import forget_rests, rest_of, rests
from core.processes.app import make_app
from core.processes.consumers import all_consumers
from core.testing.broken_plugins import DEEDS, SETTINGS, Broken, WordlessError, forget_kept, says
from core.testing.portal import due_rows, make_portal, record, write_towns
from core.testing.waiting import PATIENCE_SECONDS, wait_until

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
        browsers[town] = TestApp(application, extra_environ={"HTTP_HOST": "localhost"})
        sign_in(portal, town, browsers[town])
    yield portal, broken, browsers
    portal.runtime.close()


def sign_in(portal, town, browser):
    forms = browser.get(f"/{town}/connexion").forms
    form = next(form for form in forms.values() if "family_code" in form.fields)
    form["family_code"], form["child_code"] = "F001", portal.codes("F001", town)
    form.submit().follow()


@pytest.fixture
def portal(house, monkeypatch):
    began = house[0].clock.now()
    monkeypatch.setattr(containment, "CALL_TIMEOUT_SECONDS", 0.5)
    house[1].does.clear()
    house[0].runtime.answers.forget()
    with capture_logs():  # Tracebacks for a terminal take longer to write than all else.
        yield house[0]
    house[1].does.clear()
    forget_kept()
    house[0].runtime.answers.forget()
    forget_rests()
    if house[0].clock.now() - began > timedelta(minutes=5):  # Their sessions end meanwhile.
        for town, browser in house[2].items():
            sign_in(house[0], town, browser)


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
    # Its own: a call that was given up may hold one for a moment yet, in a connection that is closed.
    " (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()),"
    " (SELECT count(*) FROM pg_prepared_statements WHERE from_sql),"
    " current_setting('client_encoding'), current_setting('bytea_output'), current_setting('intervalstyle'),"
    " current_setting('extra_float_digits'), current_setting('standard_conforming_strings'),"
    " (SELECT count(*) FROM pg_class WHERE relpersistence = 't' AND pg_table_is_visible(oid))"
)


def connections(portal):
    """What every pooled connection is like, seen from its neighbour's town: core's, and the plugins'."""
    guests = guests_of(portal.runtime.engine)
    held = [portal.runtime.sessions(info={"tenant": "brumes"}) for _number in range(4)]
    held += [guest_session(guests, "brumes", seconds=600, reads=True) for _number in range(2)]
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
        town.selection.of(["CANTINE", "GARDERIE"])
        town.health.plugins()
        town.notifications.reached([family.id], "invoices_published")
    with portal.town(slug) as town:
        assert town.session.scalar(text("SELECT max(id) FROM access_code")) > (before or 0)


def containment_audiences():
    from core.api.web import Audience

    return list(Audience)


@pytest.mark.parametrize("deed", DEEDS)
def test_what_contained_hooks_do_is_lost_on_nobody(portal, broken, deed):
    """A new access code is stored, whatever the hooks did meanwhile; the neighbour is as before."""
    clean, asked = connections(portal), set()

    def noted(hook):
        def do(ctx):
            asked.add(hook)
            return DEEDS[deed](ctx)

        return do

    broken.does.update({hook: noted(hook) for hook in CONTAINED})
    start = time.monotonic()
    everything(portal, "valmont")
    assert time.monotonic() - start < 150, "each of those that sleep would sleep for half a minute"
    assert asked == set(CONTAINED)
    assert connections(portal) == clean
    everything(portal, "brumes")


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


def test_the_doctor_tells_what_a_role_set_of_itself(portal):
    """No session can undo it: each connection to come begins with it."""
    with portal.town() as town:
        name = town.session.scalar(text("SELECT current_database()"))
        role = f'ALTER ROLE CURRENT_USER IN DATABASE "{name}"'
        town.session.execute(text(f"{role} SET lock_timeout = 1234"))
    settings = portal.runtime.settings
    try:
        told = [one.text for one in check_database(settings) if not one.good]
        assert any("lock_timeout=1234" in one and "ALTER ROLE preau_app RESET ALL" in one for one in told)
    finally:
        with portal.town() as town:
            town.session.execute(text(f"{role} RESET ALL"))
    assert [one.text for one in check_database(settings) if not one.good] == []


def test_a_statement_of_a_hook_ends_with_its_time(portal, broken):
    """Nobody waits for it, and PostgreSQL does not go on with it."""
    broken.does["payment_providers"] = says("SELECT pg_sleep(333)")
    start = time.monotonic()
    with portal.town() as town:
        assert "fakepay" in town.providers
    wait_until(lambda: not sleeping(portal))
    assert time.monotonic() - start < 300


def sleeping(portal):
    with portal.town() as town:
        return town.session.scalar(
            text("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(333%' AND pid <> pg_backend_pid()")
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


@pytest.mark.parametrize(
    "deed",
    [*SETTINGS, "fails and hides it", "rolls back by statement", "is cancelled", "exits", "has no words",
     "keeps its sessions", "closes the driver", "rolls back", "closes"],
)  # fmt: skip
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


# --- Work that takes too long ---------------------------------------------------------------------


def do(portal, slug="valmont", seconds=1, **more):
    """Do the due rows of a town, as a worker would that ends events after `seconds`."""
    consumers = dict(all_consumers(portal.runtime.extensions))
    plugin, consumer = consumers["event"]
    consumers["event"] = plugin, replace(consumer, lease=timedelta(seconds=seconds), **more)
    with portal.town(slug) as town:
        due = due_rows(town)
    for tenant, row in due:
        deliver(portal.runtime, consumers, tenant, row)
    return len(due)


def emit(portal, number, hook="payment_settled", slug="valmont"):
    with portal.town(slug) as town:
        family = town.families.by_code("F001")
        town.session.execute(text("DELETE FROM outbox"))
        for one in range(number):
            town.events.emit(
                hook, f"{hook}-{one}",
                {"id": "x", "payment_id": 1, "family_id": family.id, "invoice_ids": [], "amount": 1},
            )  # fmt: skip


def rows(portal, of):
    return [row for row in portal.outbox() if row.dedupe_key.startswith(f"{of}/")]


def row_of(portal, of):
    """The whole of the one row."""
    with portal.town() as town:
        return town.session.scalars(
            select(OutboxRow).where(OutboxRow.dedupe_key.startswith(f"{of}/"))
        ).one()


def waits(_ctx):
    time.sleep(120)


def waits_in_spite(_ctx):
    deadline = time.monotonic() + 3.0
    while time.monotonic() < deadline:
        with suppress(Exception):  # An order to stop is none.
            time.sleep(0.2)


@pytest.mark.parametrize("deed", [waits, says("SELECT pg_sleep(120)"), waits_in_spite])
def test_an_event_that_hangs_costs_a_worker_its_time_once(portal, broken, deed):
    """Eight payments, and a hook that takes two minutes for each: one is waited for."""
    broken.does["payment_settled"] = deed
    emit(portal, 8)
    start = time.monotonic()
    do(portal)
    assert time.monotonic() - start < 110
    assert {row.state for row in rows(portal, "fakepay")} == {"done"}
    waiting = rows(portal, "broken")
    assert {row.state for row in waiting} == {"ready"}
    assert sorted(row.attempts for row in waiting) == [0] * 7 + [1], "who was not asked did not fail"
    portal.clock.pass_time(hours=2)
    forget_rests()
    broken.does.clear()
    do(portal)
    assert {row.state for row in rows(portal, "broken")} == {"done"}


def test_an_event_that_ends_its_process_is_given_up_and_holds_nobody_back(portal, broken):
    """A worker dies of it as often as the row may be tried; the neighbour's rows are done meanwhile."""
    broken.does["payment_settled"] = lambda _ctx: os._exit(9)
    emit(portal, 1)
    fork = multiprocessing.get_context("fork")

    def work():
        portal.runtime.forked()
        do(portal, seconds=10, attempts=2)

    for _time in range(2):
        worker = fork.Process(target=work)
        worker.start()
        worker.join(PATIENCE_SECONDS)
        assert worker.exitcode == 9
        worker.close()
        portal.clock.pass_time(minutes=2)
    do(portal, seconds=10, attempts=2)
    row = row_of(portal, "broken")
    assert (row.state, row.last_error) == ("dead", "its workers died")
    assert {row.state for row in rows(portal, "fakepay")} == {"done"}


@pytest.mark.parametrize(
    "error",
    [
        RetryableError("a\0b\ud800", timedelta.max),
        RetryableError(b"bytes", timedelta(days=-1)),
        RetryableError("x" * 100_000, "soon"),
        ValueError("a\0b\ud800"),
        WordlessError(),
    ],
    ids=["no text", "no words", "too long", "a fault", "wordless"],
)
def test_whatever_a_plugin_fails_with_its_row_comes_again(portal, broken, error):
    def fails(_ctx):
        raise error

    broken.does["payment_settled"] = fails
    emit(portal, 1)
    do(portal)
    row = row_of(portal, "broken")
    assert (row.state, row.attempts) == ("ready", 1)
    assert row.last_error.isprintable()
    assert len(row.last_error) <= 2000
    assert timedelta(0) <= row.available_at - portal.clock.now() <= timedelta(days=31)


def test_what_rests_in_one_town_is_asked_in_another(portal, broken):
    rests.add(("valmont", "broken", "payment_settled"))
    assert rest_of("valmont", "broken", "payment_settled") > 50
    assert rest_of("brumes", "broken", "payment_settled") == 0


def test_who_hangs_again_rests_longer(portal, monkeypatch):
    key = ("valmont", "broken", "payment_settled")
    seconds = []
    for _time in range(9):
        rests.add(key)
        seconds.append(round(rest_of(*key)))
    assert seconds[:3] == [60, 120, 240]
    assert seconds[-1] == 3600
    rests.end(key)
    rests.add(key)
    assert round(rest_of(*key)) == 60


@pytest.fixture
def limits():
    yield sharing
    sharing.lift_limits()


@contextmanager
def held_by_threads(*towns):
    """Shares of the broken plugin, each taken by a thread of its own; what each was told."""
    go, told = threading.Event(), queue.Queue()
    threads, said = [], []
    try:
        for town in towns:
            threads.append(threading.Thread(target=hold, args=("broken", town, told, go)))
            threads[-1].start()
            said.append(told.get(timeout=PATIENCE_SECONDS))
        yield said
    finally:
        go.set()
        for thread in threads:
            thread.join(PATIENCE_SECONDS)


def test_a_town_s_plugin_takes_its_share_of_a_process_only(limits):
    limits.limit_threads(8)
    with held_by_threads(*["valmont"] * 5, *["brumes"] * 3) as said:
        assert said == [*["taken"] * 4, "refused", "taken", "taken", "refused"]
    with held_by_threads("valmont") as said:
        assert said == ["taken"]


def hold(plugin, town, ready, go):
    try:
        with sharing.share(town, plugin):
            ready.put("taken")
            go.wait(2 * PATIENCE_SECONDS)
    except sharing.NotNowError:
        ready.put("refused")


def hold_in_process(town, line):
    try:
        with sharing.share(town, "broken"):
            line.send("taken")
            line.poll(2 * PATIENCE_SECONDS)
    except sharing.NotNowError:
        line.send("refused")


def test_plugins_leave_one_of_the_workers_to_others(limits):
    """Counted over processes, by locks that end with them."""
    limits.limit_processes(4)
    fork = multiprocessing.get_context("fork")
    started = []

    def begin(town):
        line, end = fork.Pipe()
        process = fork.Process(target=hold_in_process, args=(town, end))
        process.start()
        end.close()
        started.append((process, line))
        assert line.poll(PATIENCE_SECONDS)
        return line.recv()

    try:
        towns = ("valmont", "valmont", "valmont", "brumes", "brumes")
        assert [begin(town) for town in towns] == ["taken", "taken", "refused", "taken", "refused"]
        started[0][0].kill()
        started[0][0].join(PATIENCE_SECONDS)
        assert begin("valmont") == "taken", "who died leaves its share"
    finally:
        for process, line in started:
            process.kill()
            process.join(PATIENCE_SECONDS)
            process.close()
            line.close()


def test_work_that_finds_no_room_is_given_back_untried(portal, broken, limits):
    limits.limit_threads(4)
    emit(portal, 2)
    with held_by_threads("valmont", "valmont"):
        do(portal)
    assert [(row.state, row.attempts) for row in rows(portal, "broken")] == [("ready", 0)] * 2
    portal.clock.pass_time(seconds=10)
    do(portal)
    assert {row.state for row in rows(portal, "broken")} == {"done"}


def test_a_plugin_cannot_change_the_settings_of_a_town(portal, broken):
    """They are one object for everybody, for as long as the process lives."""
    with portal.town() as town:
        with pytest.raises(TypeError):
            town.config.settings["fakepay"] = None
        with pytest.raises(ValueError, match="frozen"):
            town.config.settings["fakepay"].regies = ()
