"""When families are reminded of what they owe, and when a régie stops waiting."""

from __future__ import annotations

from sqlalchemy import ForeignKeyConstraint, Integer, UniqueConstraint
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from core.platform.db.base import Base, TenantScoped
from core.platform.db.types import Moment, Reference


class RegieCalendar(TenantScoped, Base):
    """The calendar of a régie, as its régisseur set it. Without one, nothing leaves by itself."""

    __tablename__ = "regie_calendar"
    __table_args__ = (UniqueConstraint("tenant_id", "regie"),)

    regie: Mapped[str]
    reminders: Mapped[list[int]] = mapped_column(
        ARRAY(Integer),
        default=list,
        server_default="{}",
        comment="days from the due date: -5 is five days before it",
    )
    closing_days: Mapped[int | None] = mapped_column(
        comment="days after the due date when the trésorerie takes over; none: never by itself"
    )


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
