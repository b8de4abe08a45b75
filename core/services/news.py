"""The town's news, and its *Bon à savoir* box."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.api.context import Clock
from core.models import News

NEWS, NOTICE = "news", "notice"


class NewsDesk:
    """The news of one town."""

    def __init__(self, session: Session, tenant: str, clock: Clock) -> None:
        self._session = session
        self._tenant = tenant
        self._clock = clock

    def latest(self, limit: int = 6) -> Sequence[News]:
        """What is published, newest first."""
        return self._session.scalars(self._published(NEWS).limit(limit)).all()

    def notice(self) -> News | None:
        """The *Bon à savoir* box: the latest one published, or None."""
        return self._session.scalars(self._published(NOTICE).limit(1)).first()

    def get(self, news_id: int) -> News | None:
        """One published piece of news, or None."""
        return self._session.scalars(self._published(NEWS).where(News.id == news_id)).first()

    def publish(
        self,
        key: str,
        *,
        title: str,
        body: str,
        summary: str = "",
        kind: str = NEWS,
        published_at: datetime | None = None,
    ) -> None:
        """Publish a piece under `key`, or replace the one there. `body` is Markdown."""
        values = {
            "kind": kind,
            "title": title,
            "summary": summary,
            "body": body,
            "published_at": published_at or self._clock.now(),
        }
        self._session.execute(
            insert(News)
            .values(tenant_id=self._tenant, key=key, **values)
            .on_conflict_do_update(index_elements=["tenant_id", "key"], set_=values)
        )

    def _published(self, kind: str) -> Select[Any]:
        return (
            select(News)
            .where(
                News.tenant_id == self._tenant,
                News.kind == kind,
                News.published_at <= self._clock.now(),
            )
            .order_by(News.published_at.desc(), News.id.desc())
        )
