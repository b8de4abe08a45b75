"""Slips of titles (CESU, chèques-vacances): numbered, and frozen once made."""

from __future__ import annotations

from datetime import date

from sqlalchemy import ForeignKeyConstraint, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from core.platform.db.base import Base, TenantScoped
from core.platform.db.types import Cents, Reference


class TitleSlip(TenantScoped, Base):
    """A slip that hands titles over to whoever pays them. Append-only."""

    __tablename__ = "title_slip"
    __table_args__ = (UniqueConstraint("tenant_id", "regie", "name", "year", "number"),)

    regie: Mapped[str]
    name: Mapped[str] = mapped_column(comment="that the régie's means give: CESU")
    year: Mapped[int]
    number: Mapped[int] = mapped_column(comment="from 1 each year")
    made_on: Mapped[date]
    actor: Mapped[str]
    count: Mapped[int]
    total: Mapped[Cents]

    @property
    def label(self) -> str:
        """Number of the slip, as it is printed: ``2026-CANTINE-CESU-0007``."""
        return f"{self.year}-{self.regie}-{self.name}-{self.number:04d}"


class TitleSlipLine(TenantScoped, Base):
    """Payment on a slip, as it stood: one slip at most has it. Append-only."""

    __tablename__ = "title_slip_line"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "slip_id"], ["title_slip.tenant_id", "title_slip.id"]),
        ForeignKeyConstraint(["tenant_id", "payment_id"], ["payment.tenant_id", "payment.id"]),
        UniqueConstraint("tenant_id", "payment_id"),
        Index(None, "tenant_id", "slip_id"),
    )

    slip_id: Mapped[Reference]
    payment_id: Mapped[Reference]
    rank: Mapped[int]
    means: Mapped[str]
    amount: Mapped[Cents]
