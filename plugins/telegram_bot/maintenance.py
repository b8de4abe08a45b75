"""A word to parents who write while the town is closed for maintenance.

Telegram keeps what was not taken and brings it again, so the answer itself comes afterwards.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from plugins.telegram_bot import screens
from plugins.telegram_bot.bots import Bots
from plugins.telegram_bot.events import Incoming, Kind
from plugins.telegram_bot.settings import TelegramSettings
from plugins.telegram_bot.words import gettext as _
from plugins.telegram_bot.words import speaking

if TYPE_CHECKING:
    from telegram import Bot

log = logging.getLogger(__name__)

AGAIN_SECONDS = 600.0
"""Time for which a chat is not told again: Telegram brings the same update every few seconds."""
CALL_SECONDS = 5.0
"""Time that Telegram may take: a page's thread waits for it."""
_MAX_CHATS = 10_000
SOURCE = "fr"
"""Language for those whose own is none of the bot's."""


class Maintenance:
    """One process's words of a closed town, one for each chat."""

    def __init__(self, bots: Bots, clock: Callable[[], float] = time.monotonic) -> None:
        self._bots = bots
        self._clock = clock
        self._told: dict[tuple[str, int], float] = {}

    def tell(self, settings: TelegramSettings, incoming: Incoming) -> None:
        """Tell a chat, if it has not been told of late. Nothing depends on whether it arrives."""
        from telegram.error import TelegramError  # noqa: PLC0415 - see Bots._make

        if not self._is_due(settings, incoming):
            return
        language = incoming.language
        with speaking(language if language in screens.LANGUAGES else SOURCE):
            words = _(
                "Le portail est en maintenance. Votre message est gardé, la réponse viendra dès"
                " qu’il sera revenu."
            )

        async def say(bot: Bot) -> None:
            async with asyncio.timeout(CALL_SECONDS):
                if incoming.kind is Kind.TAPPED:
                    await bot.answer_callback_query(incoming.query_id, words, show_alert=True)
                else:
                    await bot.send_message(incoming.chat_id, words)

        try:
            self._bots.call(settings, say)
        except (TelegramError, TimeoutError) as error:
            log.info("telegram.maintenance_untold reason=%s", type(error).__name__)

    def _is_due(self, settings: TelegramSettings, incoming: Incoming) -> bool:
        if incoming.kind not in {Kind.TYPED, Kind.TAPPED}:
            return False
        now, chat = self._clock(), (settings.bot_id, incoming.chat_id)
        if now - self._told.get(chat, -AGAIN_SECONDS) < AGAIN_SECONDS:
            return False
        if len(self._told) >= _MAX_CHATS:
            self._told.clear()
        self._told[chat] = now
        return True
