"""Loading a town from a file: all of it, compared, or nothing."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

import psycopg
from psycopg import sql

from core.cells import catalogue
from core.cells.archive import (
    SETTINGS,
    CellError,
    Manifest,
    content_of,
    fingerprint,
    read_manifest,
)
from core.cells.closing import state_of
from core.journal.service import Facts
from core.platform.documents.objects import ObjectStore
from core.platform.tenancy.models import TownState

INHABITED = ("agent", "family", "invoice")
"""Tables of which one row tells that a town lives here, and was not only made known."""
DOCUMENTS = "document"
"""The table whose rows may have come ahead, with their papers (`core.cells.ahead`)."""
NUMBERS_AHEAD = 10_000
"""Numbers that a sequence jumps beyond the highest one loaded: others draw from it meanwhile."""
_PIECE = 1 << 16


def load(
    connection: psycopg.Connection,
    path: Path,
    store: ObjectStore | None,
    *,
    replace: bool = False,
    ahead: Collection[str] = (),
    secret_key: str | None = None,
) -> Manifest:
    """Load a town, which is closed afterwards; `replace` takes away what lives here under its name.

    The connection is that of ``preau_mover``. Triggers do not fire (sums would double) and foreign
    keys are not asked row by row, so that all of it is compared and checked before the commit.
    `ahead` are the papers that are here already, and not in the file. `secret_key` is this
    installation's, to be that of where the town comes from; None: whatever that is.

    Raises:
        CellError: another schema, a town that lives here, or something that does not compare.
        StoreAwayError: the object store does not answer.
    """
    with tarfile.open(path) as tar:
        manifest = read_manifest(tar)
        tables = {table.name: table for table in catalogue.tables(connection)}
        _refuse_other_schema(manifest, catalogue.versions(connection), tables)
        if secret_key is not None:
            refuse_other_secret(manifest.secret, secret_key)
        papers = [digest for digest in manifest.papers if digest not in ahead]
        if store is not None:
            # Before any row names them.
            for digest in papers:
                store.put(manifest.tenant, _paper(tar, digest))
        connection.execute(SETTINGS)
        with connection.transaction():
            connection.execute("SET LOCAL session_replication_role = replica")
            _make_room(connection, manifest, replace=replace)
            _replace_rows(connection, tar, manifest.tenant, tables, keep_papers=store is None)
            if store is None:
                _load_papers(connection, tar, manifest.tenant, papers)
            raise_sequences(connection, manifest.tenant, tables)
            compare(connection, manifest)
            check_keys(connection, manifest.tenant)
            check_journal(connection, manifest.tenant)
    return manifest


def _replace_rows(
    connection: psycopg.Connection,
    tar: tarfile.TarFile,
    tenant: str,
    tables: Mapping[str, catalogue.Table],
    *,
    keep_papers: bool,
) -> None:
    """Put a town's rows in the place of those that it has here; papers in rows stay."""
    keeps = DOCUMENTS if keep_papers else None
    _remove(connection, tenant, [table for table in tables.values() if table.name != keeps])
    for table in tables.values():
        if table.name == keeps:
            _merge_documents(connection, tar, table, tenant)
        else:
            _load_rows(connection, tar, table, table.name)


def _load_papers(
    connection: psycopg.Connection, tar: tarfile.TarFile, tenant: str, papers: Iterable[str]
) -> None:
    """Put papers into the rows that name them; none may be without."""
    for digest in papers:
        connection.execute(
            "UPDATE document SET content = %s WHERE tenant_id = %s AND sha256 = %s",
            [_paper(tar, digest), tenant, digest],
        )
    _refuse_lost_papers(connection, tenant)


def forget(connection: psycopg.Connection, tenant: str) -> int:
    """Remove a town that has moved away, or never opened here; the number of rows removed.

    Raises:
        CellError: the town lives here.
    """
    with connection.transaction():
        if state_of(connection, tenant) not in {TownState.MOVED, TownState.ARRIVING}:
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


def refuse_other_secret(theirs: str, secret_key: str) -> None:
    """Refuse a town whose installation has another ``PREAU_SECRET_KEY``; `theirs` names that one.

    Raises:
        CellError: it has.
    """
    if theirs != fingerprint(secret_key):
        raise CellError(
            "PREAU_SECRET_KEY is another one there: the families' access codes, the links in mails,"
            " sessions and the agents' second factors would be worth nothing. Give both the same,"
            " or say --other-secret, and give new codes afterwards"
        )


