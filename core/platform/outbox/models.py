"""The outbox: every effect is a row, written in the transaction that causes it."""

from __future__ import annotations

import uuid
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from core.platform.db.base import Base
from core.platform.db.types import CreatedAt, Json, Moment, MomentOrNone


class OutboxState(StrEnum):
    """``ready -> running -> done | ready (again later) | dead (a person must look)``."""

    READY = "ready"
    RUNNING = "running"
    DONE = "done"
    DEAD = "dead"


class OutboxRow(Base):
    """One effect. Celery carries only its id; a lost broker loses nothing."""

    __tablename__ = "outbox"
    __table_args__ = (
        UniqueConstraint("tenant_id", "topic", "dedupe_key"),
        Index(
            "ix_outbox_due",
            "bulk",
            "available_at",
            postgresql_where=text("state IN ('ready', 'running')"),
        ),
        Index("ix_outbox_dead", "tenant_id", "created_at", postgresql_where=text("state = 'dead'")),
    )

    tenant_id: Mapped[str] = mapped_column(String(63), ForeignKey("tenant.id"), primary_key=True)
    id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True)
    topic: Mapped[str]
    dedupe_key: Mapped[str]
    payload: Mapped[Json]
    state: Mapped[str] = mapped_column(default=OutboxState.READY, server_default="ready")
    created_at: Mapped[CreatedAt]
    available_at: Mapped[Moment]
    lease_until: Mapped[MomentOrNone]
    attempts: Mapped[int] = mapped_column(default=0, server_default="0")
    bulk: Mapped[bool] = mapped_column(
        default=False, server_default="false", comment="one of very many: lets all others pass"
    )
    last_error: Mapped[str] = mapped_column(default="", server_default="")
