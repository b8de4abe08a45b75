"""A town with all its rows and papers goes to another installation, and comes back; the others serve."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import tarfile
import threading
import uuid
from contextlib import closing as closed
from datetime import UTC, datetime, timedelta
from functools import partial
from unittest.mock import Mock

import psycopg
import pytest
from click.testing import CliRunner
from isolation_towns import fill_the_rest, live_in, make_full_portal, scoped_tables
from kept_rows import keep, put_back
from redis import Redis
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool
from webtest import TestApp

from core.api.errors import TownClosedError
from core.cells import archive, catalogue, closing, loading, moving
from core.cells.archive import CellError
from core.cells.closing import BusyTownError
from core.cli import tenant as command
from core.cli.doctor import check_closed_towns, check_documents
from core.dev.embedded import SUPERUSER, postgresql_binaries
from core.invoices.files import Files
from core.platform.clock import SystemClock
from core.platform.documents.objects import ObjectStore
from core.platform.outbox.deliver import deliver
from core.platform.outbox.schedule import tick
from core.platform.outbox.service import take_due
from core.processes.consumers import OWN_SCHEDULE, all_consumers
from core.testing.portal import pages_of
from core.testing.recycling import Stock
from core.testing.waiting import PATIENCE_SECONDS

HERE, THERE = "valmont", "brumes"
"""The town that moves, and one that stays."""
MOVER = "preau_mover"


def cell(servers, template, root):
    """A database with the role that moves towns."""
    name = f"cell_{uuid.uuid4().hex[:8]}"
    servers.create_database(name, template)
    url = make_url(servers.url(SUPERUSER, name))
    subprocess.run(
        [postgresql_binaries() / "psql", "-X", "-q", "-h", url.query["host"], "-U", SUPERUSER, "-d", name,
         "-v", "mover=secret", "-f", root / "deploy" / "postgresql" / "mover.sql"],
        check=True, capture_output=True,
    )  # fmt: skip
    return name


def settings_of(portal, servers, name):
    return portal.runtime.settings.model_copy(update={"mover_url": servers.url(MOVER, name)})


@pytest.fixture(scope="module")
def filled(servers, migrated_template, tmp_path_factory, request):
    """Empty databases to work in, and the rows of two towns that use everything."""
    folder = tmp_path_factory.mktemp("cells")
    with Redis.from_url(servers.addresses().redis_url) as redis:
        redis.flushall()
    template = cell(servers, migrated_template, request.config.rootpath)
    # Making one costs the server hundreds of milliseconds, emptying it and bringing rows back a tenth.
    stock = Stock(servers, template)
    name = stock.take()
    portal = make_full_portal(servers.addresses(name), folder / "towns")
    for slug in (HERE, THERE):
        live_in(portal, slug, "F001")
        with portal.town(slug) as town:
            fill_the_rest(town.session, slug)
            town.document_files.add("a.pdf", "application/pdf", b"%PDF of " + slug.encode())
    portal.runtime.close()
    with servers.connect(name) as connection:
        keep(connection, folder / "rows")
    stock.give_back(name)
    yield stock, folder / "rows"
    stock.close()
    servers.execute(f'DROP DATABASE "{template}" WITH (FORCE)')


@pytest.fixture
def cells(servers, filled, tmp_path):
    """Two installations; in the first, two towns that use everything."""
    stock, rows = filled
    made = {}
    for place in ("one", "two"):
        name = stock.take()
        servers.execute(f'GRANT CONNECT, TEMPORARY ON DATABASE "{name}" TO {MOVER}')
        if place == "one":
            with servers.connect(name) as connection:
                put_back(connection, rows)
        made[place] = name, make_full_portal(servers.addresses(name), tmp_path / place)
    yield made
    for name, portal in made.values():
        portal.runtime.close()
        stock.give_back(name)


@pytest.fixture
def run(cells, servers, monkeypatch, tmp_path):
    """`preau tenant` in one of the installations."""

    def run(place, *arguments, **changes):
        name, portal = cells[place]
        settings = settings_of(portal, servers, name).model_copy(update=changes)
        monkeypatch.setattr(command, "get_settings", lambda: settings)
        return CliRunner().invoke(command.tenant, [str(argument) for argument in arguments])

    return run


@pytest.fixture
def to(cells, servers, tmp_path):
    """The other installation's environment file."""

    def to(place, **more):
        name, portal = cells[place]
        lines = {
            "MOVER_URL": servers.url(MOVER, name),
            "TENANTS_DIR": portal.scratch / "tenants",
            "SECRET_KEY": portal.runtime.settings.secret_key,
        } | more
        path = tmp_path / f"{place}.env"
        path.write_text("".join(f"PREAU_{key}={value}\n" for key, value in lines.items()))
        return path

    return to


