"""The parents' page, and the address that Telegram posts updates to."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable
from typing import Any

import segno
from markupsafe import Markup
from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response

from core.plugin import TenantContext, TownClosedError
from plugins.telegram_bot.book import TOKEN_LIFE, Book
from plugins.telegram_bot.bots import Bots
from plugins.telegram_bot.inbox import Inbox, write
from plugins.telegram_bot.maintenance import Maintenance
from plugins.telegram_bot.settings import TelegramSettings
from plugins.telegram_bot.words import gettext as _

SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"  # noqa: S105 - its name, not its value
MAX_UPDATE_BYTES = 256 * 1024
"""Bytes; a real update is a few thousand."""


class Pages:
    """The plugin's views. `settings_of` gives a town's settings."""

    def __init__(
        self, settings_of: Callable[[TenantContext], TelegramSettings], bots: Bots
    ) -> None:
        self._settings_of = settings_of
        self._inbox = Inbox()
        self._maintenance = Maintenance(bots)

    def home(self, request: Request) -> dict[str, Any]:
        """A deep link and its QR code, and the chats already linked.

        Showing the page opens a link: nothing is linked before the parent confirms in the chat.
        """
        ctx: TenantContext = request.ctx
        settings = self._settings_of(ctx)
        book = Book(ctx)
        token = book.new_token(request.family_id)
        link = settings.deep_link(token)
        # The page holds a secret for ten minutes: no cache may keep it.
        request.response.headers["Cache-Control"] = "no-store"
        return {
            "link": link,
            "start": f"/start {token}",
            "qr": _qr(link),
            "minutes": int(TOKEN_LIFE.total_seconds() // 60),
            "bot_username": settings.bot_username,
            "chats": book.links_of_family(request.family_id),
        }

    def unlink(self, request: Request) -> HTTPSeeOther:
        """Take a chat away from the family."""
        link_id = request.POST.get("id", "")
        if link_id.isdecimal() and len(link_id) < 19:
            Book(request.ctx).unlink(int(link_id), request.family_id)
            request.session.flash(_("La discussion est retirée."), "success")
        return HTTPSeeOther(request.route_url("telegram_bot.home"))

    def webhook(self, request: Request) -> Response:
        """Take an update: check who posts it, write it down, answer at once.

        What is genuine but of no use is answered 200 too, or Telegram would post it for days.
        """
        ctx: TenantContext = request.ctx
        settings = self._settings_of(ctx)
        given = request.headers.get(SECRET_HEADER, "").encode()
        if not hmac.compare_digest(given, settings.webhook_secret.get_secret_value().encode()):
            return Response(status=403)
        if (request.content_length or 0) <= MAX_UPDATE_BYTES:
            try:
                raw = json.loads(request.body)
            except (ValueError, RecursionError):
                return Response(status=400)
            self._take(ctx, settings, raw)
        return Response(status=200)

    def _take(self, ctx: TenantContext, settings: TelegramSettings, raw: Any) -> None:
        incoming = self._inbox.admit(settings, raw)
        if incoming is None:
            return
        try:
            write(ctx, incoming)
        except TownClosedError:
            # Answered 503: Telegram brings the update again until it is taken.
            self._maintenance.tell(settings, incoming)
            raise


def _qr(link: str) -> Markup:
    code = segno.make(link, error="m", micro=False)
    # Markup of our own making: numbers and path commands.
    return Markup(code.svg_inline(scale=5, dark="#000", light="#fff"))  # noqa: S704
