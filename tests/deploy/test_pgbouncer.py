"""The wall between towns holds behind PgBouncer in transaction mode, over shared connections.

The real PgBouncer, with the file of deploy/, before the real PostgreSQL.
"""

from __future__ import annotations

import re
import signal
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from deploy_tools import DEPLOY, program, until_it_listens
from sqlalchemy import make_url, text
from webtest import TestApp

from core.dev.embedded import _Confinement, free_port
from core.platform.db.session import make_engine, make_session_factory, mark_foreign
from core.processes.app import make_app
from core.testing.portal import make_portal, record
from core.testing.waiting import PATIENCE_SECONDS

CONNECTIONS = 2
"""So few that every session shares them with the others."""


@pytest.fixture(scope="module")
def bouncer(servers, module_database):
    """PgBouncer, and the database's address through it."""
    database = make_url(module_database.database_url).database
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="preau-bouncer-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        (folder / "users").write_text('"preau_app" ""\n"preau_relay" ""\n')
        ini = (DEPLOY / "pgbouncer" / "pgbouncer.ini").read_text("utf-8")
        changes = {
            r"^preau = .*": f"{database} = host={servers.sockets} dbname={database}",
            r"^listen_port = .*": f"listen_port = {port}",
            r"^auth_type = .*": "auth_type = trust",
            r"^auth_file = .*": f"auth_file = {folder}/users",
            r"^default_pool_size = .*": f"default_pool_size = {CONNECTIONS}",
            r"^reserve_pool_size = .*": "reserve_pool_size = 0\nunix_socket_dir =",
        }
        for pattern, value in changes.items():
            ini, count = re.subn(pattern, value, ini, flags=re.MULTILINE)
            assert count == 1, pattern
        (folder / "pgbouncer.ini").write_text(ini)
        confinement = _Confinement.choose()
        confinement.own(folder)
        log = folder / "log"
        with log.open("wb") as output:
            process = confinement.spawn(
                [program("pgbouncer"), str(folder / "pgbouncer.ini")], output, dies_by=signal.SIGTERM
            )
        until_it_listens(port, process, log)
        yield f"postgresql+psycopg://preau_app@127.0.0.1:{port}/{database}"
        process.terminate()
        process.wait(PATIENCE_SECONDS)


@pytest.fixture(scope="module")
def portal(bouncer, module_database, tmp_path_factory):
    """A whole portal whose pages and workers go through PgBouncer; the relay does not."""
    addresses = replace(module_database, database_url=bouncer)
    made = make_portal(addresses, tmp_path_factory.mktemp("portal"))
    made.runtime.redis.flushall()
    for slug, count in (("valmont", 3), ("brumes", 5)):
        made.publish(*(record(f"{slug}-{n}", family=f"F{n:03d}") for n in range(count)), slug=slug)
    yield made
    made.runtime.close()


def test_towns_that_share_connections_see_only_themselves(portal, bouncer):
    """Two server connections, sixteen sessions that commit, roll back and fail in the middle."""
    engine = make_engine(bouncer, pool_size=16)
    factory = make_session_factory(engine)
    owners = {"valmont": {"valmont"}, "brumes": {"brumes"}, "": set()}

    def visit(number):
        slug = ("valmont", "brumes", "")[number % 3]
        seen, servers = [], set()
        with factory(info={"tenant": slug}) as session:
            for turn in range(6):
                servers.add(session.scalar(text("SELECT pg_backend_pid() FROM pg_sleep(0.001)")))
                seen.append(set(session.scalars(text("SELECT DISTINCT tenant_id FROM invoice"))))
                if (number + turn) % 4 == 0:
                    with pytest.raises(Exception, match="division by zero"):
                        session.execute(text("SELECT 1/0"))
                    session.rollback()
                elif turn % 2:
                    session.rollback()
                else:
                    session.commit()
        return slug, seen, servers

    used = set()
    with ThreadPoolExecutor(16) as pool:
        for slug, seen, servers in pool.map(visit, range(48)):
            assert seen == [owners[slug]] * 6, slug
            used |= servers
    assert len(used) <= CONNECTIONS, "they did not share"
    engine.dispose()


@pytest.mark.parametrize("through", [False, True])
def test_statements_are_prepared_only_where_they_survive(portal, bouncer, module_database, through):
    engine = make_engine(bouncer if through else module_database.database_url)
    with engine.connect() as connection:
        for _time in range(10):
            assert connection.scalar(text("SELECT 3")) == 3
            connection.commit()
        kept = connection.scalar(text("SELECT count(*) FROM pg_prepared_statements"))
    engine.dispose()
    assert (kept == 0) is through