def _paper(tar: tarfile.TarFile, digest: str) -> bytes:
    try:
        member = tar.extractfile(f"papers/{digest}")
    except KeyError:
        member = None
    content = member.read() if member else b""
    if hashlib.sha256(content).hexdigest() != digest:
        raise CellError(f"the paper {digest} is not in the file as its SHA-256 says")
    return content


def _refuse_lost_papers(connection: psycopg.Connection, tenant: str) -> None:
    (lost,) = connection.execute(
        "SELECT count(*) FROM document WHERE tenant_id = %s AND content IS NULL", [tenant]
    ).fetchone() or (0,)
    if lost:
        raise CellError(f"{lost} papers are not here")


def refuse_inhabited(connection: psycopg.Connection, tenant: str) -> None:
    """Let nobody arrive where a town of this name lives.

    Raises:
        CellError: one does.
    """
    if state_of(connection, tenant) in {None, TownState.MOVED, TownState.ARRIVING}:
        return
    if is_inhabited(connection, tenant):
        raise CellError(f"a town {tenant} lives there already; --replace takes it away")


def is_inhabited(connection: psycopg.Connection, tenant: str) -> bool:
    """Tell whether more than its name is here of a town."""
    for name in INHABITED:
        found = connection.execute(
            sql.SQL("SELECT EXISTS (SELECT FROM {} WHERE tenant_id = %s)").format(
                sql.Identifier(name)
            ),
            [tenant],
        ).fetchone()
        if found and found[0]:
            return True
    return False


def _make_room(connection: psycopg.Connection, manifest: Manifest, *, replace: bool) -> None:
    if not replace:
        refuse_inhabited(connection, manifest.tenant)
    connection.execute(
        "INSERT INTO tenant (id, name, state) VALUES (%(id)s, %(name)s, %(state)s)"
        " ON CONFLICT (id) DO UPDATE SET state = excluded.state",
        {"id": manifest.tenant, "name": manifest.name, "state": TownState.ARRIVING},
    )


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
    connection: psycopg.Connection, tar: tarfile.TarFile, table: catalogue.Table, into: str
) -> None:
    member = tar.extractfile(f"rows/{table.name}")
    if member is None:
        raise CellError(f"the file lacks the rows of {table.name}")
    copying = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(into), sql.SQL(", ").join(map(sql.Identifier, table.copied))
    )
    with connection.cursor().copy(copying) as rows:
        while piece := member.read(_PIECE):
            rows.write(piece)


def _merge_documents(
    connection: psycopg.Connection, tar: tarfile.TarFile, table: catalogue.Table, tenant: str
) -> None:
    """Load the rows of papers over those that came ahead, whose content stays where it is."""
    came = "came_document"
    connection.execute(
        sql.SQL("CREATE TEMPORARY TABLE {} (LIKE document) ON COMMIT DROP").format(
            sql.Identifier(came)
        )
    )
    _load_rows(connection, tar, table, came)
    columns = sql.SQL(", ").join(map(sql.Identifier, table.copied))
    changed = sql.SQL(", ").join(
        sql.SQL("{0} = excluded.{0}").format(sql.Identifier(column)) for column in table.copied
    )
    connection.execute(
        sql.SQL(
            "INSERT INTO document AS d ({0}) SELECT {0} FROM {1}"
            " ON CONFLICT (tenant_id, id) DO UPDATE SET {2},"
            " content = CASE WHEN d.sha256 = excluded.sha256 THEN d.content END"
        ).format(columns, sql.Identifier(came), changed)
    )
    # The same paper in several rows came once.
    connection.execute(
        "UPDATE document d SET content = (SELECT o.content FROM document o WHERE"
        " o.tenant_id = d.tenant_id AND o.sha256 = d.sha256 AND o.content IS NOT NULL LIMIT 1)"
        " WHERE d.tenant_id = %s AND d.content IS NULL",
        [tenant],
    )
    connection.execute(
        sql.SQL(
            "DELETE FROM document d WHERE d.tenant_id = %s"
            " AND NOT EXISTS (SELECT FROM {} c WHERE c.id = d.id)"
        ).format(sql.Identifier(came)),
        [tenant],
    )


def raise_sequences(
    connection: psycopg.Connection, tenant: str, tables: Collection[str]
) -> None:
    """Let no number be given again that came with the town."""
    for sequence in catalogue.sequences(connection):
        if sequence.table not in tables:
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
            connection.execute(
                "SELECT setval(%s::regclass, %s)", [sequence.name, highest + NUMBERS_AHEAD]
            )