@pytest.fixture
def mover(cells, servers):
    """Connections as the role that moves towns."""
    made = []

    def mover(place):
        url = make_url(servers.url(MOVER, cells[place][0])).set(drivername="postgresql")
        made.append(psycopg.connect(url.render_as_string(hide_password=False), autocommit=True))
        return made[-1]

    yield mover
    for connection in made:
        connection.close()


def contents(connection, slug):
    return {t.name: archive.content_of(connection, slug, t) for t in catalogue.tables(connection)}


def browser(portal):
    return TestApp(pages_of(portal.runtime), extra_environ={"HTTP_HOST": "localhost"})


# --- What is copied ------------------------------------------------------------------------------


def test_every_table_and_column_of_a_town_is_copied(cells, mover):
    found = {table.name: set(table.columns) for table in catalogue.tables(mover("one"))}
    wanted = {
        table.name: {column.name for column in table.columns if column.computed is None}
        for table in scoped_tables()
    }
    assert found == wanted
    here = contents(mover("one"), HERE)
    assert [name for name, content in here.items() if content.rows == 0 and name != "document_orphan"] == []


def test_a_table_that_nobody_told_of_is_copied(cells, servers, mover):
    servers.execute(
        "CREATE TABLE new_one (tenant_id varchar REFERENCES tenant, id int, PRIMARY KEY (tenant_id, id))",
        f"INSERT INTO new_one VALUES ('{HERE}', 7)", f"GRANT SELECT ON new_one TO {MOVER}",
        database=cells["one"][0],
    )  # fmt: skip
    assert contents(mover("one"), HERE)["new_one"].rows == 1


# --- There and back ------------------------------------------------------------------------------


def test_a_town_moves_while_the_other_serves_and_comes_back(cells, run, to, mover, monkeypatch):
    one, two = cells["one"][1], cells["two"][1]
    before, other = contents(mover("one"), HERE), contents(mover("one"), THERE)
    said = run("one", "move", HERE, "--to", to("two"))
    assert said.exit_code == 0, said.output
    assert contents(mover("two"), HERE) == before
    assert contents(mover("one"), THERE) == other
    assert all(content.rows == 0 for content in contents(mover("two"), THERE).values())
    page = browser(one).get(f"/{HERE}/", status=503)
    assert page.headers["Retry-After"] == "30"
    assert "en maintenance" in page
    assert browser(one).get(f"/{THERE}/", status=200)
    assert browser(two).get(f"/{HERE}/", status=200)
    with two.town(HERE) as town:
        digests = dict(town.session.execute(text("SELECT id, sha256 FROM document")).all())
        for number in digests:
            assert town.document_files.get(number).content
        sums = "SELECT sum(paid), sum(credited) FROM invoice"
        moved = town.session.execute(text(sums)).one()
        assert moved[0] > 0
        highest = town.session.scalar(text("SELECT max(id) FROM document"))
        filed = Files(town.session, HERE, None).add("new.pdf", "application/pdf", b"%PDF new")
        assert filed.id > highest
    changed = contents(mover("two"), HERE)
    # What happened there comes back.
    assert [config.slug for config in one.runtime.serving()] == [THERE]
    monkeypatch.setattr("core.cli.doctor.get_runtime", lambda: one.runtime)
    assert not [found.text for found in check_documents(one.runtime.settings) if found.fatal]
    said = run("two", "move", HERE, "--to", to("one"))
    assert said.exit_code == 0, said.output
    assert contents(mover("one"), HERE) == changed
    assert contents(mover("one"), THERE) == other
    with one.town(HERE) as town:
        assert town.session.execute(text(sums)).one() == moved
    assert browser(two).get(f"/{HERE}/", status=503)
    assert run("two", "forget", HERE).exit_code == 0
    assert all(content.rows == 0 for content in contents(mover("two"), HERE).values())
    assert "has not moved away" in run("one", "forget", HERE).output


