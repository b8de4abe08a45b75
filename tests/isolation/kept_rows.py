"""All rows of a database, kept in files, and put into it again or into another with its schema."""

from __future__ import annotations

import json
from pathlib import Path

import psycopg
from psycopg.sql import SQL, Identifier

OURS = "NOT IN ('pg_catalog', 'information_schema')"
TABLES = f"""
SELECT nspname, relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
WHERE relkind = 'r' AND nspname {OURS} AND relname NOT LIKE 'alembic%'
"""
"""Those that hold rows: of a table in parts, its parts."""
NUMBERS = f"""
SELECT schemaname, sequencename, last_value FROM pg_sequences
WHERE schemaname {OURS} AND last_value IS NOT NULL
"""


def keep(connection: psycopg.Connection, folder: Path) -> None:
    """Write the rows of every table, and what the sequences count, into a new folder."""
    folder.mkdir(parents=True)
    for place in connection.execute(TABLES).fetchall():
        statement = SQL("COPY {} TO STDOUT (FORMAT binary)").format(Identifier(*place))
        with connection.cursor() as cursor, cursor.copy(statement) as rows:
            (folder / ".".join(place)).write_bytes(b"".join(rows))
    numbers = connection.execute(NUMBERS).fetchall()
    (folder / "numbers").write_text(json.dumps(numbers), "utf-8")


def put_back(connection: psycopg.Connection, folder: Path) -> None:
    """Put rows that were kept into the same tables, in the place of those that are there."""
    with connection.transaction():
        # Checked when they were written first.
        connection.execute("SET LOCAL session_replication_role = replica")
        for place in connection.execute(TABLES).fetchall():
            connection.execute(SQL("DELETE FROM {}").format(Identifier(*place)))
            statement = SQL("COPY {} FROM STDIN (FORMAT binary)").format(Identifier(*place))
            with connection.cursor() as cursor, cursor.copy(statement) as rows:
                rows.write((folder / ".".join(place)).read_bytes())
        for schema, name, last in json.loads((folder / "numbers").read_text("utf-8")):
            statement = "SELECT setval(format('%%I.%%I', %s::text, %s::text)::regclass, %s)"
            connection.execute(statement, [schema, name, last])
