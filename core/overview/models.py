"""Reports that are kept, where drawing one takes long."""

from __future__ import annotations

from typing import Any

from sqlalchemy import UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from core.platform.db.base import Base, TenantScoped
from core.platform.db.types import Moment


class KeptReport(TenantScoped, Base):
    """The dashboard's charts of a large town, as a worker drew them last, in one language."""

    __tablename__ = "kept_report"
    __table_args__ = (UniqueConstraint("tenant_id", "language"),)

    language: Mapped[str]
    """And, after a slash each, the régies of the agents that it was drawn for."""
    at: Mapped[Moment] = mapped_column(comment="when it was drawn")
    report: Mapped[dict[str, Any]] = mapped_column(JSONB, comment="core.domain.figures.Report")
