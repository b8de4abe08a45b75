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
from core.services.audit import Audit
from core.services.errors import NotFoundError
from core.signing import new_token

NEWS, NOTICE = "news", "notice"


class NewsDesk:
    """The news of one town."""

    def __init__(self, session: Session, tenant: str, clock: Clock, audit: Audit) -> None:
        self._session = session
        self._tenant = tenant
        self._clock = clock
        self._audit = audit

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

    # --- For agents --------------------------------------------------------------------------

    def all(self, *, before: int | None = None, limit: int = 50) -> Sequence[News]:
        """Every piece, drafts too, the newest first: `limit` of those older than `before`."""
        query = select(News).where(News.tenant_id == self._tenant)
        if before is not None:
            query = query.where(News.id < before)
        return self._session.scalars(query.order_by(News.id.desc()).limit(limit)).all()

    def find(self, news_id: int) -> News:
        """One piece, published or not.

        Raises:
            NotFoundError: there is none.
        """
        item = self._session.get(News, (self._tenant, news_id))
        if item is None:
            raise NotFoundError
        return item

    def write(
        self, news_id: int | None, *, kind: str, title: str, summary: str, body: str
    ) -> int:
        """Write a piece, a draft if it is new (None); its id."""
        if news_id is None:
            item = News(tenant_id=self._tenant, key=new_token(), published_at=None)
            self._session.add(item)
        else:
            item = self.find(news_id)
        item.kind, item.title, item.summary, item.body = kind, title, summary, body
        self._session.flush()
        self._audit.write("news.written", f"news:{item.id}")
        return item.id

    def show(self, news_id: int, moment: datetime | None) -> None:
        """Show a piece from `moment` on; None: to nobody any more."""
        self.find(news_id).published_at = moment
        self._session.flush()
        self._audit.write("news.shown" if moment else "news.hidden", f"news:{news_id}")

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
