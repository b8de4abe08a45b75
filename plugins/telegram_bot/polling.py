"""Fetching updates instead of being called: for development, and for a town without https."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from core.plugin import TenantContext
from plugins.telegram_bot import screens
from plugins.telegram_bot.bots import CONNECTIONS, Bots
from plugins.telegram_bot.events import WANTED_UPDATES
from plugins.telegram_bot.inbox import Inbox
from plugins.telegram_bot.settings import TelegramSettings
from plugins.telegram_bot.words import speaking

if TYPE_CHECKING:
    from telegram import Bot

log = logging.getLogger(__name__)

OpenTown = Callable[[str], AbstractContextManager[TenantContext]]

WAIT = 25
"""Seconds that Telegram holds a question for updates."""
PAUSE = 3.0


def announce(bots: Bots, settings: TelegramSettings, url: str) -> None:
    """Tell Telegram where updates go (nowhere when `url` is empty) and what commands there are."""

    async def tell(bot: Bot) -> None:
        if url:
            secret = settings.webhook_secret.get_secret_value()
            await bot.set_webhook(url, secret_token=secret, allowed_updates=list(WANTED_UPDATES))
        else:
            await bot.delete_webhook()
        await propose_commands(bot)

    bots.call(settings, tell)


async def propose_commands(bot: Bot) -> None:
    """Name the commands that a telephone proposes, in each language."""
    for language in screens.LANGUAGES:
        with speaking(language):
            await bot.set_my_commands(screens.commands(), language_code=language)
    await bot.set_my_commands(screens.commands())


def run(towns: Mapping[str, TelegramSettings], open_town: OpenTown) -> None:
    """Poll for all `towns` at once, until interrupted."""
    bots = Bots(connections=CONNECTIONS + len(towns))
    try:
        bots.run(poll(bots, towns, open_town))
    finally:
        bots.close()


async def poll(bots: Bots, towns: Mapping[str, TelegramSettings], open_town: OpenTown) -> None:
    """Poll for all `towns`: one waiting question each."""
    inbox = Inbox()
    async with asyncio.TaskGroup() as group:
        for slug, settings in towns.items():
            bot = await bots.get(settings)
            group.create_task(_poll_town(bot, slug, settings, inbox, open_town))


async def _poll_town(
    bot: Bot, slug: str, settings: TelegramSettings, inbox: Inbox, open_town: OpenTown
) -> None:
    from telegram.error import InvalidToken, RetryAfter, TelegramError  # noqa: PLC0415

    def keep(updates: list[dict[str, Any]]) -> None:
        with open_town(slug) as ctx:
            for update in updates:
                inbox.accept(ctx, settings, update)

    offset: int | None = None
    greeted = False
    while True:
        try:
            if not greeted:
                await bot.delete_webhook()
                await propose_commands(bot)
                greeted = True
            updates = await bot.get_updates(
                offset, timeout=WAIT, allowed_updates=list(WANTED_UPDATES)
            )
        except InvalidToken:
            log.error("telegram.refused town=%s", slug)  # noqa: TRY400 - the trace tells no more
            return
        except RetryAfter:
            await asyncio.sleep(PAUSE * 5)
            continue
        except TelegramError as error:
            log.warning("telegram.unanswered town=%s error=%s", slug, type(error).__name__)
            await asyncio.sleep(PAUSE)
            continue
        if updates:
            # Written down before the next question, which tells Telegram to forget them.
            await asyncio.to_thread(keep, [update.to_dict() for update in updates])
            offset = updates[-1].update_id + 1
