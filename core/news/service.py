"""The town's news, and its *Bon à savoir* box."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.api.context import Clock
from core.api.errors import UserError
from core.news.markdown import pictures
from core.news.models import News, NewsImage
from core.news.pictures import prepare
from core.platform.audit.service import Audit
from core.platform.db.paging import Page, newest
from core.platform.errors import NotFoundError
from core.platform.i18n import gettext as _
from core.platform.signing import new_token

NEWS, NOTICE = "news", "notice"


class NewsDesk:
    """The news of one town."""

    def __init__(self, session: Session, tenant: str, clock: Clock, audit: Audit) -> None:
        self._session = session
        self._tenant = tenant
        self._clock = clock
        self._audit = audit

    def latest(self, limit: int = 6) -> Sequence[News]:
        """Published news, newest first."""
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

    def page(self, *, before: int | None = None) -> Page:
        """Every piece, drafts too, the newest first."""
        query = select(News).where(News.tenant_id == self._tenant)
        return newest(self._session, query, News.id, before)

    def find(self, news_id: int) -> News:
        """One piece, published or not.

        Raises:
            NotFoundError: there is none.
        """
        item = self._session.get(News, (self._tenant, news_id))
        if item is None:
            raise NotFoundError
        return item

    def write(self, news_id: int | None, *, kind: str, title: str, summary: str, body: str) -> int:
        """Write a piece, a draft if it is new (None); its id.

        Raises:
            UserError: a picture of `body` is not the piece's own, or nothing says what it shows.
        """
        own = {picture.id for picture in self.pictures(news_id)} if news_id else set()
        for alt, number in pictures(body):
            if number not in own:
                raise UserError(_("Le texte nomme une image qui n’est pas de cette actualité."))
            if not alt:
                raise UserError(_("Chaque image a besoin d’un texte qui dit ce qu’elle montre."))
        if news_id is None:
            item = News(tenant_id=self._tenant, key=new_token(), published_at=None)
            self._session.add(item)
        else:
            item = self.find(news_id)
        item.kind, item.title, item.summary, item.body = kind, title, summary, body
        self._session.flush()
        self._audit.write("news.written", f"news:{item.id}")
        return item.id

    def add_picture(self, news_id: int, content: bytes, alt: str) -> int:
        """Add a picture to a piece; its number. The text does not show it yet.

        Raises:
            UserError: it cannot be read, or `alt`, what it shows, is missing.
        """
        if not alt.strip():
            raise UserError(_("Chaque image a besoin d’un texte qui dit ce qu’elle montre."))
        picture = prepare(content)
        row = NewsImage(
            tenant_id=self._tenant,
            news_id=self.find(news_id).id,
            alt=alt.strip(),
            media_type=picture.media_type,
            width=picture.width,
            height=picture.height,
            content=picture.content,
        )
        self._session.add(row)
        self._session.flush()
        self._audit.write("news.picture_added", f"news:{news_id}")
        return row.id

    def pictures(self, news_id: int) -> Sequence[NewsImage]:
        """The pictures of a piece, without their content, in the order they came."""
        return self._session.scalars(
            select(NewsImage)
            .where(NewsImage.tenant_id == self._tenant, NewsImage.news_id == news_id)
            .order_by(NewsImage.id)
        ).all()

    def picture(self, picture_id: int, *, drafts: bool = False) -> NewsImage | None:
        """A picture of a piece that is published, or of any; else None."""
        found = self._session.get(NewsImage, (self._tenant, picture_id))
        if found is None:
            return None
        shown_at = self.find(found.news_id).published_at
        public = shown_at is not None and shown_at <= self._clock.now()
        return found if public or drafts else None

    def show(self, news_id: int, moment: datetime | None) -> None:
        """Show a piece from `moment` on; None: to nobody any more."""
        self.find(news_id).published_at = moment
        self._session.flush()
        self._audit.write("news.shown" if moment else "news.hidden", f"news:{news_id}")

    def withdraw(self, key: str) -> None:
        """Show the piece of this key to nobody any more, if there is one."""
        self._session.execute(
            update(News)
            .where(News.tenant_id == self._tenant, News.key == key)
            .values(published_at=None)
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
