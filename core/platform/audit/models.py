"""Audit trail of actions. Append-only: the application's role may not change or delete a row."""

from __future__ import annotations

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from core.platform.db.base import Base, TenantScoped
from core.platform.db.types import CreatedAt, Json


class AuditEntry(TenantScoped, Base):
    """One action. `actor` is ``family:<id>``, ``agent:<id>``, ``cli:<user>`` or ``system``."""

    __tablename__ = "audit_entry"
    __table_args__ = (Index(None, "tenant_id", "subject"),)

    at: Mapped[CreatedAt]
    actor: Mapped[str]
    action: Mapped[str]
    subject: Mapped[str] = mapped_column(default="", server_default="")
    details: Mapped[Json]
