"""Ways for a parent to come in: own accounts, sessions and one-time links."""

from __future__ import annotations

from sqlalchemy import BigInteger, ForeignKeyConstraint, Index, LargeBinary, UniqueConstraint
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from core.platform.db.base import Base, TenantScoped
from core.platform.db.types import CreatedAt, Moment, Reference, ReferenceOrNone


class Account(TenantScoped, Base):
    """A parent's own e-mail and password, instead of the paper codes."""

    __tablename__ = "account"
    __table_args__ = (UniqueConstraint("tenant_id", "email"),)

    email: Mapped[str]
    password_hash: Mapped[str]
    created_at: Mapped[CreatedAt]


class AccountFamily(TenantScoped, Base):
    """An account opens a family; one person may be linked to several."""

    __tablename__ = "account_family"
    __table_args__ = (
        UniqueConstraint("tenant_id", "account_id", "family_id"),
        ForeignKeyConstraint(
            ["tenant_id", "account_id"], ["account.tenant_id", "account.id"], ondelete="CASCADE"
        ),
        ForeignKeyConstraint(
            ["tenant_id", "family_id"], ["family.tenant_id", "family.id"], ondelete="CASCADE"
        ),
        Index(None, "tenant_id", "family_id"),
    )

    account_id: Mapped[Reference]
    family_id: Mapped[Reference]


class WebSession(TenantScoped, Base):
    """A signed-in browser. The cookie holds a random token, this row its hash: it can be ended."""

    __tablename__ = "web_session"
    __table_args__ = (
        UniqueConstraint("tenant_id", "token_hash"),
        ForeignKeyConstraint(
            ["tenant_id", "family_id"], ["family.tenant_id", "family.id"], ondelete="CASCADE"
        ),
        ForeignKeyConstraint(
            ["tenant_id", "account_id"], ["account.tenant_id", "account.id"], ondelete="CASCADE"
        ),
    )

    token_hash: Mapped[bytes] = mapped_column(LargeBinary)
    family_id: Mapped[Reference]
    account_id: Mapped[ReferenceOrNone]
    only_invoice_id: Mapped[ReferenceOrNone] = mapped_column(
        comment="opened by a payment link: good for paying this invoice, and nothing else"
    )
    more_invoice_ids: Mapped[list[int]] = mapped_column(
        ARRAY(BigInteger), default=list, server_default="{}",
        comment="of a payment link for several invoices: the others",
    )  # fmt: skip
    created_at: Mapped[Moment]
    seen_at: Mapped[Moment]
