"""The towns, as the target of foreign keys; all else about a town is in its tenant.toml."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import CheckConstraint, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from core.platform.db.base import Base


class TownState(StrEnum):
    """State of a town in this installation."""

    OPEN = "open"
    DRAINING = "draining"
    """Pages serve; workers end what they have and begin nothing."""
    CLOSED = "closed"
    """For maintenance: no transaction of the town begins."""
    MOVED = "moved"
    """It lives in another installation; what is here is its way back."""
    ARRIVING = "arriving"
    """It comes from another installation, and has never been open here since."""


SERVING = (TownState.OPEN, TownState.DRAINING)
"""States in which pages serve."""


class Tenant(Base):
    """One town. The id is its slug; ``preau tenants sync`` keeps the table."""

    __tablename__ = "tenant"
    __table_args__ = (
        CheckConstraint(
            "state IN ('open', 'draining', 'closed', 'moved', 'arriving')", name="state"
        ),
        Index("ix_tenant_not_open", "id", postgresql_where=text("state <> 'open'")),
    )

    id: Mapped[str] = mapped_column(String(63), primary_key=True)
    name: Mapped[str]
    state: Mapped[str] = mapped_column(
        default=TownState.OPEN,
        server_default="open",
        comment="open; draining: workers begin nothing; closed; moved: lives elsewhere;"
        " arriving: never open here yet",
    )
