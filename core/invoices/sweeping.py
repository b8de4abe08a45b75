"""Removing from the object store what no row names: of imports that failed or were undone.

A file is in the store before its row is committed, so that one without a row may be about to get
it. Whoever writes holds the town's lock in shared mode from before the file to the commit; the
sweep holds it alone while it looks and removes. What it finds it only notes at first, and removes
it when it is still named by nothing after `ORPHAN_LIFE`: a backup of the database that is younger
still finds its papers.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import delete, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.invoices.models import Document, DocumentOrphan
from core.platform.documents.objects import ObjectStore
from core.platform.outbox.service import NotOverError

SWEEP = "documents.sweep"
"""Topic of the weekly sweep."""
ORPHAN_LIFE = timedelta(days=30)
BUSY_PAUSE = timedelta(minutes=10)
_ALONE = text("SELECT pg_try_advisory_xact_lock(hashtextextended(:tenant, 5))")


def sweep(session: Session, tenant: str, store: ObjectStore, now: datetime) -> int:
    """Remove what nothing has named for long; the number of files removed.

    Raises:
        NotOverError: files are being written; what was looked at so far is done.
        StoreAwayError: the store does not answer.
    """
    removed = 0
    for page in store.list(tenant):
        if not session.scalar(_ALONE, {"tenant": tenant}):
            raise NotOverError("files are being written", BUSY_PAUSE)
        removed += _sweep(session, tenant, store, page, now)
        session.commit()
    return removed


def _sweep(
    session: Session, tenant: str, store: ObjectStore, page: list[str], now: datetime
) -> int:
    named = set(
        session.scalars(
            select(Document.sha256).where(
                Document.tenant_id == tenant, Document.sha256.in_(page)
            )
        )
    )
    of_page = (DocumentOrphan.tenant_id == tenant, DocumentOrphan.sha256.in_(page))
    noted = {
        row.sha256: row.seen_at
        for row in session.execute(
            select(DocumentOrphan.sha256, DocumentOrphan.seen_at).where(*of_page)
        )
    }
    due = [
        digest
        for digest, seen_at in noted.items()
        if digest not in named and seen_at <= now - ORPHAN_LIFE
    ]
    store.delete(tenant, due)
    gone = [*due, *(noted.keys() & named)]
    session.execute(
        delete(DocumentOrphan).where(
            DocumentOrphan.tenant_id == tenant, DocumentOrphan.sha256.in_(gone)
        )
    )
    if new := [digest for digest in page if digest not in named and digest not in noted]:
        session.execute(
            insert(DocumentOrphan)
            .values([{"tenant_id": tenant, "sha256": digest, "seen_at": now} for digest in new])
            .on_conflict_do_nothing()
        )
    return len(due)