def test_papers_go_from_the_database_into_the_store_of_the_other_and_back(cells, run, to, seaweed, mover):
    store = seaweed.settings(f"papers/{uuid.uuid4().hex}")
    named = {name.upper(): value for name, value in store.items()}
    assert run("one", "move", HERE, "--to", to("two", **named)).exit_code == 0
    two = cells["two"][1]
    objects = ObjectStore(two.runtime.settings.model_copy(update=store))
    with two.town(HERE) as town:
        files = Files(town.session, HERE, objects)
        assert files.places().in_database == 0
        papers = {
            number: files.get(number).content
            for number in town.session.scalars(text("SELECT id FROM document"))
        }
    assert b"%PDF of valmont" in papers.values()
    # Those that were left behind are still there: what is asked for is a new one.
    with two.town(HERE) as town:
        added = Files(town.session, HERE, objects).add("b.pdf", "application/pdf", b"%PDF of later")
        papers[added.id] = b"%PDF of later"
    refused = run("two", "move", HERE, "--to", to("one"))
    assert "set PREAU_DOCUMENTS_URL" in refused.output
    with two.town(HERE):
        pass  # Open as before.
    assert run("two", "move", HERE, "--to", to("one"), **store).exit_code == 0
    with cells["one"][1].town(HERE) as town:
        assert {number: town.document_files.get(number).content for number in papers} == papers


@pytest.fixture
def move(cells, servers):
    """The move itself, without its command: `at` is told each step; gives what was moved."""

    def move(at=lambda *_told: None, here="one", there="two"):
        def side(place):
            name, portal = cells[place]
            url = make_url(servers.url(MOVER, name)).set(drivername="postgresql")
            connection = psycopg.connect(url.render_as_string(hide_password=False), autocommit=True)
            return moving.Cell(connection, None, portal.runtime.settings.secret_key)

        one, two = side(here), side(there)
        with closed(one.connection), closed(two.connection):
            return moving.move(one, two, HERE, at=partial(at, one.connection, two.connection))

    return move


def add_paper(portal, content):
    with portal.town(HERE) as town:
        return town.document_files.add("a.pdf", "application/pdf", content).id


def test_papers_go_ahead_while_the_town_serves(cells, mover, move):
    one, two, look = cells["one"][1], cells["two"][1], mover("two")
    papers = "SELECT sha256, content IS NOT NULL FROM document WHERE tenant_id = %s"
    seen, late = {}, b"%PDF that came after the others had left"

    def at(_here, _there, step):
        seen[step] = dict(look.execute(papers, [HERE]).fetchall())
        if step is moving.Step.CLOSE:
            browser(one).get(f"/{HERE}/", status=200)
            browser(two).get(f"/{HERE}/", status=503)
            add_paper(one, late)

    before = dict(mover("one").execute(papers, [HERE]).fetchall())
    moved = move(at)
    assert seen[moving.Step.PAPERS] == {}
    assert seen[moving.Step.CLOSE] == before == dict.fromkeys(before, True)
    assert moved.papers_ahead == len(before)
    assert seen[moving.Step.OPEN] == before | {hashlib.sha256(late).hexdigest(): True}
    assert contents(mover("one"), HERE) == contents(mover("two"), HERE)


def test_papers_that_are_another_under_the_same_number_there_are_right_afterwards(cells, mover, move):
    """On its way back a town finds what it left: papers as they are, and others under their numbers."""
    move()
    kept, gone = "SELECT min(id), max(id) FROM document WHERE tenant_id = %s", mover("one")
    first, last = gone.execute(kept, [HERE]).fetchone()
    assert first < last
    stale = b"%PDF of another"
    gone.execute(
        "UPDATE document SET content = %s, sha256 = %s WHERE tenant_id = %s AND id = %s",
        [stale, hashlib.sha256(stale).hexdigest(), HERE, first],
    )
    gone.execute("UPDATE document SET content = 'damaged' WHERE tenant_id = %s AND id = %s", [HERE, last])
    twice = cells["two"][1]
    again = add_paper(twice, b"%PDF of valmont")  # The same paper as one that is there.
    move(here="two", there="one")
    assert contents(mover("one"), HERE) == contents(mover("two"), HERE)
    with cells["one"][1].town(HERE) as town:
        assert town.document_files.get(again).content == b"%PDF of valmont"
        for number in town.session.scalars(text("SELECT id FROM document")):
            assert town.document_files.get(number).content != stale  # Each is compared as it is read.


