"""A town as one file: what it is of, its rows by table, its papers by SHA-256 (a tar)."""

from __future__ import annotations

import hashlib
import hmac
import io
import json
import tarfile
import tempfile
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

import psycopg
from psycopg import sql

from core.cells import catalogue
from core.cells.catalogue import Table
from core.platform.documents.objects import MissingObjectError, ObjectStore

FORMAT = 1
MANIFEST = "manifest.json"
SPOOLED_BYTES = 32_000_000
SETTINGS = "SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; SET bytea_output = 'hex';"
"""The same text on both sides, whatever the servers' own settings."""


class CellError(Exception):
    """A town cannot be written, read or compared; the message says why, in words."""


@dataclass(frozen=True, slots=True)
class Content:
    """Content of a table: its columns, the number of its rows, the SHA-256 of their text."""

    columns: tuple[str, ...]
    rows: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """Contents of a file."""

    tenant: str
    name: str
    versions: list[str]
    tables: dict[str, Content]
    papers: list[str]
    secret: str
    format: int = FORMAT


def fingerprint(secret_key: str) -> str:
    """Digits that tell two ``PREAU_SECRET_KEY`` apart, and nothing of them."""
    return hmac.new(secret_key.encode(), b"preau tenant", hashlib.sha256).hexdigest()[:32]


def content_of(
    connection: psycopg.Connection,
    tenant: str,
    table: Table,
    write: Callable[[bytes], object] = lambda _data: None,
) -> Content:
    """Read the rows of a town in one table, and hand their text to `write`."""
    digest, rows = hashlib.sha256(), 0
    copying = sql.SQL("COPY ({}) TO STDOUT").format(table.rows_of(tenant))
    with connection.cursor().copy(copying) as out:
        for data in out:
            text = bytes(data)
            digest.update(text)
            rows += text.count(b"\n")
            write(text)
    return Content(table.copied, rows, digest.hexdigest())


def write(
    connection: psycopg.Connection,
    tenant: str,
    path: Path,
    store: ObjectStore | None,
    *,
    secret_key: str,
    ahead: Collection[str] = (),
) -> Manifest:
    """Write a town into a file, as one transaction sees it, but for papers that went `ahead`.

    Raises:
        CellError: the town is not there, or a paper is lost.
        StoreAwayError: the object store does not answer.
    """
    connection.execute(SETTINGS)
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        row = connection.execute("SELECT name FROM tenant WHERE id = %s", [tenant]).fetchone()
        if row is None:
            raise CellError(f"this database knows no town {tenant!r}")
        contents, papers = {}, []
        with tarfile.open(path, "w") as tar:
            for table in catalogue.tables(connection):
                with tempfile.SpooledTemporaryFile(SPOOLED_BYTES) as rows:
                    contents[table.name] = content_of(connection, tenant, table, rows.write)
                    _add(tar, f"rows/{table.name}", rows)
            for digest in papers_of(connection, tenant):
                papers.append(digest)
                if digest not in ahead:
                    paper = paper_of(connection, tenant, digest, store)
                    _add(tar, f"papers/{digest}", io.BytesIO(paper))
            manifest = Manifest(
                tenant,
                row[0],
                catalogue.versions(connection),
                contents,
                papers,
                fingerprint(secret_key),
            )
            _add(tar, MANIFEST, io.BytesIO(json.dumps(asdict(manifest)).encode()))
    return manifest


def read_manifest(tar: tarfile.TarFile) -> Manifest:
    """Read what a file holds.

    Raises:
        CellError: it is no such file, or was not written to its end.
    """
    try:
        member = tar.extractfile(MANIFEST)
    except (KeyError, tarfile.ReadError):  # Cut between two members, or within one.
        member = None
    if member is None:
        raise CellError("this file was not written to its end, or is none of `preau tenant export`")
    found = json.load(member)
    if found.get("format") != FORMAT:
        raise CellError(f"this file has format {found.get('format')}, and {FORMAT} is read here")
    found.setdefault("secret", "")  # Of a file that an older version wrote.
    found["tables"] = {
        name: Content(tuple(content["columns"]), content["rows"], content["sha256"])
        for name, content in found["tables"].items()
    }
    return Manifest(**found)


def _add(tar: tarfile.TarFile, name: str, content: IO[bytes]) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = content.seek(0, io.SEEK_END)
    entry.mode = 0o600
    content.seek(0)
    tar.addfile(entry, content)


def papers_of(connection: psycopg.Connection, tenant: str) -> list[str]:
    """The SHA-256 of all papers of a town, each once."""
    rows = connection.execute(
        "SELECT DISTINCT sha256 FROM document WHERE tenant_id = %s ORDER BY sha256", [tenant]
    )
    return [row[0] for row in rows]


def paper_of(
    connection: psycopg.Connection, tenant: str, digest: str, store: ObjectStore | None
) -> bytes:
    """Give a paper, compared with its name.

    Raises:
        CellError: it is lost.
        StoreAwayError: the object store does not answer.
    """
    found = connection.execute(
        "SELECT content FROM document"
        " WHERE tenant_id = %s AND sha256 = %s AND content IS NOT NULL LIMIT 1",
        [tenant, digest],
    ).fetchone()
    if found:
        content = bytes(found[0])
    elif store is None:
        raise CellError("papers of this town are in an object store: set PREAU_DOCUMENTS_URL")
    else:
        try:
            content = store.get(tenant, digest)
        except MissingObjectError as error:
            raise CellError(f"a paper is lost: {error}; see preau documents check") from error
    if hashlib.sha256(content).hexdigest() != digest:
        raise CellError(f"the paper {digest} is not what its SHA-256 says")
    return content
