"""Papers of a town that moves go ahead while it serves: it is closed for its rows only."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import psycopg
from psycopg import sql

from core.cells import catalogue, loading
from core.cells.archive import SETTINGS, paper_of, papers_of
from core.cells.closing import state_of
from core.platform.documents.objects import MissingObjectError, ObjectStore
from core.platform.tenancy.models import TownState

AT_ONCE = 20
"""Papers of one transaction: what a broken move has to send again."""
_ROWS = "SELECT id, sha256 FROM document WHERE tenant_id = %s ORDER BY id"
_SOUND = """
SELECT id, sha256 FROM document
WHERE tenant_id = %s AND encode(sha256(content), 'hex') = sha256
"""


def make_ready(connection: psycopg.Connection, tenant: str, name: str) -> None:
    """Make a town known where it is to arrive. What moved away from there stays its way back.

    Raises:
        CellError: a town of this name lives there.
    """
    loading.refuse_inhabited(connection, tenant)
    if state_of(connection, tenant) is not TownState.MOVED:
        connection.execute(
            "INSERT INTO tenant (id, name, state) VALUES (%(id)s, %(name)s, %(state)s)"
            " ON CONFLICT (id) DO UPDATE SET state = excluded.state",
            {"id": tenant, "name": name, "state": TownState.ARRIVING},
        )


def send(
    here: psycopg.Connection,
    there: psycopg.Connection,
    tenant: str,
    stores: tuple[ObjectStore | None, ObjectStore | None],
    *,
    known: Collection[str] = (),
) -> set[str]:
    """Send the papers that are not there; the SHA-256 of those that are, each read there again.

    Those that are `known` to be there are not looked at. What was sent before a move broke off is
    found. A paper whose number is another's there stays behind: it comes with the rows.

    Raises:
        CellError: a paper is lost here.
        StoreAwayError: an object store does not answer.
    """
    ours, theirs = stores
    missing = [digest for digest in papers_of(here, tenant) if digest not in known]
    if theirs is not None:
        for digest in missing:
            if not _is_stored(theirs, tenant, digest):
                theirs.put(tenant, paper_of(here, tenant, digest, ours))
                theirs.get(tenant, digest)
        return {*known, *missing}
    if not missing:
        return set(known)
    return {*known, *_into_database(here, there, tenant, ours, set(missing))}


def _is_stored(store: ObjectStore, tenant: str, digest: str) -> bool:
    try:
        store.get(tenant, digest)
    except MissingObjectError:
        return False
    return True


def _into_database(
    here: psycopg.Connection,
    there: psycopg.Connection,
    tenant: str,
    ours: ObjectStore | None,
    missing: set[str],
) -> set[str]:
    """Write rows with their papers, under the numbers that they have."""
    for connection in (here, there):
        connection.execute(SETTINGS)
    (table,) = (
        table for table in catalogue.tables(there) if table.name == loading.DOCUMENTS
    )
    rows = [tuple(row) for row in here.execute(_ROWS, [tenant]) if row[1] in missing]
    sound = {tuple(row) for row in there.execute(_SOUND, [tenant])}
    taken: dict[int, str] = dict(there.execute(_ROWS, [tenant]).fetchall())
    done = {digest for number, digest in rows if (number, digest) in sound}
    to_send: dict[str, int] = {}
    for number, digest in rows:
        if digest not in done and taken.get(number, digest) == digest:
            to_send.setdefault(digest, number)
    for some in _parts(list(to_send.items())):
        with there.transaction():
            _copy_rows(here, there, table, tenant, [n for _digest, n in some if n not in taken])
            for digest, number in some:
                there.execute(
                    "UPDATE document SET content = %s WHERE tenant_id = %s AND id = %s",
                    [paper_of(here, tenant, digest, ours), tenant, number],
                )
            loading.raise_sequences(there, tenant, [table.name])
        done |= {digest for digest, _number in some}
    return done


def _copy_rows(
    here: psycopg.Connection,
    there: psycopg.Connection,
    table: catalogue.Table,
    tenant: str,
    numbers: list[int],
) -> None:
    columns = sql.SQL(", ").join(map(sql.Identifier, table.copied))
    taking = sql.SQL(
        "COPY (SELECT {} FROM document WHERE tenant_id = {} AND id = ANY({})) TO STDOUT"
    ).format(columns, sql.Literal(tenant), sql.Literal(numbers))
    giving = sql.SQL("COPY document ({}) FROM STDIN").format(columns)
    with (
        here.cursor().copy(taking) as out,
        there.cursor().copy(giving) as into,
    ):
        for data in out:
            into.write(data)


def _parts(items: list[tuple[str, int]]) -> Iterator[list[tuple[str, int]]]:
    for start in range(0, len(items), AT_ONCE):
        yield items[start : start + AT_ONCE]
