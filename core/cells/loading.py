"""Loading a town from a file: all of it, compared, or nothing."""

from __future__ import annotations

import tarfile
from pathlib import Path

import psycopg
from psycopg import sql

from core.cells import catalogue
from core.cells.archive import SETTINGS, CellError, Manifest, content_of, read_manifest
from core.cells.closing import state_of
from core.journal.service import Facts
from core.platform.documents.objects import ObjectStore
from core.platform.tenancy.models import TownState

INHABITED = ("agent", "family", "invoice")
"""Tables of which one row tells that a town lives here, and was not only made known."""
AHEAD = 10_000
"""Numbers that a sequence jumps beyond the highest one loaded: others draw from it meanwhile."""
_PIECE = 1 << 16


def load(
    connection: psycopg.Connection,
    path: Path,
    store: ObjectStore | None,
    *,
    replace: bool = False,
) -> Manifest:
    """Load a town, which is closed afterwards; `replace` takes away what lives here under its name.

    The connection is that of ``preau_mover``. Triggers do not fire (sums would double) and foreign
    keys are not asked row by row, so that all of it is compared and checked before the commit.

    Raises:
        CellError: another schema, a town that lives here, or something that does not compare.
        StoreAwayError: the object store does not answer.
    """
    with tarfile.open(path) as tar:
        manifest = read_manifest(tar)
        tables = {table.name: table for table in catalogue.tables(connection)}
        _refuse_other_schema(manifest, catalogue.versions(connection), tables)
        papers = _load_papers(tar, manifest, store)
        connection.execute(SETTINGS)
        with connection.transaction():
            connection.execute("SET LOCAL session_replication_role = replica")
            _make_room(connection, manifest, list(tables.values()), replace=replace)
            for table in tables.values():
                _load_rows(connection, tar, table)
            for digest, content in papers.items():
                connection.execute(
                    "UPDATE document SET content = %s WHERE tenant_id = %s AND sha256 = %s",
                    [content, manifest.tenant, digest],
                )
            _raise_sequences(connection, manifest.tenant)
            compare(connection, manifest)
            check_keys(connection, manifest.tenant)
            check_journal(connection, manifest.tenant)
    return manifest


def forget(connection: psycopg.Connection, tenant: str) -> int:
    """Remove a town that has moved away; the number of rows removed.

    Raises:
        CellError: the town lives here.
    """
    with connection.transaction():
        if state_of(connection, tenant) is not TownState.MOVED:
            raise CellError(f"{tenant} has not moved away from here")
        connection.execute("SET LOCAL session_replication_role = replica")
        return _remove(connection, tenant, catalogue.tables(connection))


def compare(connection: psycopg.Connection, manifest: Manifest) -> None:
    """Compare the rows of a town with what a file says of them.

    Raises:
        CellError: a table has other rows, or others are there.
    """
    for table in catalogue.tables(connection):
        here, there = content_of(connection, manifest.tenant, table), manifest.tables[table.name]
        if here != there:
            raise CellError(
                f"{table.name}: {here.rows} rows {here.sha256[:12]}, and"
                f" {there.rows} rows {there.sha256[:12]} where they come from"
            )


def check_keys(connection: psycopg.Connection, tenant: str) -> None:
    """Ask every foreign key of the town.

    Raises:
        CellError: a row points to one that is not there.
    """
    names = {table.name for table in catalogue.tables(connection)}
    for key in catalogue.foreign_keys(connection):
        if key.table not in names:
            continue
        pairs = zip(key.columns, key.targets, strict=True)
        same = sql.SQL(" AND ").join(
            sql.SQL("t.{} = c.{}").format(sql.Identifier(target), sql.Identifier(column))
            for column, target in pairs
        )
        given = sql.SQL(" AND ").join(
            sql.SQL("c.{} IS NOT NULL").format(sql.Identifier(column)) for column in key.columns
        )
        question = sql.SQL(
            "SELECT count(*) FROM {} c WHERE c.tenant_id = {} AND {}"
            " AND NOT EXISTS (SELECT FROM {} t WHERE {})"
        ).format(
            sql.Identifier(key.table), sql.Literal(tenant), given,
            sql.Identifier(key.target), same,
        )  # fmt: skip
        (lost,) = connection.execute(question).fetchone() or (0,)
        if lost:
            raise CellError(f"{key.name}: {lost} rows point to nothing")


