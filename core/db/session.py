"""Sessions: one engine a process, and the town set at every begin."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.orm import Session, SessionTransaction, sessionmaker

_SET_TENANT = text("SELECT set_config('app.tenant', :tenant, true)")


def make_engine(url: str, *, pool_size: int = 5) -> Engine:
    """Open an engine on PostgreSQL.

    Server-side prepared statements are off: they do not survive PgBouncer in transaction mode.
    """
    return create_engine(
        url,
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_pre_ping=True,
        hide_parameters=True,  # An error in the log must not quote a family's data.
        connect_args={"prepare_threshold": None},
    )


def make_session_factory(engine: Engine) -> sessionmaker[Session]:
    """A factory whose sessions set the town named in ``info["tenant"]`` at every begin.

    It is set always, empty included: a listener that skipped "no town" would let a session on a
    reused connection see the previous town's rows.
    """
    factory = sessionmaker(engine, expire_on_commit=False)
    event.listen(factory, "after_begin", _set_tenant)
    return factory


def _set_tenant(session: Session, _transaction: SessionTransaction, connection: Connection) -> None:
    connection.execute(_SET_TENANT, {"tenant": session.info.get("tenant", "")})


@contextmanager
def session_for(factory: sessionmaker[Session], tenant: str) -> Iterator[Session]:
    """A session of one town: committed at the end of the block, rolled back if it raises."""
    info: dict[str, Any] = {"tenant": tenant}
    with factory(info=info) as session, session.begin():
        yield session
