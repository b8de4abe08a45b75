"""A town goes from one installation to another. Broken off anywhere, the same move goes on.

Wherever it is broken off, the town is open in one installation at most, and that one has all of it.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import psycopg

from core.cells import ahead, archive, catalogue, closing, loading
from core.cells.archive import CellError, Manifest, fingerprint
from core.platform.documents.objects import ObjectStore
from core.platform.tenancy.models import TownState

PASSES = 3
"""Times that papers are sent ahead, at most: each pass finds what came during the one before."""


class Step(StrEnum):
    """Next step of a move."""

    PAPERS = "papers"
    CLOSE = "close"
    WRITE = "write"
    LOAD = "load"
    LEAVE = "leave"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Cell:
    """An installation, as the mover sees it."""

    connection: psycopg.Connection
    store: ObjectStore | None
    secret_key: str


@dataclass(frozen=True, slots=True)
class Moved:
    """Counts of what was moved."""

    manifest: Manifest | None
    """None: all was there already, and only the opening was left to do."""
    papers_ahead: int
    closed_seconds: float


def move(
    here: Cell,
    there: Cell,
    tenant: str,
    *,
    other_secret: bool = False,
    at: Callable[[Step], None] = lambda _step: None,
) -> Moved:
    """Move a town; if it fails before it has left, it is here as before. `at` is told each step.

    `other_secret`: though the two have different ``PREAU_SECRET_KEY``.

    Raises:
        BusyTownError: the town does not come to rest.
        CellError: the two cannot exchange it, or something does not compare.
        StoreAwayError: an object store does not answer.
    """
    with _alone(here.connection, tenant), _alone(there.connection, tenant):
        before = closing.known(here.connection, tenant)
        if before is TownState.MOVED:
            return _arrive(there.connection, tenant, at)
        closing.refuse_absent(before, tenant)
        _refuse_others(here, there, other_secret=other_secret)
        name = here.connection.execute(
            "SELECT name FROM tenant WHERE id = %s", [tenant]
        ).fetchone()
        ahead.make_ready(there.connection, tenant, name[0] if name else tenant)
        at(Step.PAPERS)
        sent = _papers(here, there, tenant)
        at(Step.CLOSE)
        try:
            manifest, begun = _copy(here, there, tenant, sent, at)
        except BaseException:
            closing.reopen(here.connection, tenant, before)
            raise
        at(Step.LEAVE)
        # From here on it lives there: never open in both.
        closing.set_state(here.connection, tenant, TownState.MOVED)
        at(Step.OPEN)
        closing.set_state(there.connection, tenant, TownState.OPEN)
        return Moved(manifest, len(sent), time.monotonic() - begun)


def _papers(here: Cell, there: Cell, tenant: str) -> set[str]:
    sent: set[str] = set()
    for _turn in range(PASSES):
        count = len(sent)
        sent = ahead.send(
            here.connection, there.connection, tenant, (here.store, there.store), known=sent
        )
        if len(sent) == count:
            break
    return sent


def _copy(
    here: Cell, there: Cell, tenant: str, sent: set[str], at: Callable[[Step], None]
) -> tuple[Manifest, float]:
    closed = closing.close(here.connection, tenant)
    begun = time.monotonic() - closed
    with tempfile.TemporaryDirectory(prefix="preau-") as folder:
        path = Path(folder) / "town.tar"
        at(Step.WRITE)
        archive.write(
            here.connection, tenant, path, here.store, secret_key=here.secret_key, ahead=sent
        )
        at(Step.LOAD)
        manifest = loading.load(there.connection, path, there.store, ahead=sent)
    return manifest, begun


def _arrive(there: psycopg.Connection, tenant: str, at: Callable[[Step], None]) -> Moved:
    """End a move that was broken off after the town had left."""
    if closing.state_of(there, tenant) is not TownState.ARRIVING:
        raise CellError(
            f"{tenant} has moved away: what happened since is not here. The way back is the same"
            " command, there"
        )
    at(Step.OPEN)
    closing.set_state(there, tenant, TownState.OPEN)
    return Moved(None, 0, 0.0)


def _refuse_others(here: Cell, there: Cell, *, other_secret: bool) -> None:
    ours, theirs = (catalogue.versions(cell.connection) for cell in (here, there))
    if ours != theirs:
        raise CellError(
            f"the schema is another one there: {' '.join(theirs)}, and {' '.join(ours)} here."
            " Bring both to the same version of Préau (preau database migrate)"
        )
    if not other_secret:
        loading.refuse_other_secret(fingerprint(here.secret_key), there.secret_key)


@contextmanager
def _alone(connection: psycopg.Connection, tenant: str) -> Iterator[None]:
    """Let no other move of the same town begin. The lock ends with the connection."""
    row = connection.execute(
        "SELECT pg_try_advisory_lock(hashtextextended(%s, 8))", [tenant]
    ).fetchone()
    if not (row and row[0]):
        raise CellError(f"{tenant} is being moved by another command")
    try:
        yield
    finally:
        if not connection.broken:
            connection.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 8))", [tenant])
