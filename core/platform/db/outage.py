"""Telling an outage of the database from a fault of ours."""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

CLOSED_TOWN = "TC001"
"""SQLSTATE of `enter_town` for a town that is closed."""

READ_ONLY = "25006"
"""SQLSTATE of a write that a standby, or a demoted primary, refuses."""

_AWAY = ("08", "53", "57P")
"""Beginnings of SQLSTATE: no connection, no resources, a server that stops or starts."""


def sqlstate(error: BaseException) -> str:
    """Give the server's code of an error, "" if there is none."""
    return str(getattr(getattr(error, "orig", None), "sqlstate", "") or "")


def is_read_only(error: BaseException) -> bool:
    """Tell whether the server refused a write because it may only be read."""
    return isinstance(error, DBAPIError) and sqlstate(error) == READ_ONLY


def is_gone(error: DBAPIError) -> bool:
    """Tell whether the server is not there: not one that refuses or cancels what it is asked."""
    if error.connection_invalidated or sqlstate(error).startswith(_AWAY):
        return True
    return isinstance(error, OperationalError | InterfaceError) and not sqlstate(error)


def is_outage(error: BaseException) -> bool:
    """Tell whether the same request would succeed on a database that is well."""
    if isinstance(error, OperationalError | InterfaceError):
        return True
    return isinstance(error, DBAPIError) and (
        is_read_only(error) or error.connection_invalidated or sqlstate(error).startswith(_AWAY)
    )
