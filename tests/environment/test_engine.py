"""The pool of connections to PostgreSQL."""

from __future__ import annotations

from sqlalchemy import text

from core.platform.db.session import make_engine, make_session_factory, mark_foreign


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
