"""The pool of connections to PostgreSQL."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from core.platform.db.session import (
    begin_without_waiting,
    libpq_arguments,
    make_engine,
    make_session_factory,
    mark_foreign,
    never_wait,
)


def pid(engine):
    with engine.connect() as connection:
        return connection.scalar(text("SELECT pg_backend_pid()"))


def test_a_connection_that_ended_in_the_pool_is_replaced(servers, database):
    """A server that restarted must not cost the next visitor a page."""
    engine = make_engine(database.database_url, pool_size=1)
    first = pid(engine)
    assert pid(engine) == first, "the pool keeps connections"
    servers.execute(f"SELECT pg_terminate_backend({first}, 5000)")
    assert pid(engine) != first
    with engine.connect() as connection:
        connection.connection.driver_connection.close()
    assert pid(engine)
    engine.dispose()


def test_a_connection_that_plugins_used_keeps_its_statements_straight(database):
    """Reset again and again, it must not believe in prepared statements that are gone."""
    engine = make_engine(database.database_url, pool_size=1)
    sessions = make_session_factory(engine)
    for _time in range(3):
        for repeat in (1, 20):
            with sessions(info={"tenant": "valmont"}) as session:
                mark_foreign(session)
                for _statement in range(repeat):
                    session.execute(text("SELECT count(*) FROM family WHERE id > :id"), {"id": 1})
    engine.dispose()


def test_what_psycopg_prepared_outlives_the_use_by_plugins_and_what_sql_prepared_does_not(database):
    """To plan everything again costs more than the rest of a reset."""
    engine = make_engine(database.database_url, pool_size=1)
    sessions = make_session_factory(engine)

    def prepared(from_sql):
        with engine.connect() as connection:
            found = text("SELECT count(*) FROM pg_prepared_statements WHERE from_sql = :from_sql")
            return connection.scalar(found, {"from_sql": from_sql})

    with sessions(info={"tenant": "valmont"}) as session:
        mark_foreign(session)
        for _statement in range(20):
            session.execute(text("SELECT count(*) FROM family WHERE id > :id"), {"id": 1})
        session.commit()  # psycopg forgets all of it at a rollback.
    assert prepared(from_sql=False) > 0
    with sessions(info={"tenant": "valmont"}) as session:
        mark_foreign(session)
        session.execute(text("PREPARE mine AS SELECT 1"))
        session.commit()
    assert prepared(from_sql=True) == 0
    engine.dispose()


def test_a_session_waits_for_the_disk_unless_it_is_told_not_to(database):
    engine = make_engine(database.database_url, pool_size=1)
    sessions = make_session_factory(engine)
    said = text("SELECT current_setting('synchronous_commit')")
    with sessions(info={"tenant": "valmont"}) as session:
        assert session.scalar(said) == "on"
        session.commit()
        begin_without_waiting(session)
        assert session.scalar(said) == "off"
        session.commit()
        assert session.scalar(said) == "on", "only that one transaction"
        session.commit()
        never_wait(session)
        for _transaction in range(2):
            assert session.scalar(said) == "off"
            assert session.scalar(text("SELECT current_setting('app.tenant')")) == "valmont"
            session.commit()
    with sessions(info={"tenant": "valmont"}) as session:
        assert session.scalar(said) == "on", "the connection remembers nothing"
    engine.dispose()


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("postgresql+psycopg://u:p@h:5/d", "h", 5),
        ("postgresql+psycopg://u@/d?host=h1:1&host=h2:2&target_session_attrs=read-write", "h1,h2", "1,2"),
        ("postgresql+psycopg://u@/d?host=/a&host=/b", "/a,/b", ","),
    ],
)
def test_several_hosts_reach_libpq_as_it_writes_them(url, host, port):
    arguments = libpq_arguments(url)
    assert (arguments["host"], arguments["port"], arguments["dbname"]) == (host, port, "d")
