"""Databases that one test after another works in: emptying one takes a hundredth of making one."""

from __future__ import annotations

import itertools
from collections.abc import Collection
from typing import Any, LiteralString

import psycopg
from sqlalchemy import Engine, create_engine
from sqlalchemy.engine import make_url

from core.dev.embedded import SUPERUSER, Embedded
from core.platform.db.rls import APP, OWNER
from core.platform.db.session import make_engine

_numbers = itertools.count(1)
_SHAPE: LiteralString = """
SELECT (SELECT array_agg((relname, relrowsecurity, relforcerowsecurity)::text ORDER BY oid)
            FROM pg_class WHERE relnamespace = 'public'::regnamespace),
       (SELECT array_agg((polname, polrelid)::text ORDER BY oid) FROM pg_policy),
       (SELECT array_agg((tgname, tgrelid)::text ORDER BY oid) FROM pg_trigger),
       (SELECT array_agg(proname ORDER BY oid) FROM pg_proc
            WHERE pronamespace = 'public'::regnamespace)
"""
_END_SESSIONS: LiteralString = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle'
"""
_TABLES: LiteralString = r"""
SELECT oid::regclass::text FROM pg_class
WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace
    AND relname NOT LIKE 'alembic\_version%'
"""
# Not ALTER SEQUENCE: that makes a file anew, and all connections forget what they prepared.
_FIRST_NUMBERS: LiteralString = """
SELECT setval(seqrelid, seqstart, false) FROM pg_sequence
WHERE pg_sequence_last_value(seqrelid) IS NOT NULL
"""


_engines: dict[str, Engine] = {}


def engine_on(url: str) -> Engine:
    """An engine on a database, one for all tests: it knows the statements, and its server them."""
    if url not in _engines:
        _engines[url] = make_engine(url)
    return _engines[url]


def owner_on(url: str) -> Engine:
    """The same for the owner of the tables, who works in no town."""
    if url not in _engines:
        _engines[url] = create_engine(url)
    return _engines[url]


class Stock:
    """Empty databases made from one template, for one test at a time each."""

    def __init__(self, servers: Embedded, template: str) -> None:
        self._servers = servers
        self._template = template
        self._free: list[str] = []
        self._connections: dict[str, psycopg.Connection[Any]] = {}
        self._shapes: dict[str, Any] = {}
        self._filled: dict[str, str] = {}
        """Which tables hold a row, asked as one statement, which is prepared once."""

    def take(self) -> str:
        """Name of a database with the template's schema and no row."""
        if self._free:
            return self._free.pop()
        name = f"{self._template}_{next(_numbers)}"
        self._servers.create_database(name, self._template)
        url = make_url(self._servers.url(SUPERUSER, name)).set(drivername="postgresql")
        connection = psycopg.connect(url.render_as_string(hide_password=False), autocommit=True)
        self._connections[name] = connection
        self._shapes[name] = connection.execute(_SHAPE).fetchall()
        tables = [table for (table,) in connection.execute(_TABLES)]
        held = ", ".join(f"CASE WHEN EXISTS (SELECT FROM {it}) THEN '{it}' END" for it in tables)
        self._filled[name] = f"SELECT unnest(array_remove(ARRAY[{held}], NULL))"
        # As a replica, PostgreSQL fires neither triggers nor the checks of foreign keys.
        connection.execute("SET session_replication_role = replica")
        return name

    def give_back(self, name: str) -> None:
        """Empty it for the next test; or drop it, when it is no longer what the template is."""
        connection = self._connections[name]
        connection.execute(_END_SESSIONS)
        if connection.execute(_SHAPE).fetchall() == self._shapes[name]:
            self.empty(name)
            connection.execute(_FIRST_NUMBERS)
            self._free.append(name)
        else:
            self._drop(name)

    def empty(self, name: str, *, but: Collection[str] = ()) -> None:
        """Delete all rows of all towns, but those of some tables, while others stay connected.

        Not by TRUNCATE: that makes each table's files anew, and all connections forget what they
        prepared.
        """
        connection = self._connections[name]
        filled = connection.execute(self._filled[name].encode(), prepare=True).fetchall()
        for (table,) in filled:
            if table not in but:
                connection.execute(f"DELETE FROM {table}".encode())

    def close(self) -> None:
        """Drop them all."""
        for name in list(self._connections):
            self._drop(name)

    def _drop(self, name: str) -> None:
        self._connections.pop(name).close()
        for role in (APP, OWNER):
            if engine := _engines.pop(self._servers.url(role, name), None):
                engine.dispose()
        self._servers.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
