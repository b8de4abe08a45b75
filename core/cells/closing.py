"""Closing a town for seconds: workers end what they have, then no transaction of it begins."""

from __future__ import annotations

import time
from collections.abc import Callable

import psycopg

from core.cells.archive import CellError
from core.platform.tenancy.models import SERVING, TownState

DRAIN_SECONDS = 90.0
"""Time that workers may take to end what they have begun: a little more than a lease."""
IN_FLIGHT_SECONDS = 30.0
"""Time that transactions may take that began before the town was closed."""
_LOOK_SECONDS = 0.05

_RUNNING = """
SELECT count(*) FROM outbox
WHERE tenant_id = %s AND state = 'running' AND lease_until > clock_timestamp()
"""
_ALONE = "SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 6))"


class BusyTownError(Exception):
    """The town does not come to rest; it is as before."""


def state_of(connection: psycopg.Connection, tenant: str) -> TownState | None:
    """State of a town; None: this database does not know it."""
    row = connection.execute("SELECT state FROM tenant WHERE id = %s", [tenant]).fetchone()
    return TownState(row[0]) if row else None


def known(connection: psycopg.Connection, tenant: str) -> TownState:
    """State of a town that this database knows.

    Raises:
        CellError: it does not.
    """
    state = state_of(connection, tenant)
    if state is None:
        raise CellError(f"this database knows no town {tenant!r}")
    return state


def refuse_absent(state: TownState, tenant: str) -> None:
    """Let nobody close, and so perhaps open again, a town that lives elsewhere.

    Raises:
        CellError: it does.
    """
    if state not in {*SERVING, TownState.CLOSED}:
        raise CellError(f"{tenant} does not live here: its state is {state}")


def set_state(connection: psycopg.Connection, tenant: str, state: TownState) -> None:
    """Open or close a town. Whoever closes it wants `close`, which waits."""
    connection.execute("UPDATE tenant SET state = %s WHERE id = %s", [state, tenant])


def close(
    connection: psycopg.Connection,
    tenant: str,
    *,
    drain_seconds: float = DRAIN_SECONDS,
    flight_seconds: float = IN_FLIGHT_SECONDS,
) -> float:
    """Close a town, on a connection in autocommit; seconds for which its pages have not served.

    Raises:
        BusyTownError: a worker, or a transaction, does not end in time. The town is as before.
        CellError: the town does not live here.
    """
    before = known(connection, tenant)
    refuse_absent(before, tenant)
    deadline = time.monotonic() + drain_seconds
    is_closed = before is TownState.CLOSED
    try:
        while True:
            if not is_closed:
                set_state(connection, tenant, TownState.DRAINING)
                _wait(
                    lambda: not _is_running(connection, tenant), deadline, "a worker does not end"
                )
            is_closed = False
            begun = time.monotonic()
            set_state(connection, tenant, TownState.CLOSED)
            _wait(
                lambda: _is_alone(connection, tenant),
                begun + flight_seconds,
                "a transaction does not end",
            )
            # A worker may have taken a row between the look and the closing: it is to end it.
            if not _is_running(connection, tenant):
                return time.monotonic() - begun
    except BaseException:
        reopen(connection, tenant, before)
        raise


def reopen(connection: psycopg.Connection, tenant: str, before: TownState) -> None:
    """Give a town the state that it had: open, though a command that was killed drained it."""
    set_state(connection, tenant, TownState.OPEN if before in SERVING else before)


def _wait(is_over: Callable[[], bool], deadline: float, reason: str) -> None:
    while not is_over():
        if time.monotonic() > deadline:
            raise BusyTownError(reason)
        time.sleep(_LOOK_SECONDS)


def _is_running(connection: psycopg.Connection, tenant: str) -> bool:
    row = connection.execute(_RUNNING, [tenant]).fetchone()
    return bool(row and row[0])


def _is_alone(connection: psycopg.Connection, tenant: str) -> bool:
    row = connection.execute(_ALONE, [tenant]).fetchone()
    return bool(row and row[0])
