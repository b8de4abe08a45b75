"""Lists of invoices that a régie hands over to the trésorerie: numbered, and kept as they left."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from core.platform.db.base import Base, TenantScoped
from core.platform.db.types import Cents, Moment, MomentOrNone, Reference


class Handover(TenantScoped, Base):
    """A list of invoices for the trésorerie, numbered by régie and year without a gap.

    It changes no more, but for the notes that it left, or was taken back before.
    """

    __tablename__ = "handover"
    __table_args__ = (
        UniqueConstraint("tenant_id", "regie", "year", "number"),
        CheckConstraint("left_at IS NULL OR cancelled_at IS NULL", name="left_or_cancelled"),
    )

    regie: Mapped[str]
    year: Mapped[int]
    number: Mapped[int] = mapped_column(comment="from 1 each year, without a gap")
    made_at: Mapped[Moment]
    count: Mapped[int]
    total: Mapped[Cents]
    actor: Mapped[str]
    left_at: Mapped[MomentOrNone]
    left_by: Mapped[str] = mapped_column(default="", server_default="")
    cancelled_at: Mapped[MomentOrNone]
    cancelled_by: Mapped[str] = mapped_column(default="", server_default="")
    cancel_reason: Mapped[str] = mapped_column(default="", server_default="")

    @property
    def name(self) -> str:
        """Its number on paper: ``T-2026-CANTINE-0003``."""
        return f"T-{self.year}-{self.regie}-{self.number:04d}"


class HandoverLine(TenantScoped, Base):
    """An invoice on a list, with what was left to pay of it then and no other list told.

    Negative where lists before told too much. Whose it is, is read from the invoice: names may be
    erased.
    """

    __tablename__ = "handover_line"
    __table_args__ = (
        UniqueConstraint("tenant_id", "handover_id", "rank"),
        UniqueConstraint("tenant_id", "handover_id", "invoice_id"),
        ForeignKeyConstraint(["tenant_id", "handover_id"], ["handover.tenant_id", "handover.id"]),
        ForeignKeyConstraint(["tenant_id", "invoice_id"], ["invoice.tenant_id", "invoice.id"]),
        Index(
            "ix_handover_line_in_force",
            "tenant_id", "invoice_id",
            postgresql_where=text("taken_back_at IS NULL"),
        ),
    )  # fmt: skip

    handover_id: Mapped[Reference]
    rank: Mapped[int]
    invoice_id: Mapped[Reference]
    amount: Mapped[Cents]
    taken_back_at: Mapped[MomentOrNone]
