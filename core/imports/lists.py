"""Lists of imports for agents."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, select
from sqlalchemy.orm import Session

from core.imports.models import ImportBatch
from core.platform.clock import on_days
from core.platform.db.paging import PAGE_ROWS, Page, Total, newest, total

WAITING, PLANNED, PUBLISHED, UNDONE = "a-publier", "programme", "publie", "annule"
"""States of an import."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Bounds of a list of imports. `since` to `until` are days on which they came in."""

    state: str = ""
    regie: str = ""
    since: date | None = None
    until: date | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """SQL: which of the imports."""
        conditions: list[ColumnElement[bool]] = []
        if self.state:
            conditions.append(_states()[self.state])
        if self.regie:
            conditions.append(ImportBatch.regies.contains([self.regie]))
        conditions += on_days(ImportBatch.created_at, self.since, self.until)
        return conditions


class ImportList:
    """The imports of one tenant, page by page."""

    def __init__(self, session: Session, tenant: str) -> None:
        self._session = session
        self._tenant = tenant

    def page(
        self, asked: Asked | None = None, *, before: int | None = None, limit: int = PAGE_ROWS
    ) -> Page:
        """Imports, the newest first."""
        return newest(self._session, self._query(asked or Asked()), ImportBatch.id, before, limit)

    def total(self, asked: Asked) -> Total:
        """Count the imports of a list, and the invoices that they brought or changed."""
        counted = [
            func.coalesce(ImportBatch.counts[name].as_integer(), 0)
            for name in ("created", "changed")
        ]
        return total(self._session, self._query(asked), invoices=counted[0] + counted[1])

    def _query(self, asked: Asked) -> Select[*tuple[Any, ...]]:
        return select(ImportBatch).where(
            ImportBatch.tenant_id == self._tenant, *asked.conditions()
        )


def state_of(batch: ImportBatch) -> str:
    """One of the four states."""
    if batch.undone_at:
        return UNDONE
    if batch.published_at:
        return PUBLISHED
    return PLANNED if batch.publish_at else WAITING


def _states() -> dict[str, ColumnElement[bool]]:
    there = ImportBatch.undone_at.is_(None)
    draft = and_(there, ImportBatch.published_at.is_(None))
    return {
        UNDONE: ImportBatch.undone_at.is_not(None),
        PUBLISHED: and_(there, ImportBatch.published_at.is_not(None)),
        PLANNED: and_(draft, ImportBatch.publish_at.is_not(None)),
        WAITING: and_(draft, ImportBatch.publish_at.is_(None)),
    }
