"""Sessions: one engine a process, and the town set at every begin.

Plugin code may change the connection that it is lent (`search_path`, advisory locks, temporary
tables...). A session that plugin code used is therefore marked (`mark_foreign`), and its connection
is reset before anybody else gets it; so is each that was taken from the pool past a session.
"""

from __future__ import annotations

import itertools
import os
import select
import socket
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Any, TypeVarTuple, cast

import psycopg
from psycopg.pq import PipelineStatus, TransactionStatus
from psycopg.sql import SQL, quote
from sqlalchemy import (
    Connection,
    CursorResult,
    Engine,
    Insert,
    Select,
    UpdateBase,
    create_engine,
    event,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.orm import Session, SessionTransaction, sessionmaker
from sqlalchemy.pool import ConnectionPoolEntry

from core.api.errors import TownClosedError
from core.platform.db.limits import keep_to_limit, limit, regies_of
from core.platform.db.outage import CLOSED_TOWN, sqlstate

Ts = TypeVarTuple("Ts")

PREPARE_AFTER = 5
"""Number of times that a connection plans a statement anew before its plan is kept."""
GUEST_CONNECTIONS = 2
"""Connections that are kept for contained plugin code."""
MORE_GUEST_CONNECTIONS = 6
"""Connections for contained plugin code that are opened besides, and closed after use."""
GUEST_POOL_SECONDS = 1.0
"""Time that contained plugin code waits for a connection."""
GUEST_CHECK_MILLISECONDS = 1000
"""Interval of PostgreSQL's checks that the client of contained plugin code still listens."""
CANCEL_SECONDS = 1.0
"""Time that PostgreSQL may take to accept that a statement is cancelled."""

_resets = itertools.count()
_RESET = (
    "CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; UNLISTEN *; DISCARD TEMP;"
    " DISCARD SEQUENCES; SELECT EXISTS ("
    "SELECT FROM pg_catalog.pg_prepared_statements WHERE from_sql"
    "), pg_catalog.pg_advisory_unlock_all()"
)
"""As DISCARD ALL, but for what psycopg itself prepared: to plan all of that again costs each page
and each effect more than the rest of it. SQL's own PREPARE is found and told."""

_FOREIGN = "foreign"
"""Marks sessions, and then connections, that plugin code has used."""
_HELD = "held"
"""Names, in a session, the plugin that may neither commit it nor roll it back."""
_POOL = "pool"
"""Which of an engine's pools, one after the other, opened a connection."""
_RAW = "raw"
"""The connection to PostgreSQL of a session that plugin code uses, for whoever ends that use."""


class LostTransactionError(Exception):
    """The transaction is no longer there, or was aborted: a commit would keep nothing of it.

    PostgreSQL answers the COMMIT of an aborted transaction with a ROLLBACK, and no error.
    """


class HeldSessionError(Exception):
    """A plugin ended a transaction that belongs to its caller."""


def make_engine(
    url: str,
    *,
    pool_size: int = 5,
    wait_seconds: float = 30,
    connect: Mapping[str, Any] | None = None,
) -> Engine:
    """Open an engine on PostgreSQL, directly or through PgBouncer in transaction mode.

    Its transactions see the town that the option ``tenant`` names
    (``engine.execution_options(tenant=slug)``), and no town without it. `wait_seconds` is how long
    a connection of a full pool is waited for; `connect` goes to libpq besides.
    """
    engine = create_engine(
        url,
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=wait_seconds,
        hide_parameters=True,  # An error in the log must not quote a family's data.
        # autocommit: psycopg begins nothing by itself, for `_begin` does.
        connect_args={"prepare_threshold": None, "autocommit": True, **(connect or {})},
    )
    event.listen(engine, "connect", _prepare_if_direct)
    _guard(engine)
    return engine


def libpq_arguments(url: str) -> dict[str, Any]:
    """Arguments of libpq that SQLAlchemy's `url` means: it writes several hosts in its own way."""
    parts = make_url(url)
    _none, arguments = parts.get_dialect()().create_connect_args(parts)
    return dict(arguments)


def _guard(engine: Engine) -> None:
    event.listen(engine, "begin", _begin)
    event.listen(engine, "commit", _refuse_lost)
    event.listen(engine, "checkout", _still_there)
    event.listen(engine, "checkout", _distrust)
    event.listen(engine, "checkin", _reset_foreign)
    _close_what_comes_back_late(engine)


def _close_what_comes_back_late(engine: Engine) -> None:
    """Close a connection that was lent when its pool was disposed of, once it is given back.

    That pool would keep it open, for nobody.
    """
    pools = itertools.count()
    pool = next(pools)

    def disposed(_engine: Engine) -> None:
        nonlocal pool
        pool = next(pools)

    def connected(_connection: psycopg.Connection, record: ConnectionPoolEntry) -> None:
        record.info[_POOL] = pool

    def given_back(connection: psycopg.Connection | None, record: ConnectionPoolEntry) -> None:
        if connection is not None and record.info.get(_POOL) != pool:
            record.invalidate()

    event.listen(engine, "engine_disposed", disposed)
    event.listen(engine, "connect", connected)
    event.listen(engine, "checkin", given_back)


_guests: weakref.WeakKeyDictionary[Engine, Engine] = weakref.WeakKeyDictionary()


def guests_of(engine: Engine) -> Engine:
    """The engine for contained plugin code, on the same database, with connections of its own.

    Plugin code never waits for a connection that a page holds, nor a page for one that it holds.
    """
    found = _guests.get(engine)
    if found is None:
        found = create_engine(
            engine.url,
            pool_size=GUEST_CONNECTIONS,
            max_overflow=MORE_GUEST_CONNECTIONS,
            pool_timeout=GUEST_POOL_SECONDS,
            hide_parameters=True,
            connect_args={"prepare_threshold": None, "autocommit": True},
        )
        _guard(found)
        _guests[engine] = found
        guests = found
        event.listen(engine, "engine_disposed", lambda _engine: guests.dispose())
    return found


def leave_connections(engine: Engine) -> None:
    """Forget, in a forked process, the connections that belong to its parent."""
    if engine in _guests:
        _guests[engine].dispose(close=False)
    engine.dispose(close=False)


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


def _distrust(_connection: psycopg.Connection, record: ConnectionPoolEntry, _proxy: object) -> None:
    """Reset a connection afterwards, unless a town's session vouches for it (`_mark`).

    Plugin code may take one by the engine, or below all that listens to it (`raw_connection`).
    """
    record.info[_FOREIGN] = True


def _begin(connection: Connection) -> None:
    """Begin a transaction and set its town, in one round trip of each request.

    The town is set always, empty included: else a reused connection might show the previous one's
    rows.
    """
    options = connection.get_execution_options()
    statement = _beginning(
        options.get("tenant", ""),
        options.get("guest_seconds", 0.0),
        reads=options.get("reads", False),
        waits=options.get("waits", True),
    )
    try:
        connection.exec_driver_sql(statement, execution_options={"no_parameters": True})
    except DBAPIError as error:
        if sqlstate(error) == CLOSED_TOWN:
            raise TownClosedError(options.get("tenant")) from error
        raise


@lru_cache(maxsize=10_000)
def _beginning(tenant: str, guest_seconds: float, *, reads: bool, waits: bool) -> str:
    begin = "BEGIN READ ONLY" if reads else "BEGIN"
    settings = {} if tenant else {"app.tenant": ""}
    if not waits:
        settings["synchronous_commit"] = "off"
    if guest_seconds:
        milliseconds = str(max(1, round(guest_seconds * 1000)))
        settings |= {
            "statement_timeout": milliseconds,
            "lock_timeout": milliseconds,
            "idle_in_transaction_session_timeout": milliseconds,
            "client_connection_check_interval": str(GUEST_CHECK_MILLISECONDS),
        }
    calls = [f"set_config('{name}', {quote(value)}, true)" for name, value in settings.items()]
    if tenant:
        calls.append(f"public.enter_town({quote(tenant)})")  # Which a closed town refuses.
    return f"{begin}; SELECT {', '.join(calls)}"


def _refuse_lost(connection: Connection) -> None:
    """Refuse to commit what PostgreSQL would roll back, or has rolled back already.

    Raises:
        LostTransactionError: a statement of the transaction failed, or somebody ended it.
    """
    if _refuse_ended(connection) is not TransactionStatus.INTRANS:
        raise LostTransactionError("a statement failed: PostgreSQL would keep nothing")


def _refuse_ended(connection: Connection) -> TransactionStatus:
    raw = cast("psycopg.Connection", connection.connection.dbapi_connection)
    status = raw.info.transaction_status
    if status is TransactionStatus.IDLE:
        raise LostTransactionError("the transaction was ended past its session")
    if _is_busy(raw):
        raise LostTransactionError("the connection was left in the middle of something")
    return status


def _is_busy(raw: psycopg.Connection) -> bool:
    """True if a connection waits for what nobody does any more: the end of a COPY, of a pipeline.

    Whatever is said to it then waits as well.
    """
    return (
        raw.info.transaction_status is TransactionStatus.ACTIVE
        or raw.pgconn.pipeline_status != PipelineStatus.OFF
    )


def begin_without_waiting(session: Session) -> None:
    """Begin a transaction whose commit does not wait for the disk.

    A crash of the database may undo it, and then also all that was committed after it, but for
    what waited: that is never kept without what came before.
    """
    session.connection(execution_options={"waits": False})


def never_wait(session: Session) -> None:
    """Let no commit of this session wait for the disk any more. See `begin_without_waiting`."""
    session.bind = _hurried(cast("Engine", session.bind))


@lru_cache(maxsize=1000)
def _hurried(engine: Engine) -> Engine:
    return engine.execution_options(waits=False)


def mark_foreign(session: Session) -> None:
    """Remember that plugin code uses this session: its connection is reset afterwards.

    Before a transaction begins, so are others that it opens on the session's engine.
    """
    if _FOREIGN in session.info:
        return
    session.info[_FOREIGN] = True
    session.info[_RAW] = None
    if session.in_transaction():  # Another engine would be another transaction beside this one.
        connection = session.connection()
        connection.info[_FOREIGN] = True
        session.info[_RAW] = connection.connection.dbapi_connection
    else:
        session.bind = _foreign(cast("Engine", session.bind))


@lru_cache(maxsize=1000)
def _foreign(engine: Engine) -> Engine:
    return engine.execution_options(**{_FOREIGN: True})


def retire(session: Session) -> None:
    """Let a session that plugin code has used, and may have kept, open no connection any more."""
    if _FOREIGN in session.info:
        session.bind = None


def restore(session: Session) -> None:
    """Undo, within the transaction, what plugin code may have set: search path, role, the town.

    What core does afterwards in the same transaction means its own tables and its own town.

    Raises:
        SQLAlchemyError: the transaction is aborted.
        LostTransactionError: somebody ended it, past the session.
    """
    if session.in_transaction():
        _refuse_ended(session.connection())
        tenant = quote(session.info.get("tenant", ""))
        session.connection().exec_driver_sql(
            "SET SESSION AUTHORIZATION DEFAULT; RESET ALL; DISCARD TEMP;"
            f" SELECT set_config('app.tenant', {tenant}, true)",
            execution_options={"no_parameters": True},
        )


@contextmanager
def held(session: Session, by: str) -> Iterator[None]:
    """Let the plugin `by` use the session, but neither commit it nor roll it back."""
    before = session.info.get(_HELD)
    session.info[_HELD] = by
    try:
        yield
    finally:
        session.info[_HELD] = before


def _reset_foreign(connection: psycopg.Connection | None, record: ConnectionPoolEntry) -> None:
    """Give a connection that plugin code has used back as new, or not at all."""
    if not record.info.pop(_FOREIGN, False) or connection is None:
        return
    try:
        if connection.info.transaction_status != TransactionStatus.IDLE:
            raise psycopg.InterfaceError("in a transaction still")
        connection.autocommit = True
        answers = connection.execute(_RESET)
        while answers.nextset():
            pass
        (has_prepared, _locks) = answers.fetchone() or (True, None)
        if has_prepared:
            # psycopg forgets its own prepared statements only if it has not met the very same text
            # before.
            connection.execute(SQL("DISCARD ALL -- {}").format(next(_resets)))
    except psycopg.Error:
        record.invalidate()


class _TownSession(Session):
    """A session whose transactions all see the town named in ``info["tenant"]``."""

    def __init__(self, bind: Engine, *, info: dict[str, Any] | None = None, **options: Any) -> None:
        super().__init__(_seeing((info or {}).get("tenant", ""), bind), info=info, **options)

    def commit(self) -> None:
        """Commit, unless the session is only lent."""
        self._refuse_held()
        super().commit()

    def rollback(self) -> None:
        """Roll back, unless the session is only lent."""
        self._refuse_held()
        self._drop_busy()
        super().rollback()

    def close(self) -> None:
        """Close, unless the session is only lent."""
        self._refuse_held()
        self._drop_busy()
        super().close()

    def _drop_busy(self) -> None:
        raw: psycopg.Connection | None = self.info.get(_RAW)
        if raw is not None and self.in_transaction() and _is_busy(raw):
            break_off(self)
            self.invalidate()

    def _refuse_held(self) -> None:
        if self.info.get(_HELD):
            raise HeldSessionError(
                f"plugin {self.info[_HELD]!r} may not end the transaction of its caller"
            )


event.listen(_TownSession, "do_orm_execute", keep_to_limit)


@event.listens_for(_TownSession, "after_begin")
def _mark(session: Session, _transaction: SessionTransaction, connection: Connection) -> None:
    if _FOREIGN in session.info:
        connection.info[_FOREIGN] = True
    else:
        connection.info.pop(_FOREIGN, None)
    if _RAW in session.info:
        session.info[_RAW] = connection.connection.dbapi_connection


@lru_cache(maxsize=1000)
def _seeing(tenant: str, engine: Engine) -> Engine:
    return engine.execution_options(tenant=tenant)


def guest_session(
    engine: Engine,
    tenant: str,
    *,
    seconds: float,
    reads: bool,
    regies: Sequence[str] | None = None,
) -> Session:
    """A session of one town for one call of plugin code, on the engine of `guests_of`.

    Each of its statements, and each wait between two, ends after `seconds`. `reads`: it can write
    nothing. Its connection is reset before anybody else gets it. `regies`: the limit of its rights.
    """
    bind = _as_guest(engine, seconds, reads)
    info = {"tenant": tenant, _FOREIGN: True, _RAW: None}
    session = _TownSession(bind, info=info, expire_on_commit=False)
    if regies is not None:
        limit(session, regies)
    return session


@lru_cache(maxsize=100)
def _as_guest(engine: Engine, seconds: float, reads: bool) -> Engine:
    return _foreign(engine).execution_options(guest_seconds=seconds, reads=reads)


def break_off(session: Session) -> None:
    """Cut a guest session's connection, from another thread than the one that uses it."""
    raw: psycopg.Connection | None = session.info.get(_RAW)
    if raw is None:
        return
    with suppress(psycopg.Error, OSError, ValueError):
        raw.cancel_safe(timeout=CANCEL_SECONDS)
    # Not closed: the other thread may be waiting on it, and the kernel may give its number to
    # another connection. Shut down, it ends for whoever holds it.
    with (
        suppress(psycopg.Error, OSError, ValueError),
        socket.socket(fileno=os.dup(raw.fileno())) as ending,
    ):
        ending.shutdown(socket.SHUT_RDWR)


def make_session_factory(engine: Engine) -> sessionmaker[Session]:
    """A factory of sessions; give the town by ``sessions(info={"tenant": slug})``."""
    return sessionmaker(engine, class_=_TownSession, expire_on_commit=False)


def read(
    session: Session, statement: Select[*Ts], values: dict[str, Any]
) -> CursorResult[*Ts]:
    """Read columns, past the ORM: what it adds is for objects, and takes half as long as asking."""
    if regies_of(session) is not None:
        # The limit of its rights is one of the things that the ORM adds.
        return cast("CursorResult[*Ts]", session.execute(statement, values))
    if session.autoflush:
        session.flush()
    return session.connection().execute(statement, values)


def change(
    session: Session, statement: UpdateBase, values: dict[str, Any] | list[dict[str, Any]]
) -> CursorResult[Any]:
    """Change rows of which nobody holds objects, past the ORM. See `read`."""
    if regies_of(session) is not None and not isinstance(statement, Insert):
        return cast("CursorResult[Any]", session.execute(statement, values))
    if session.autoflush:
        session.flush()
    return session.connection().execute(statement, values)


@contextmanager
def session_for(factory: sessionmaker[Session], tenant: str) -> Iterator[Session]:
    """A session of one town: committed at the end of the block, rolled back if it raises."""
    info: dict[str, Any] = {"tenant": tenant}
    with factory(info=info) as session, session.begin():
        yield session
