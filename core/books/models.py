"""Months that were closed: what the régie's journal came to, for ever."""

from __future__ import annotations

from datetime import date

from sqlalchemy import UniqueConstraint
from sqlalchemy.orm import Mapped

from core.platform.db.base import Base, TenantScoped
from core.platform.db.types import Cents, Moment


class Closing(TenantScoped, Base):
    """A closed month of a régie. Append-only; `hash` is the journal's last, which proves it."""

    __tablename__ = "closing"
    __table_args__ = (UniqueConstraint("tenant_id", "regie", "month"),)

    regie: Mapped[str]
    month: Mapped[date]
    entries: Mapped[int]
    collected: Mapped[Cents]
    returned: Mapped[Cents]
    hash: Mapped[str]
    actor: Mapped[str]
    closed_at: Mapped[Moment]