def test_a_move_that_is_cut_anywhere_goes_on_and_is_never_open_twice(cells, mover, move):
    """Both connections end at each step, as with a command that is killed: what it says afterwards is lost."""
    before, look = contents(mover("one"), HERE), {place: mover(place) for place in cells}

    def cut_at(wanted):
        def at(here, there, step):
            if step is wanted:
                for connection, place in ((here, "one"), (there, "two")):
                    look[place].execute("SELECT pg_terminate_backend(%s)", [connection.info.backend_pid])

        return at

    states = {}
    for step in moving.Step:
        with pytest.raises(psycopg.Error):
            move(cut_at(step))
        states[step] = tuple(closing.state_of(look[place], HERE) for place in ("one", "two"))
        if step is not moving.Step.OPEN:
            browser(cells["two"][1]).get(f"/{HERE}/", status=503)
    assert states == {
        moving.Step.PAPERS: ("open", "arriving"),
        moving.Step.CLOSE: ("open", "arriving"),
        moving.Step.WRITE: ("closed", "arriving"),
        moving.Step.LOAD: ("closed", "arriving"),
        moving.Step.LEAVE: ("closed", "arriving"),
        moving.Step.OPEN: ("moved", "arriving"),
    }
    moved = move()
    assert moved.manifest is None
    assert [closing.state_of(look[place], HERE) for place in ("one", "two")] == ["moved", "open"]
    assert contents(look["two"], HERE) == before


def test_a_town_that_does_not_live_here_is_neither_closed_nor_moved_again(cells, run, to, mover, tmp_path):
    """Closing drains first, and draining serves: what was left behind would be open in both."""
    closing.set_state(mover("one"), HERE, "moved")
    for asked in (("move", HERE, "--to", to("two")), ("close", HERE), ("export", HERE, tmp_path / "x.tar")):
        assert run("one", *asked).exit_code == 1
        assert closing.state_of(mover("one"), HERE) == "moved"


def test_two_moves_of_a_town_at_once_are_refused(move):
    said = []

    def at(_here, _there, step):
        if step is moving.Step.CLOSE:
            with pytest.raises(CellError) as refused:
                move()
            said.append(str(refused.value))
            raise CellError("enough")

    with pytest.raises(CellError, match="enough"):
        move(at)
    assert said == [f"{HERE} is being moved by another command"]


def test_a_town_that_was_closed_stays_closed_when_its_move_fails(cells, run, to, mover, monkeypatch):
    assert run("one", "close", HERE).exit_code == 0
    monkeypatch.setattr(archive, "write", Mock(side_effect=CellError("breaks")))
    assert run("one", "move", HERE, "--to", to("two")).exit_code == 1
    assert closing.state_of(mover("one"), HERE) == "closed"
    assert "has not arrived" in run("two", "open", HERE).output
    assert run("two", "forget", HERE).exit_code == 0


def test_a_file_that_cannot_be_written_is_said_in_words_and_the_town_opens_again(run, mover, tmp_path):
    said = run("one", "export", HERE, tmp_path / "nowhere" / "town.tar")
    assert said.exit_code == 1
    assert said.output.startswith(f"Error: {tmp_path}/nowhere/town.tar: No such file"), said.output
    assert closing.state_of(mover("one"), HERE) == "open"


def test_another_secret_is_told_before_anything_is_done(cells, run, to, mover, tmp_path):
    other = "another-secret-of-more-than-thirty-two-characters"
    said = run("one", "move", HERE, "--to", to("two", SECRET_KEY=other))
    assert said.exit_code == 1
    assert "PREAU_SECRET_KEY" in said.output
    assert [closing.state_of(mover(place), HERE) for place in ("one", "two")] == ["open", "open"]
    path = tmp_path / "town.tar"
    assert run("one", "export", HERE, path, "--open").exit_code == 0
    said = run("two", "import", path, secret_key=other)
    assert said.exit_code == 1
    assert "PREAU_SECRET_KEY" in said.output
    assert run("two", "import", path, "--other-secret", secret_key=other).exit_code == 0
    secret = cells["one"][1].runtime.settings.secret_key.encode()
    assert secret not in path.read_bytes()


