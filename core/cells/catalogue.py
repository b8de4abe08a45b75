"""The tables of towns, as PostgreSQL's catalogue has them: a new table is never forgotten."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
from psycopg import sql

ELSEWHERE = {("document", "content")}
"""Columns that are not copied with their row: papers travel as files, by their SHA-256."""

_TABLES = """
SELECT c.relname,
       (SELECT array_agg(a.attname::text ORDER BY a.attnum) FROM pg_attribute a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
          AND a.attgenerated = ''),
       (SELECT array_agg(a.attname::text ORDER BY k.place)
        FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k(attnum, place)
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
        WHERE i.indrelid = c.oid AND i.indisprimary)
FROM pg_class c
JOIN pg_attribute t ON t.attrelid = c.oid AND t.attname = 'tenant_id' AND NOT t.attisdropped
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
  AND c.relnamespace = 'public'::regnamespace
ORDER BY c.relname
"""
_KEYS = """
SELECT k.conname, k.conrelid::regclass::text, k.confrelid::regclass::text,
       (SELECT array_agg(a.attname::text ORDER BY p.place)
        FROM unnest(k.conkey) WITH ORDINALITY AS p(attnum, place)
        JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = p.attnum),
       (SELECT array_agg(a.attname::text ORDER BY p.place)
        FROM unnest(k.confkey) WITH ORDINALITY AS p(attnum, place)
        JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = p.attnum)
FROM pg_constraint k
WHERE k.contype = 'f' AND k.conparentid = 0 AND k.connamespace = 'public'::regnamespace
ORDER BY 1
"""
_SEQUENCES = """
SELECT c.relname, a.attname, s.relname
FROM pg_class s
JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = s.oid
  AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
JOIN pg_class c ON c.oid = d.refobjid
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid
WHERE s.relkind = 'S' AND c.relnamespace = 'public'::regnamespace AND NOT c.relispartition
"""


@dataclass(frozen=True, slots=True)
class Table:
    """A table of towns: its columns without generated ones, and its primary key."""

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]

    @property
    def copied(self) -> tuple[str, ...]:
        """Columns that are copied with the row."""
        return tuple(column for column in self.columns if (self.name, column) not in ELSEWHERE)

    def rows_of(self, tenant: str) -> sql.Composed:
        """The rows of one town, in the order of their key."""
        return sql.SQL("SELECT {} FROM {} WHERE tenant_id = {} ORDER BY {}").format(
            sql.SQL(", ").join(map(sql.Identifier, self.copied)),
            sql.Identifier(self.name),
            sql.Literal(tenant),
            sql.SQL(", ").join(map(sql.Identifier, self.key)),
        )


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A foreign key, its columns and those that they point to."""

    name: str
    table: str
    target: str
    columns: tuple[str, ...]
    targets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sequence:
    """A sequence that gives a column's numbers."""

    table: str
    column: str
    name: str


def tables(connection: psycopg.Connection) -> list[Table]:
    """Every table with a ``tenant_id``, by name."""
    rows = connection.execute(_TABLES).fetchall()
    return [Table(name, tuple(columns), tuple(key)) for name, columns, key in rows]


def foreign_keys(connection: psycopg.Connection) -> list[ForeignKey]:
    """Every foreign key."""
    rows = connection.execute(_KEYS).fetchall()
    return [
        ForeignKey(name, table, target, tuple(columns), tuple(targets))
        for name, table, target, columns, targets in rows
    ]


def sequences(connection: psycopg.Connection) -> list[Sequence]:
    """Every sequence that belongs to a column."""
    return [Sequence(*row) for row in connection.execute(_SEQUENCES).fetchall()]


def versions(connection: psycopg.Connection) -> list[str]:
    """The versions of the schema: core's and each plugin's."""
    rows = connection.execute("SELECT version_num FROM alembic_version ORDER BY 1")
    return [row[0] for row in rows]