def check_journal(connection: psycopg.Connection, tenant: str) -> None:
    """Follow the chain of each régie's journal.

    Raises:
        CellError: an entry's hash is not that of itself and the entry before.
    """
    columns = ", ".join((*Facts.__slots__, "hash"))
    rows = connection.execute(
        f"SELECT {columns} FROM journal_entry WHERE tenant_id = %s"
        " ORDER BY regie, year, number",
        [tenant],
    ).fetchall()
    before: dict[tuple[str, int], str] = {}
    for *values, written in rows:
        facts = Facts(*values)
        # The chain begins anew with each year of each régie.
        chain = facts.regie, facts.year
        if facts.hash(before.get(chain, "")) != written:
            raise CellError(f"the journal of {facts.regie} breaks at {facts.year}/{facts.number}")
        before[chain] = written


def _refuse_other_schema(
    manifest: Manifest, versions: list[str], tables: dict[str, catalogue.Table]
) -> None:
    if manifest.versions != versions:
        raise CellError(
            f"the schema is another one here: {' '.join(versions)}, and"
            f" {' '.join(manifest.versions)} where the town comes from. Bring both to the same"
            " version of Préau and of its plugins (preau database migrate)"
        )
    here = {name: table.copied for name, table in tables.items()}
    there = {name: content.columns for name, content in manifest.tables.items()}
    if {name: set(columns) for name, columns in here.items()} != {
        name: set(columns) for name, columns in there.items()
    }:
        raise CellError("the tables have other columns here, though the schema has the same name")


def _load_papers(
    tar: tarfile.TarFile, manifest: Manifest, store: ObjectStore | None
) -> dict[str, bytes]:
    """Bring the papers into the store, before any row names them; else those for the database."""
    kept: dict[str, bytes] = {}
    for digest in manifest.papers:
        member = tar.extractfile(f"papers/{digest}")
        content = member.read() if member else b""
        if store is None:
            kept[digest] = content
        elif store.put(manifest.tenant, content) != digest:
            raise CellError(f"the paper {digest} is not what its SHA-256 says")
    return kept


def _make_room(
    connection: psycopg.Connection,
    manifest: Manifest,
    tables: list[catalogue.Table],
    *,
    replace: bool,
) -> None:
    state = state_of(connection, manifest.tenant)
    if state is not None and state is not TownState.MOVED and not replace:
        for name in INHABITED:
            found = connection.execute(
                sql.SQL("SELECT EXISTS (SELECT FROM {} WHERE tenant_id = %s)").format(
                    sql.Identifier(name)
                ),
                [manifest.tenant],
            ).fetchone()
            if found and found[0]:
                raise CellError(
                    f"a town {manifest.tenant} lives here already; --replace takes it away"
                )
    connection.execute(
        "INSERT INTO tenant (id, name, state) VALUES (%s, %s, 'closed')"
        " ON CONFLICT (id) DO UPDATE SET state = 'closed'",
        [manifest.tenant, manifest.name],
    )
    _remove(connection, manifest.tenant, tables)


def _remove(
    connection: psycopg.Connection, tenant: str, tables: list[catalogue.Table]
) -> int:
    return sum(
        connection.execute(
            sql.SQL("DELETE FROM {} WHERE tenant_id = %s").format(sql.Identifier(table.name)),
            [tenant],
        ).rowcount
        for table in tables
    )


def _load_rows(
    connection: psycopg.Connection, tar: tarfile.TarFile, table: catalogue.Table
) -> None:
    member = tar.extractfile(f"rows/{table.name}")
    if member is None:
        raise CellError(f"the file lacks the rows of {table.name}")
    copying = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(table.name), sql.SQL(", ").join(map(sql.Identifier, table.copied))
    )
    with connection.cursor().copy(copying) as into:
        while piece := member.read(_PIECE):
            into.write(piece)


def _raise_sequences(connection: psycopg.Connection, tenant: str) -> None:
    """Let no number be given again that came with the town."""
    scoped = {table.name for table in catalogue.tables(connection)}
    for sequence in catalogue.sequences(connection):
        if sequence.table not in scoped:
            continue
        row = connection.execute(
            sql.SQL("SELECT max({}) FROM {} WHERE tenant_id = %s").format(
                sql.Identifier(sequence.column), sql.Identifier(sequence.table)
            ),
            [tenant],
        ).fetchone()
        highest = row[0] if row else None
        last = connection.execute(
            sql.SQL("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {}").format(
                sql.Identifier(sequence.name)
            )
        ).fetchone()
        if highest is not None and last is not None and last[0] <= highest:
            connection.execute("SELECT setval(%s::regclass, %s)", [sequence.name, highest + AHEAD])


