"""Memory of the bot: chats and their families, and which message shows which invoice."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    DateTime,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    UniqueConstraint,
    func,
    true,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from core.plugin import Base, TenantScoped


class ChatLink(TenantScoped, Base):
    """A chat that sees a family's invoices.

    A chat may be linked to several families, a family to several chats. Unlinking deletes the row.
    A row with `closed_at` is unlinked too: it is kept for days only because Telegram, and not the
    parent, said that the chat is over, and a wave of such answers has to be taken back.
    """

    __tablename__ = "telegram_chat_link"
    __table_args__ = (
        UniqueConstraint("tenant_id", "chat_id", "family_id"),
        ForeignKeyConstraint(
            ["tenant_id", "family_id"], ["family.tenant_id", "family.id"], ondelete="CASCADE"
        ),
        Index(None, "tenant_id", "family_id"),
    )

    chat_id: Mapped[int] = mapped_column(BigInteger)
    family_id: Mapped[int] = mapped_column(BigInteger)
    name: Mapped[str] = mapped_column(comment="first name in Telegram, to tell the chats apart")
    language: Mapped[str]
    alerts: Mapped[bool] = mapped_column(default=True, server_default=true())
    created_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=func.now()
    )
    since_update: Mapped[int] = mapped_column(
        BigInteger, default=0, server_default="0",
        comment="number of the update that linked; what Telegram sent before says nothing of it",
    )  # fmt: skip
    closed_at: Mapped[datetime | None] = mapped_column(
        DateTime(timezone=True), comment="Telegram said that the chat is over"
    )


class LinkToken(TenantScoped, Base):
    """A deep link that was handed out: for one family, once, for ten minutes.

    The first chat that presents it keeps it (`chat_id`); confirming there deletes the row.
    """

    __tablename__ = "telegram_link_token"
    __table_args__ = (
        UniqueConstraint("tenant_id", "token_hash"),
        ForeignKeyConstraint(
            ["tenant_id", "family_id"], ["family.tenant_id", "family.id"], ondelete="CASCADE"
        ),
        Index(None, "tenant_id", "family_id"),
    )

    token_hash: Mapped[bytes] = mapped_column(LargeBinary)
    family_id: Mapped[int] = mapped_column(BigInteger)
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    chat_id: Mapped[int | None] = mapped_column(BigInteger)


class ShownMessage(TenantScoped, Base):
    """A message of the bot that shows invoices: it is edited when one of them is paid."""

    __tablename__ = "telegram_message"
    __table_args__ = (
        UniqueConstraint("tenant_id", "chat_id", "message_id"),
        Index("ix_telegram_message_invoice_ids", "invoice_ids", postgresql_using="gin"),
    )

    chat_id: Mapped[int] = mapped_column(BigInteger)
    message_id: Mapped[int] = mapped_column(BigInteger)
    invoice_ids: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    created_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=func.now()
    )


class Delivery(TenantScoped, Base):
    """Something that waits for its turn, or was handed to Telegram and is not sent again."""

    __tablename__ = "telegram_delivery"
    __table_args__ = (UniqueConstraint("tenant_id", "key"),)

    key: Mapped[str]
    turn_at: Mapped[datetime | None] = mapped_column(
        DateTime(timezone=True), comment="when it may go; null once it was handed over"
    )
    created_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=func.now()
    )


class Pace(TenantScoped, Base):
    """Time of the next message in a chat, or of the whole bot (chat 0): for all processes."""

    __tablename__ = "telegram_pace"
    __table_args__ = (UniqueConstraint("tenant_id", "chat_id"),)

    chat_id: Mapped[int] = mapped_column(BigInteger)
    free_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    held_until: Mapped[datetime | None] = mapped_column(
        DateTime(timezone=True), comment="Telegram asked to wait until then"
    )
    refused_chats: Mapped[list[int]] = mapped_column(
        ARRAY(BigInteger), default=list, server_default="{}",
        comment="of the bot: chats refused since a message was last taken",
    )  # fmt: skip
    refused_since: Mapped[datetime | None] = mapped_column(
        DateTime(timezone=True), comment="when the first of these was refused"
    )
    trouble: Mapped[str] = mapped_column(
        default="", server_default="", comment="of the bot: why sending is stopped"
    )
    stops: Mapped[int] = mapped_column(
        default=0, server_default="0", comment="how often in a row it was stopped"
    )
