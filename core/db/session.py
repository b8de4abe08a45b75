"""Sessions: one engine a process, and the town set at every begin."""

from __future__ import annotations

import select
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.orm import Session, SessionTransaction, sessionmaker

PREPARE_AFTER = 5
"""How often a connection plans a statement anew before its plan is kept."""
_SET_TENANT = "SELECT set_config('app.tenant', %s, true)"


def make_engine(url: str, *, pool_size: int = 5) -> Engine:
    """Open an engine on PostgreSQL, directly or through PgBouncer in transaction mode."""
    engine = create_engine(
        url,
        pool_size=pool_size,
        max_overflow=pool_size,
        hide_parameters=True,  # An error in the log must not quote a family's data.
        connect_args={"prepare_threshold": None},
    )
    event.listen(engine, "connect", _prepare_if_direct)
    event.listen(engine, "checkout", _still_there)
    return engine


def _prepare_if_direct(connection: psycopg.Connection, _record: object) -> None:
    """Let the server keep the plans of statements that come again, unless a pooler stands between.

    A pooler in transaction mode gives each transaction another server connection, which does not
    know what was prepared. It shows by the number that it gave us in place of the server's.
    """
    (server,) = connection.execute("SELECT pg_backend_pid()").fetchone() or (None,)
    connection.rollback()
    if server == connection.info.backend_pid:
        connection.prepare_threshold = PREPARE_AFTER


def _still_there(connection: psycopg.Connection, _record: object, _proxy: object) -> None:
    """Replace a pooled connection that the server closed meanwhile.

    A closed socket is one that has something to read (its end) though nothing was asked: the kernel
    knows, and a round trip for each request (``pool_pre_ping``) is spared.
    """
    try:
        waiting = select.poll()
        waiting.register(connection.fileno(), select.POLLIN)
        silent = not waiting.poll(0)
    except psycopg.OperationalError:  # closed on our side already
        silent = False
    if not silent:
        raise DisconnectionError


def make_session_factory(engine: Engine) -> sessionmaker[Session]:
    """A factory whose sessions set the town named in ``info["tenant"]`` at every begin.

    It is set always, empty included: a listener that skipped "no town" would let a session on a
    reused connection see the previous town's rows.
    """
    factory = sessionmaker(engine, expire_on_commit=False)
    event.listen(factory, "after_begin", _set_tenant)
    return factory


def _set_tenant(session: Session, _transaction: SessionTransaction, connection: Connection) -> None:
    connection.exec_driver_sql(_SET_TENANT, (session.info.get("tenant", ""),))


@contextmanager
def session_for(factory: sessionmaker[Session], tenant: str) -> Iterator[Session]:
    """A session of one town: committed at the end of the block, rolled back if it raises."""
    info: dict[str, Any] = {"tenant": tenant}
    with factory(info=info) as session, session.begin():
        yield session
