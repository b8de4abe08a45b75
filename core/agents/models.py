"""Agents of the régie, their second factor, their sessions and invitations."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from core.platform.db.base import Base, TenantScoped
from core.platform.db.types import CreatedAt, Moment, MomentOrNone, Reference


class Agent(TenantScoped, Base):
    """A person of the town hall. Without a password it waits for its invitation to be used."""

    __tablename__ = "agent"
    __table_args__ = (UniqueConstraint("tenant_id", "email"),)

    email: Mapped[str]
    name: Mapped[str] = mapped_column(default="", server_default="")
    role: Mapped[str]
    only_regies: Mapped[list[str]] = mapped_column(
        ARRAY(Text),
        default=list,
        server_default="{}",
        comment="the régies that the agent sees and works in; none named: all of the town",
    )
    password_hash: Mapped[str] = mapped_column(default="", server_default="")
    totp_seed: Mapped[str] = mapped_column(
        default="",
        server_default="",
        comment="the second factor's secret is derived from it and the installation's key",
    )
    totp_step: Mapped[int] = mapped_column(
        BigInteger,
        default=0,
        server_default="0",
        comment="the last time step whose code was used: a code works once",
    )
    created_at: Mapped[CreatedAt]
    disabled_at: Mapped[MomentOrNone]


class RecoveryCode(TenantScoped, Base):
    """A code that stands in for the telephone, once. Random enough for a fast keyed hash."""

    __tablename__ = "agent_recovery_code"
    __table_args__ = (
        UniqueConstraint("tenant_id", "agent_id", "code_hash"),
        ForeignKeyConstraint(
            ["tenant_id", "agent_id"], ["agent.tenant_id", "agent.id"], ondelete="CASCADE"
        ),
    )

    agent_id: Mapped[Reference]
    code_hash: Mapped[bytes] = mapped_column(LargeBinary)
    used_at: Mapped[MomentOrNone]


class AgentSession(TenantScoped, Base):
    """A signed-in browser of an agent, which can be ended from any other."""

    __tablename__ = "agent_session"
    __table_args__ = (
        UniqueConstraint("tenant_id", "token_hash"),
        ForeignKeyConstraint(
            ["tenant_id", "agent_id"], ["agent.tenant_id", "agent.id"], ondelete="CASCADE"
        ),
        Index(None, "tenant_id", "agent_id"),
    )

    token_hash: Mapped[bytes] = mapped_column(LargeBinary)
    agent_id: Mapped[Reference]
    browser: Mapped[str] = mapped_column(default="", server_default="")
    created_at: Mapped[Moment]
    seen_at: Mapped[Moment]


class AgentInvitation(TenantScoped, Base):
    """A link by which an agent chooses a password and sets up the second factor, once."""

    __tablename__ = "agent_invitation"
    __table_args__ = (
        UniqueConstraint("tenant_id", "token_hash"),
        ForeignKeyConstraint(
            ["tenant_id", "agent_id"], ["agent.tenant_id", "agent.id"], ondelete="CASCADE"
        ),
    )

    token_hash: Mapped[bytes] = mapped_column(LargeBinary)
    agent_id: Mapped[Reference]
    expires_at: Mapped[Moment]
    used_at: Mapped[MomentOrNone]
