"""Sessions: one engine a process, and the town set at every begin."""

from __future__ import annotations

import select
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, TypeVarTuple

import psycopg
from psycopg.sql import quote
from sqlalchemy import Connection, CursorResult, Engine, Select, create_engine, event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.orm import Session, sessionmaker

Ts = TypeVarTuple("Ts")

PREPARE_AFTER = 5
"""How often a connection plans a statement anew before its plan is kept."""


def make_engine(url: str, *, pool_size: int = 5) -> Engine:
    """Open an engine on PostgreSQL, directly or through PgBouncer in transaction mode.

    Its transactions see the town that the option ``tenant`` names
    (``engine.execution_options(tenant=slug)``), and no town without it.
    """
    engine = create_engine(
        url,
        pool_size=pool_size,
        max_overflow=pool_size,
        hide_parameters=True,  # An error in the log must not quote a family's data.
        # autocommit: psycopg begins nothing by itself, for `_begin` does.
        connect_args={"prepare_threshold": None, "autocommit": True},
    )
    event.listen(engine, "begin", _begin)
    event.listen(engine, "connect", _prepare_if_direct)
    event.listen(engine, "checkout", _still_there)
    return engine


def _prepare_if_direct(connection: psycopg.Connection, _record: object) -> None:
    """Let the server keep the plans of statements that come again, unless a pooler stands between.

    A pooler in transaction mode gives each transaction another server connection, which does not
    know what was prepared. It shows by the number that it gave us in place of the server's.
    """
    (server,) = connection.execute("SELECT pg_backend_pid()").fetchone() or (None,)
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


def _begin(connection: Connection) -> None:
    """Begin a transaction and set its town, in one round trip of each request.

    The town is set always, empty included: else a reused connection might show the previous one's
    rows.
    """
    tenant = connection.get_execution_options().get("tenant", "")
    connection.exec_driver_sql(_beginning(tenant), execution_options={"no_parameters": True})


@lru_cache(maxsize=10_000)
def _beginning(tenant: str) -> str:
    return f"BEGIN; SELECT set_config('app.tenant', {quote(tenant)}, true)"


class _TownSession(Session):
    """A session whose transactions all see the town named in ``info["tenant"]``."""

    def __init__(self, bind: Engine, *, info: dict[str, Any] | None = None, **options: Any) -> None:
        super().__init__(_seeing((info or {}).get("tenant", ""), bind), info=info, **options)


@lru_cache(maxsize=1000)
def _seeing(tenant: str, engine: Engine) -> Engine:
    return engine.execution_options(tenant=tenant)


def make_session_factory(engine: Engine) -> sessionmaker[Session]:
    """A factory of sessions; give the town by ``sessions(info={"tenant": slug})``."""
    return sessionmaker(engine, class_=_TownSession, expire_on_commit=False)


def read(
    session: Session, statement: Select[*Ts], values: dict[str, Any]
) -> CursorResult[*Ts]:
    """Read columns, past the ORM: what it adds is for objects, and takes half as long as asking."""
    if session.autoflush:
        session.flush()
    return session.connection().execute(statement, values)


@contextmanager
def session_for(factory: sessionmaker[Session], tenant: str) -> Iterator[Session]:
    """A session of one town: committed at the end of the block, rolled back if it raises."""
    info: dict[str, Any] = {"tenant": tenant}
    with factory(info=info) as session, session.begin():
        yield session
