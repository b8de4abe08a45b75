"""Moving a town's files between the database and the object store, while the town serves.

Each step is a transaction of its own and leaves every file readable: it is in both places before
the row forgets the first. A move that was broken off goes on where it stopped.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from core.invoices.files import SHARE
from core.invoices.models import Document
from core.platform.documents.objects import MissingObjectError, ObjectStore

STEP = 20
"""Files of one transaction: some megabytes."""


@dataclass(frozen=True, slots=True)
class Step:
    """Result of one step: the last id that was looked at, what was moved, and what could not be."""

    last: int
    moved: int
    size: int
    """Bytes that were moved."""
    faults: tuple[int, ...]
    """Ids of files whose content is not what their SHA-256 says, or is not in the store."""


def move_out(session: Session, tenant: str, store: ObjectStore, after: int) -> Step | None:
    """Move the next files beyond the id `after` into the store; None: there are no more.

    Raises:
        StoreAwayError: the store does not answer; nothing of this step is done.
    """
    session.execute(SHARE, {"tenant": tenant})
    rows = session.execute(
        select(Document.id, Document.sha256, Document.content)
        .where(
            Document.tenant_id == tenant, Document.id > after, Document.content.is_not(None)
        )
        .order_by(Document.id)
        .limit(STEP)
    ).all()
    if not rows:
        return None
    moved, size, faults = [], 0, []
    for row in rows:
        if hashlib.sha256(row.content).hexdigest() != row.sha256:
            faults.append(row.id)
            continue
        store.put(tenant, row.content)
        try:
            store.get(tenant, row.sha256)
        except MissingObjectError:
            faults.append(row.id)
            continue
        moved.append(row.id)
        size += len(row.content)
    session.execute(
        update(Document)
        .where(Document.tenant_id == tenant, Document.id.in_(moved))
        .values(content=None)
    )
    return Step(rows[-1].id, len(moved), size, tuple(faults))


def move_back(session: Session, tenant: str, store: ObjectStore, after: int) -> Step | None:
    """Move the next files beyond the id `after` into the database; None: there are no more.

    What is in the store stays there, until the sweep.

    Raises:
        StoreAwayError: the store does not answer; nothing of this step is done.
    """
    rows = _stored_after(session, tenant, after)
    if not rows:
        return None
    size, faults = 0, []
    for number, digest in rows:
        try:
            content = store.get(tenant, digest)
        except MissingObjectError:
            faults.append(number)
            continue
        session.execute(
            update(Document)
            .where(Document.tenant_id == tenant, Document.id == number)
            .values(content=content)
        )
        size += len(content)
    return Step(rows[-1][0], len(rows) - len(faults), size, tuple(faults))


def check(session: Session, tenant: str, store: ObjectStore, after: int) -> Step | None:
    """Read the next files beyond the id `after` in the store and compare them; None: no more.

    Raises:
        StoreAwayError: the store does not answer.
    """
    rows = _stored_after(session, tenant, after)
    if not rows:
        return None
    size, faults = 0, []
    for number, digest in rows:
        try:
            size += len(store.get(tenant, digest))
        except MissingObjectError:
            faults.append(number)
    return Step(rows[-1][0], len(rows) - len(faults), size, tuple(faults))


def _stored_after(session: Session, tenant: str, after: int) -> list[tuple[int, str]]:
    found = session.execute(
        select(Document.id, Document.sha256)
        .where(Document.tenant_id == tenant, Document.id > after, Document.content.is_(None))
        .order_by(Document.id)
        .limit(STEP)
    )
    return [(row.id, row.sha256) for row in found]
