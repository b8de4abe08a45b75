"""Finished files of a town: in the object store where one is set, else in the database.

A file is in the store before the row that names it. A store that is away stops nobody who writes:
the file is then kept in the database, until `preau documents move` brings it over.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache

import structlog
from sqlalchemy import Select, bindparam, func, select, text
from sqlalchemy.orm import Session

from core.api.messages import Document as FinishedDocument
from core.invoices.models import Document
from core.platform.documents.objects import MissingObjectError, ObjectStore, StoreAwayError
from core.platform.errors import PaperAwayError, PaperLostError

log = structlog.get_logger(__name__)

SHARE = text("SELECT pg_advisory_xact_lock_shared(hashtextextended(:tenant, 5))")
"""Taken before a file goes to the store, until the commit of its row: see `sweeping`."""


@dataclass(frozen=True, slots=True)
class Filed:
    """A file that was kept: the id of its row, and its SHA-256."""

    id: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Places:
    """Number of a town's files, by the place of their content."""

    in_database: int
    in_store: int


@cache
def _kept() -> Select[str, str, bytes | None, str]:
    # The columns, not the object: its content is read apart, for lists that show no paper.
    return select(Document.name, Document.media_type, Document.content, Document.sha256).where(
        Document.tenant_id == bindparam("tenant"), Document.id == bindparam("document")
    )


class Files:
    """The finished files of one town."""

    def __init__(self, session: Session, tenant: str, store: ObjectStore | None) -> None:
        self._session = session
        self._tenant = tenant
        self._store = store

    def add(
        self, name: str, media_type: str, content: bytes, *, for_good: bool = True
    ) -> Filed:
        """Keep a file; not `for_good`: its row will be rolled back, and the store has no part."""
        digest = hashlib.sha256(content).hexdigest()
        is_stored = for_good and self._stored(content)
        document = Document(
            tenant_id=self._tenant,
            name=name,
            media_type=media_type,
            content=None if is_stored else content,
            sha256=digest,
        )
        self._session.add(document)
        self._session.flush()
        filed = Filed(document.id, digest)
        self._session.expunge(document)  # Not to hold every PDF of an import in memory.
        return filed

    def get(self, document_id: int) -> FinishedDocument:
        """A file as it was kept.

        Raises:
            PaperAwayError: the store does not answer.
            PaperLostError: the store has no such file, or a damaged one.
        """
        values = {"tenant": self._tenant, "document": document_id}
        name, media_type, content, digest = self._session.execute(_kept(), values).one()
        if content is None:
            content = self._fetched(document_id, digest)
        return FinishedDocument(name, media_type, content)

    def places(self) -> Places:
        """Count the town's files."""
        row = self._session.execute(
            select(
                func.count().filter(Document.content.is_not(None)).label("in_database"),
                func.count().filter(Document.content.is_(None)).label("in_store"),
            ).where(Document.tenant_id == self._tenant)
        ).one()
        return Places(row.in_database, row.in_store)

    def _stored(self, content: bytes) -> bool:
        if self._store is None:
            return False
        self._session.execute(SHARE, {"tenant": self._tenant})
        try:
            self._store.put(self._tenant, content)
        except (StoreAwayError, MissingObjectError):
            return False
        return True

    def _fetched(self, document_id: int, digest: str) -> bytes:
        if self._store is None:
            log.error("documents.no_store", tenant=self._tenant, document=document_id)
            raise PaperAwayError
        try:
            return self._store.get(self._tenant, digest)
        except StoreAwayError as error:
            raise PaperAwayError from error
        except MissingObjectError as error:
            log.exception("documents.lost", tenant=self._tenant, document=document_id)
            raise PaperLostError from error
