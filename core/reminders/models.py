"""Reminders already written: one for each invoice and rule."""

from __future__ import annotations

from sqlalchemy import ForeignKeyConstraint, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from core.platform.db.base import Base, TenantScoped
from core.platform.db.types import Moment, Reference


class Reminder(TenantScoped, Base):
    """An invoice was reminded of under a rule: never again under that one."""

    __tablename__ = "reminder"
    __table_args__ = (
        UniqueConstraint("tenant_id", "invoice_id", "days"),
        ForeignKeyConstraint(
            ["tenant_id", "invoice_id"], ["invoice.tenant_id", "invoice.id"], ondelete="CASCADE"
        ),
    )

    invoice_id: Mapped[Reference]
    days: Mapped[int] = mapped_column(comment="the rule: days from the due date")
    created_at: Mapped[Moment]
