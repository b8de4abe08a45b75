"""Links that work once, by the hash of their token."""

from __future__ import annotations

from sqlalchemy import ForeignKeyConstraint, LargeBinary, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from core.platform.db.base import Base, TenantScoped
from core.platform.db.types import Json, Moment, MomentOrNone, Reference


class OneTimeToken(TenantScoped, Base):
    """A link that works once and soon: a payment link, lost codes."""

    __tablename__ = "one_time_token"
    __table_args__ = (
        UniqueConstraint("tenant_id", "token_hash"),
        ForeignKeyConstraint(
            ["tenant_id", "family_id"], ["family.tenant_id", "family.id"], ondelete="CASCADE"
        ),
    )

    token_hash: Mapped[bytes] = mapped_column(LargeBinary)
    purpose: Mapped[str]
    family_id: Mapped[Reference]
    payload: Mapped[Json]
    expires_at: Mapped[Moment]
    used_at: Mapped[MomentOrNone]
