"""Layouts of files of a régie's other programs: made once on a page, kept, chosen by name."""

from __future__ import annotations

from sqlalchemy import UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from core.platform.db.base import Base, TenantScoped
from core.platform.db.types import CreatedAt, Json


class FileLayout(TenantScoped, Base):
    """Meaning of each column of a file."""

    __tablename__ = "file_layout"
    __table_args__ = (UniqueConstraint("tenant_id", "kind", "name"),)

    kind: Mapped[str] = mapped_column(comment="invoices, or bank: the statement of an account")
    name: Mapped[str] = mapped_column(comment="of the program; of a statement, the régie's key")
    settings: Mapped[Json]
    created_at: Mapped[CreatedAt]
