"""Chats of a family that asks for its data, is erased, or is merged with another."""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, select, update

from core.plugin import TenantContext
from plugins.telegram_bot.book import Book
from plugins.telegram_bot.models import ChatLink, LinkToken


def data(ctx: TenantContext, family_id: int) -> dict[str, Any] | None:
    """The chats that see the family, for the person who asks."""
    links = ctx.session.scalars(
        select(ChatLink)
        .where(ChatLink.tenant_id == ctx.town.slug, ChatLink.family_id == family_id)
        .order_by(ChatLink.id)
    ).all()
    if not links:
        return None
    return {
        "discussions": [
            {
                "nom": link.name,
                "langue": link.language,
                "alertes": link.alerts,
                "depuis": link.created_at.isoformat(),
            }
            for link in links
        ]
    }


def erase(ctx: TenantContext, family_id: int) -> None:
    """Take every chat away from the family; one without families is forgotten."""
    book = Book(ctx)
    for link in book.links_of_family(family_id):
        book.unlink(link.id, family_id)
    ctx.session.execute(
        delete(ChatLink).where(
            ChatLink.tenant_id == ctx.town.slug, ChatLink.family_id == family_id
        )
    )
    _drop_tokens(ctx, family_id)


def merge(ctx: TenantContext, kept: int, gone: int) -> None:
    """Give `kept` the chats of `gone`. Links that were handed out for it open nothing any more."""
    tenant = ctx.town.slug
    there = select(ChatLink.chat_id).where(ChatLink.tenant_id == tenant, ChatLink.family_id == kept)
    of_gone = (ChatLink.tenant_id == tenant, ChatLink.family_id == gone)
    ctx.session.execute(delete(ChatLink).where(*of_gone, ChatLink.chat_id.in_(there)))
    ctx.session.execute(update(ChatLink).where(*of_gone).values(family_id=kept))
    _drop_tokens(ctx, gone)


def _drop_tokens(ctx: TenantContext, family_id: int) -> None:
    ctx.session.execute(
        delete(LinkToken).where(
            LinkToken.tenant_id == ctx.town.slug, LinkToken.family_id == family_id
        )
    )
