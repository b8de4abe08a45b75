"""The towns, as the target of foreign keys; all else about a town is in its tenant.toml."""

from __future__ import annotations

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from core.platform.db.base import Base


class Tenant(Base):
    """One town. The id is its slug; ``preau tenants sync`` keeps the table."""

    __tablename__ = "tenant"

    id: Mapped[str] = mapped_column(String(63), primary_key=True)
    name: Mapped[str]