def test_a_raw_connection_after_a_town_s_knows_no_town(portal, bouncer):
    with portal.town("valmont") as town:
        assert town.session.scalar(text("SELECT count(*) FROM invoice WHERE number NOT LIKE 'n%'")) == 3
    for _time in range(CONNECTIONS * 2):
        with psycopg.connect(bouncer.replace("+psycopg", ""), prepare_threshold=None) as connection:
            row = connection.execute(
                "SELECT count(*), current_setting('app.tenant', true) FROM invoice"
            ).fetchone()
            assert row[0] == 0
            assert not row[1]


def test_a_family_signs_in_looks_and_pays_through_it(portal):
    app = TestApp(make_app(portal.runtime), extra_environ={"HTTP_HOST": "localhost"})
    secret = portal.codes("F001")
    page = app.get("/valmont/connexion")
    form = next(f for f in page.forms.values() if "family_code" in f.fields)
    form["family_code"], form["child_code"] = "F001", secret
    form.submit(status=303)
    assert "valmont-1" in app.get("/valmont/factures").text
    with portal.town() as town:
        (invoice,) = town.invoices.by_number("valmont-1")
        payment = town.attempts.create(
            invoice.family_id, [invoice.id], email="", language="fr", key="through"
        )
        town.attempts.start(payment)
    portal.bank.pay(portal.bank.last, portal.clock)
    with portal.town() as town:
        assert town.attempts.poll(payment) == "settled"
    assert portal.work() > 0
    with portal.town("brumes") as town:
        assert town.session.scalar(text("SELECT count(*) FROM payment")) == 0


def test_imports_at_once_through_it_keep_their_scratch_tables_apart(portal):
    """Temporary tables live as long as their transaction, which keeps its server connection."""

    def bring(number):
        slug = ("valmont", "brumes")[number % 2]
        records = [record(f"n{number}-{n}", family=f"N{number}{n:02d}") for n in range(20)]
        portal.publish(*records, slug=slug)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(bring, range(8)))
    for slug in ("valmont", "brumes"):
        with portal.town(slug) as town:
            found = town.session.scalar(text("SELECT count(*) FROM invoice WHERE number LIKE 'n%'"))
            assert found == 80


def test_statements_are_not_prepared_on_a_server_that_another_will_have(portal):
    """psycopg prepares after five times; through PgBouncer that statement would not be found."""
    with portal.runtime.engine.connect() as connection:
        for _time in range(20):
            connection.execute(text("SELECT count(*) FROM tenant"))
        prepared = connection.scalar(text("SELECT count(*) FROM pg_prepared_statements"))
    assert prepared == 0


def test_notifications_do_not_come_through_it_which_is_why_the_relay_goes_past(portal, bouncer):
    direct = portal.runtime.settings.relay_url.replace("+psycopg", "")
    through = bouncer.replace("+psycopg", "")
    heard = {}
    with (
        psycopg.connect(direct, autocommit=True) as one,
        psycopg.connect(through, autocommit=True, prepare_threshold=None) as other,
    ):
        for connection in (one, other):
            connection.execute("LISTEN preau_outbox")
        with portal.town() as town:
            town.outbox.add("housekeeping", {}, key="heard")
        # What is heard is heard at once, however busy the machine; only for the other time has to pass.
        for name, connection, seconds in (("direct", one, 60), ("through", other, 1)):
            heard[name] = len(list(connection.notifies(timeout=seconds, stop_after=1)))
    assert heard == {"direct": 1, "through": 0}


def test_what_a_plugin_sets_does_not_reach_the_next_transaction(portal):
    """Settings, locks and temporary tables stay on a server connection that all towns share."""
    with portal.town("valmont") as town:
        mark_foreign(town.session)
        for statement in (
            "SET search_path = nowhere",
            "SET default_transaction_read_only = on",
            "SELECT pg_advisory_lock(7)",
            "CREATE TEMP TABLE invoice (id int)",
        ):
            town.session.execute(text(statement))
    for _time in range(CONNECTIONS * 2):
        with portal.town("brumes") as town:
            assert town.session.scalar(text("SELECT count(*) FROM invoice")) >= 5
            town.session.execute(text("UPDATE family SET name = name"))
            found = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 7"
            assert town.session.scalar(text(found)) == 0
