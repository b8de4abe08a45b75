"""The audit trail, read by agents."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.platform.audit.models import AuditEntry
from core.platform.clock import on_days
from core.platform.db.paging import PAGE_ROWS, Page, newest


class Trail:
    """The audit trail of one tenant, page by page."""

    def __init__(self, session: Session, tenant: str) -> None:
        self._session = session
        self._tenant = tenant

    def page(
        self,
        *,
        actor: str = "",
        subject: str = "",
        subjects: Sequence[str] | None = None,
        action: str = "",
        since: date | None = None,
        until: date | None = None,
        before: int | None = None,
        limit: int = PAGE_ROWS,
    ) -> Page:
        """The audit trail, the newest first: all, or what one or several subjects went through.

        `since` to `until` are days.
        """
        query = select(AuditEntry).where(AuditEntry.tenant_id == self._tenant)
        query = query.where(*on_days(AuditEntry.at, since, until))
        if actor:
            query = query.where(AuditEntry.actor == actor)
        if subject:
            query = query.where(AuditEntry.subject == subject)
        if subjects is not None:
            query = query.where(AuditEntry.subject.in_(subjects))
        if action:
            query = query.where(AuditEntry.action == action)
        return newest(self._session, query, AuditEntry.id, before, limit)
