"""Messages of agents to many families, and who each was for."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import BigInteger, ForeignKey, ForeignKeyConstraint, Index, String, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from core.platform.db.base import Base, TenantScoped
from core.platform.db.types import CreatedAt, Json, MomentOrNone


class BroadcastState(StrEnum):
    """State of a message to many families."""

    DRAFT = "draft"
    SCHEDULED = "scheduled"
    """It leaves at its moment, and is taken back until then."""
    LEAVING = "leaving"
    """Its copies are handed to the channels, step by step."""
    SENT = "sent"
    STOPPED = "stopped"
    """An agent stopped it on its way: what had not left by then did not leave."""


class Broadcast(TenantScoped, Base):
    """A message that an agent writes to many families."""

    __tablename__ = "broadcast"

    title: Mapped[str]
    body: Mapped[str] = mapped_column(comment="plain text")
    translations: Mapped[Json] = mapped_column(comment="language: [title, body]")
    is_necessary: Mapped[bool] = mapped_column(comment="service information: not switched off")
    on_news: Mapped[bool] = mapped_column(comment="shown among the town's news as well")
    group: Mapped[str] = mapped_column("group_key")
    chosen: Mapped[Json] = mapped_column(comment="what the agent chose of the group's fields")
    audience: Mapped[str] = mapped_column(
        default="", server_default="", comment="the families that are meant, in words"
    )
    revision: Mapped[int] = mapped_column(
        default=1, server_default="1", comment="rises when it changes or is counted anew"
    )
    families: Mapped[int] = mapped_column(
        default=0, server_default="0", comment="families that are meant, when last looked for"
    )
    created_at: Mapped[CreatedAt]
    written_by: Mapped[str]
    leaves_at: Mapped[MomentOrNone] = mapped_column(comment="none: a draft")
    sent_by: Mapped[str] = mapped_column(default="", server_default="")
    left_at: Mapped[MomentOrNone]
    stopped_at: Mapped[MomentOrNone]
    stopped_by: Mapped[str] = mapped_column(default="", server_default="")
    ended_at: Mapped[MomentOrNone] = mapped_column(
        comment="nothing was left to send; its figures are kept"
    )
    figures: Mapped[dict[str, int] | None] = mapped_column(
        JSONB(none_as_null=True), comment="kept at its end: old messages are erased"
    )

    @property
    def state(self) -> BroadcastState:
        """Its state."""
        if self.stopped_at:
            return BroadcastState.STOPPED
        if self.ended_at:
            return BroadcastState.SENT
        if self.left_at:
            return BroadcastState.LEAVING
        return BroadcastState.SCHEDULED if self.leaves_at else BroadcastState.DRAFT


class BroadcastRecipient(Base):
    """A family that a message is for, and the channels that reach it."""

    __tablename__ = "broadcast_recipient"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "broadcast_id"],
            ["broadcast.tenant_id", "broadcast.id"],
            ondelete="CASCADE",
        ),
        ForeignKeyConstraint(
            ["tenant_id", "family_id"], ["family.tenant_id", "family.id"], ondelete="CASCADE"
        ),
        Index(None, "tenant_id", "family_id"),
        Index(
            "ix_broadcast_recipient_unasked",
            "tenant_id",
            "broadcast_id",
            postgresql_where=text("ways IS NULL"),
        ),
    )

    tenant_id: Mapped[str] = mapped_column(String(63), ForeignKey("tenant.id"), primary_key=True)
    broadcast_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    family_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    ways: Mapped[list[str] | None] = mapped_column(
        ARRAY(String), comment="channels that reach it; none: not asked yet"
    )
