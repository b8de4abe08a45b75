"""The audit trail: who did what, when."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from core.platform.audit.models import AuditEntry


class Audit:
    """Writes the trail of one town, on behalf of one actor."""

    def __init__(self, session: Session, tenant: str, actor: str) -> None:
        self._session = session
        self._tenant = tenant
        self.actor = actor

    def write(self, action: str, subject: str = "", **details: Any) -> None:
        """Note that the actor did `action` to `subject` (``invoice:12``). No secret in details."""
        self._session.add(
            AuditEntry(
                tenant_id=self._tenant,
                actor=self.actor,
                action=action,
                subject=subject,
                details=details,
            )
        )
