"""Messages to families: a row with a state before anything is sent."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import ForeignKeyConstraint, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from core.platform.db.base import Base, TenantScoped
from core.platform.db.types import CreatedAt, Json, MomentOrNone, ReferenceOrNone


class MessageState(StrEnum):
    """State of a message."""

    QUEUED = "queued"
    SENT = "sent"
    REFUSED = "refused"
    """The address refused it for good."""
    RETURNED = "returned"
    """It came back, and not for its address's sake: the relay, the sender, a filter."""
    POINTLESS = "pointless"
    """Nothing was left to say when the message was to leave: paid meanwhile."""


class MessageRow(TenantScoped, Base):
    """One message to one address. `payload` holds ids, the text is rendered when it leaves."""

    __tablename__ = "message"
    __table_args__ = (
        UniqueConstraint("tenant_id", "key"),
        ForeignKeyConstraint(
            ["tenant_id", "family_id"], ["family.tenant_id", "family.id"], ondelete="CASCADE"
        ),
        ForeignKeyConstraint(
            ["tenant_id", "broadcast_id"], ["broadcast.tenant_id", "broadcast.id"]
        ),
        Index(None, "tenant_id", "family_id"),
        Index(
            "ix_message_broadcast",
            "tenant_id",
            "broadcast_id",
            "state",
            "family_id",
            postgresql_where=text("broadcast_id IS NOT NULL"),
        ),
        Index(
            "ix_message_published",
            "tenant_id",
            "created_at",
            "channel",
            "family_id",
            "state",
            postgresql_where=text("kind = 'invoices_published'"),
        ),
        # A mail that comes back is found by the beginning of its Message-ID.
        Index(
            None,
            "tenant_id",
            "reference",
            postgresql_ops={"reference": "text_pattern_ops"},
            postgresql_where=text("reference <> ''"),
        ),
    )

    key: Mapped[str]
    kind: Mapped[str]
    channel: Mapped[str]
    address: Mapped[str]
    language: Mapped[str]
    family_id: Mapped[ReferenceOrNone]
    broadcast_id: Mapped[ReferenceOrNone] = mapped_column(
        comment="the message of an agent to many families that it is one copy of"
    )
    payload: Mapped[Json]
    state: Mapped[str] = mapped_column(default=MessageState.QUEUED, server_default="queued")
    created_at: Mapped[CreatedAt]
    sent_at: Mapped[MomentOrNone]
    reference: Mapped[str] = mapped_column(default="", server_default="")
    problem: Mapped[str] = mapped_column(default="", server_default="")
    """Reason why the message was not taken, at the latest attempt."""