def test_a_move_that_fails_leaves_the_town_open(cells, run, to, mover, monkeypatch):
    before = contents(mover("one"), HERE)

    def broken(*_given):
        raise CellError("the journal of CANTINE breaks at 2026/1")

    monkeypatch.setattr(loading, "check_journal", broken)
    said = run("one", "move", HERE, "--to", to("two"))
    assert said.exit_code == 1
    assert "breaks at" in said.output
    assert contents(mover("one"), HERE) == before
    assert browser(cells["one"][1]).get(f"/{HERE}/", status=200)
    # Papers went ahead, and nothing else did.
    there = contents(mover("two"), HERE)
    assert {name for name, content in there.items() if content.rows} == {"document"}


# --- Files that are refused ----------------------------------------------------------------------


@pytest.fixture
def exported(run, tmp_path):
    path = tmp_path / "valmont.tar"
    said = run("one", "export", HERE, path, "--open")
    assert said.exit_code == 0, said.output
    assert path.stat().st_mode & 0o077 == 0
    return path


def changed(path, name, change):
    """A copy of a file in which one part is another; its manifest says what that is."""
    copy = path.with_suffix(".changed")
    with tarfile.open(path) as tar, tarfile.open(copy, "w") as out:
        for entry in tar:
            content = tar.extractfile(entry).read()
            if entry.name == name:
                content = change(content)
                entry.size = len(content)
            out.addfile(entry, io.BytesIO(content))
    return copy


def test_another_schema_is_refused_in_words(run, exported):
    def older(content):
        found = json.loads(content)
        found["versions"] = ["0001"]
        return json.dumps(found).encode()

    said = run("two", "import", changed(exported, "manifest.json", older))
    assert said.exit_code == 1
    assert "the schema is another one here" in said.output


def test_a_row_that_is_lost_on_the_way_is_found(run, exported, mover):
    def shorter(content):
        return b"".join(content.splitlines(keepends=True)[1:])

    said = run("two", "import", changed(exported, "rows/allocation", shorter))
    assert said.exit_code == 1
    assert "allocation:" in said.output
    assert all(content.rows == 0 for content in contents(mover("two"), HERE).values())


