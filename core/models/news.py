"""What the town tells the parents."""

from __future__ import annotations

from sqlalchemy import Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from core.db.base import Base, TenantScoped
from core.db.types import CreatedAt, MomentOrNone


class News(TenantScoped, Base):
    """A piece of news (``news``) or the *Bon à savoir* box (``notice``), in Markdown."""

    __tablename__ = "news"
    __table_args__ = (
        UniqueConstraint("tenant_id", "key"),
        Index(None, "tenant_id", "kind", "published_at"),
    )

    key: Mapped[str]
    kind: Mapped[str] = mapped_column(default="news", server_default="news")
    title: Mapped[str]
    summary: Mapped[str] = mapped_column(default="", server_default="")
    body: Mapped[str]
    created_at: Mapped[CreatedAt]
    published_at: Mapped[MomentOrNone] = mapped_column(comment="none: a draft")
