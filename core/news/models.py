"""News of the town for the parents."""

from __future__ import annotations

from sqlalchemy import ForeignKeyConstraint, Index, LargeBinary, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from core.platform.db.base import Base, TenantScoped
from core.platform.db.types import CreatedAt, MomentOrNone, Reference


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


class NewsImage(TenantScoped, Base):
    """A picture of a piece of news, which its text names as ``image:<id>``."""

    __tablename__ = "news_image"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "news_id"], ["news.tenant_id", "news.id"], ondelete="CASCADE"
        ),
        Index(None, "tenant_id", "news_id"),
    )

    news_id: Mapped[Reference]
    alt: Mapped[str] = mapped_column(comment="what it shows, in words")
    media_type: Mapped[str]
    width: Mapped[int] = mapped_column(comment="pixels")
    height: Mapped[int] = mapped_column(comment="pixels")
    content: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)
    created_at: Mapped[CreatedAt]
