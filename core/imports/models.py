"""Imports: what came in, and what it changed, so that it can be undone."""

from __future__ import annotations

from sqlalchemy import ForeignKeyConstraint, Index, Text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from core.platform.db.base import Base, TenantScoped
from core.platform.db.types import CreatedAt, Json, MomentOrNone, Reference


class ImportBatch(TenantScoped, Base):
    """One file that was imported whole. `sha256` tells a file that comes again."""

    __tablename__ = "import_batch"
    __table_args__ = (Index(None, "tenant_id", "sha256"),)

    source: Mapped[str]
    file_name: Mapped[str]
    sha256: Mapped[str]
    actor: Mapped[str]
    regies: Mapped[list[str]] = mapped_column(
        ARRAY(Text), default=list, server_default="{}", comment="whose invoices it brought"
    )
    counts: Mapped[Json]
    created_at: Mapped[CreatedAt]
    publish_at: Mapped[MomentOrNone] = mapped_column(comment="when it will publish itself")
    published_at: Mapped[MomentOrNone]
    undone_at: Mapped[MomentOrNone]


class InvoiceChange(TenantScoped, Base):
    """State of an invoice before a batch changed it."""

    __tablename__ = "invoice_change"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "batch_id"], ["import_batch.tenant_id", "import_batch.id"]
        ),
        ForeignKeyConstraint(["tenant_id", "invoice_id"], ["invoice.tenant_id", "invoice.id"]),
        Index(None, "tenant_id", "batch_id"),
    )

    batch_id: Mapped[Reference]
    invoice_id: Mapped[Reference]
    before: Mapped[Json] = mapped_column(comment="the row and its lines, as JSON")