def test_a_file_that_was_not_written_to_its_end_is_refused(run, exported, tmp_path):
    path = tmp_path / "half.tar"
    path.write_bytes(exported.read_bytes()[: exported.stat().st_size // 20 * 10])
    said = run("two", "import", path)
    assert said.exit_code == 1
    assert said.exception is None or isinstance(said.exception, SystemExit)


def test_a_town_that_lives_there_is_not_overwritten_by_the_way(run, exported, mover):
    assert run("two", "import", exported).exit_code == 0
    # It has not been open there: nothing is lost by loading it again.
    assert run("two", "import", exported).exit_code == 0
    assert run("two", "open", HERE).exit_code == 0
    again = run("two", "import", exported)
    assert "lives there already" in again.output
    assert run("two", "import", exported, "--replace").exit_code == 0
    assert contents(mover("two"), HERE) == contents(mover("one"), HERE)


def test_a_broken_chain_and_a_lost_key_are_found(cells, mover):
    connection = mover("one")
    loading.check_journal(connection, HERE)
    loading.check_keys(connection, HERE)
    with connection.transaction(force_rollback=True):
        connection.execute(
            "UPDATE journal_entry SET amount = amount + 1 WHERE tenant_id = %s", [HERE]
        )
        with pytest.raises(CellError, match="the journal of"):
            loading.check_journal(connection, HERE)
    with connection.transaction(force_rollback=True):
        connection.execute("SET LOCAL session_replication_role = replica")
        connection.execute("DELETE FROM family WHERE tenant_id = %s", [HERE])
        with pytest.raises(CellError, match="point to nothing"):
            loading.check_keys(connection, HERE)


# --- Closing -------------------------------------------------------------------------------------


def test_closing_waits_for_what_has_begun(cells, mover):
    portal, ended = cells["one"][1], threading.Event()
    with portal.town(HERE) as town:
        town.session.execute(text("SELECT 1"))
        closer = threading.Thread(target=lambda: (closing.close(mover("one"), HERE), ended.set()))
        closer.start()
        assert not ended.wait(0.3)
        town.session.execute(text("UPDATE family SET name = name"))
    assert ended.wait(PATIENCE_SECONDS)
    closer.join()
    with pytest.raises(TownClosedError), portal.town(HERE) as town:
        town.session.execute(text("SELECT 1"))
    with portal.town(THERE) as town:
        assert town.session.scalar(text("SELECT count(*) FROM family")) > 0


@pytest.mark.parametrize("state", ["closed", "moved", "arriving"])
def test_whoever_brings_something_to_a_closed_town_is_told_to_come_again(cells, mover, state):
    """Answered 200, a notification, an update, or an export that was fetched would be lost."""
    portal = cells["one"][1]
    closing.set_state(mover("one"), HERE, state)
    told = [found.text for found in check_closed_towns(portal.runtime.settings)]
    assert [HERE in text and state in text for text in told] == ([] if state == "moved" else [True])
    app = browser(portal)
    secret = portal.runtime.config(HERE).settings["telegram_bot"].webhook_secret.get_secret_value()
    update = {"update_id": 7, "my_chat_member": {
        "chat": {"id": 5, "type": "private"}, "date": 1, "new_chat_member": {"status": "kicked"},
    }}  # fmt: skip
    for answer in (
        app.post(f"/{HERE}/+payfip/notification", "idOp=0bd66be1-c5d8-11e9-ba32-005056be44b8", status=503),
        app.get(f"/{HERE}/+payfip/notification?idOp=0bd66be1-c5d8-11e9-ba32-005056be44b8", status=503),
        app.get(f"/{HERE}/echanges/reglements/CANTINE?apres=0",
                headers={"Authorization": "Bearer " + "x" * 43}, status=503),
        app.post_json(f"/{HERE}/+telegram_bot/webhook", update,
                      headers={"X-Telegram-Bot-Api-Secret-Token": secret}, status=503),
    ):  # fmt: skip
        assert answer.headers["Retry-After"] == "30"


def test_a_town_that_does_not_come_to_rest_stays_open(cells, mover):
    portal, connection = cells["one"][1], mover("one")
    with portal.town(HERE) as town:
        town.session.execute(text("SELECT 1"))
        with pytest.raises(BusyTownError, match="a transaction"):
            closing.close(connection, HERE, flight_seconds=0.2)
    connection.execute(
        "UPDATE outbox SET state = 'running', lease_until = %s WHERE id ="
        " (SELECT id FROM outbox WHERE tenant_id = %s LIMIT 1)",
        [datetime.now(UTC) + timedelta(minutes=1), HERE],
    )
    with pytest.raises(BusyTownError, match="a worker"):
        closing.close(connection, HERE, drain_seconds=0.2)
    assert closing.state_of(connection, HERE) == "open"


def test_workers_leave_the_rows_of_a_closed_town_alone(cells, mover, servers):
    name, portal = cells["one"]
    runtime, connection = portal.runtime, mover("one")
    for slug in (HERE, THERE):
        with portal.town(slug) as town:
            town.outbox.add("housekeeping", {}, key="a row")
    consumers = all_consumers(runtime.extensions)
    question = (
        "SELECT tenant_id, id, state, attempts FROM outbox WHERE dedupe_key = 'a row' ORDER BY tenant_id"
    )
    rows = {row[0]: row for row in connection.execute(question).fetchall()}
    for state in ("draining", "closed", "moved"):
        closing.set_state(connection, HERE, state)
        for tenant, row in rows.items():
            if tenant == HERE:
                deliver(runtime, consumers, tenant, row[1])
        assert {row[0]: row for row in connection.execute(question).fetchall()} == rows
    tick(runtime, "", OWN_SCHEDULE[0])  # The other towns get their work.
    with closed(relay_session(servers, name)) as session:
        taken = {tenant for tenant, _row in take_due(session, SystemClock().now(), 500, bulk=False)}
    assert taken == {THERE}
    closing.set_state(connection, HERE, "open")
    deliver(runtime, consumers, HERE, rows[HERE][1])
    assert connection.execute(
        "SELECT state FROM outbox WHERE id = %s", [rows[HERE][1]]
    ).fetchone() == ("done",)


def relay_session(servers, name):
    return Session(create_engine(servers.addresses(name).relay_url, poolclass=NullPool))


def test_open_says_what_it_would_do_to_a_town_that_has_moved(cells, run, to):
    assert run("one", "move", HERE, "--to", to("two")).exit_code == 0
    assert "has moved away" in run("one", "open", HERE).output
    assert run("one", "close", "nowhere").exit_code == 1
    assert run("two", "close", HERE).exit_code == 0
    assert run("one", "open", HERE, "--moved").exit_code == 0
    assert browser(cells["one"][1]).get(f"/{HERE}/", status=200)


def test_without_the_role_it_says_what_to_do(run):
    assert "mover.sql" in run("one", "close", HERE, mover_url="").output
