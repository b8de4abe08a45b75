"""Fetching updates instead of being called: for development, and for a town without https."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import DataError, SQLAlchemyError

from core.plugin import TenantContext, TownClosedError
from plugins.telegram_bot import screens
from plugins.telegram_bot.answers import Answer, Fate
from plugins.telegram_bot.bots import CONNECTIONS, Bots
from plugins.telegram_bot.events import WANTED_UPDATES, Incoming
from plugins.telegram_bot.inbox import Inbox, write_all
from plugins.telegram_bot.maintenance import Maintenance
from plugins.telegram_bot.settings import TelegramSettings
from plugins.telegram_bot.words import speaking

if TYPE_CHECKING:
    from telegram import Bot

log = logging.getLogger(__name__)

OpenTown = Callable[[str], AbstractContextManager[TenantContext]]

WAIT_SECONDS = 25
"""Seconds that Telegram holds a question for updates."""
PAUSE_SECONDS = 3.0
REFUSED_PAUSE_SECONDS = 60.0
UNWRITABLE = (DataError, ValueError, TypeError)
"""Faults of one update, which the next attempt would meet as well."""


def announce(bots: Bots, settings: TelegramSettings, url: str) -> None:
    """Tell Telegram where updates go (nowhere when `url` is empty) and what commands there are."""
    from telegram.error import TelegramError  # noqa: PLC0415 - see Bots._make

    async def tell(bot: Bot) -> None:
        if url:
            secret = settings.webhook_secret.get_secret_value()
            await bot.set_webhook(url, secret_token=secret, allowed_updates=list(WANTED_UPDATES))
        else:
            await bot.delete_webhook()
        try:
            await propose_commands(bot)
        except TelegramError as error:
            # Telephones propose no commands then; updates come all the same.
            log.warning("telegram.commands_refused reason=%s", error)

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
    """Poll for all `towns`: one waiting question each. Nothing in one town ends another's."""
    inbox = Inbox()
    async with asyncio.TaskGroup() as group:
        for slug, settings in towns.items():
            group.create_task(_Poller(bots, slug, settings, inbox, open_town).run())


class _Poller:
    """One town's endless question for updates."""

    def __init__(
        self, bots: Bots, slug: str, settings: TelegramSettings, inbox: Inbox, open_town: OpenTown
    ) -> None:
        self._bots = bots
        self._slug = slug
        self._settings = settings
        self._inbox = inbox
        self._open_town = open_town
        self._maintenance = Maintenance(bots)
        self._offset = 0
        self._greeted = False

    async def run(self) -> None:
        """Fetch and write down, until cancelled; whatever fails is tried again."""
        while True:
            try:
                pause = await self._once()
            except TownClosedError:
                # Telegram keeps what was not taken: for this process later, or for the one of the
                # installation that the town moves to, which must not be asked beside.
                log.info("telegram.town_closed town=%s", self._slug)
                pause = PAUSE_SECONDS
            except Exception:  # a fault in one town must not end the others
                log.exception("telegram.polling_failed town=%s", self._slug)
                pause = PAUSE_SECONDS
            await asyncio.sleep(pause)

    async def _once(self) -> float:
        """Ask once; returns the seconds until the next question."""
        from plugins.telegram_bot.transport import CallError, fetch_updates  # noqa: PLC0415 - see Bots._make

        await asyncio.to_thread(self._enter)
        asked_at = time.monotonic()
        try:
            bot = await self._bots.get(self._settings)
            if not self._greeted:
                await bot.delete_webhook()
                self._greeted = True
                await propose_commands(bot)
            # Raw: one update that the client cannot read must not hide the others.
            found = await fetch_updates(
                bot,
                WAIT_SECONDS,
                offset=str(self._offset),
                allowed_updates=json.dumps(WANTED_UPDATES),
            )
        except CallError as error:
            return self._refused(error.answer)
        numbers = [number for update in _dicts(found) if (number := _number(update)) is not None]
        admitted = [
            incoming
            for update in _dicts(found)
            if (_number(update) or self._offset) >= self._offset
            and (incoming := self._inbox.admit(self._settings, update))
        ]
        if admitted:
            # Written down before the next question, which tells Telegram to forget them.
            try:
                await self._write(admitted)
            except TownClosedError:
                for incoming in admitted:
                    await asyncio.to_thread(self._maintenance.tell, self._settings, incoming)
                raise
        fresh = max(numbers, default=-1) >= self._offset
        if fresh:
            self._offset = max(numbers) + 1
        # Who answers nothing at once would be asked thousands of times a minute.
        is_quick = time.monotonic() - asked_at < 1
        return 1.0 if is_quick and not fresh else 0.0

    def _enter(self) -> None:
        """Begin a transaction, and nothing more.

        Raises:
            TownClosedError: the town is closed for maintenance, or has moved.
        """
        try:
            with self._open_town(self._slug) as ctx:
                ctx.session.connection()
        except SQLAlchemyError as error:
            # The database is away: Telegram may be asked, and whoever writes waits for it.
            log.warning("telegram.not_entered town=%s reason=%s", self._slug, type(error).__name__)

    async def _write(self, admitted: list[Incoming]) -> None:
        """Write updates down, however long the database is away. One that cannot be is dropped.

        Raises:
            TownClosedError: the town was closed meanwhile.
        """
        while admitted:
            try:
                await asyncio.to_thread(self._write_together, admitted)
            except TownClosedError:
                raise
            except Exception as error:
                log.exception("telegram.not_written town=%s", self._slug)
                if len(admitted) > 1:
                    for incoming in admitted:
                        await self._write([incoming])
                    return
                if isinstance(error, UNWRITABLE):
                    return
                await asyncio.sleep(PAUSE_SECONDS)
            else:
                return

    def _write_together(self, admitted: list[Incoming]) -> None:
        with self._open_town(self._slug) as ctx:
            write_all(ctx, admitted)

    def _refused(self, answer: Answer) -> float:
        log.warning(
            "telegram.unanswered town=%s fate=%s reason=%s", self._slug, answer.fate, answer.reason
        )
        # Somebody set a webhook meanwhile, or this was the first call that failed.
        self._greeted = self._greeted and "webhook" not in answer.reason.lower()
        if answer.fate is Fate.WAIT and answer.after:
            return answer.after.total_seconds()
        if answer.fate in {Fate.BOT_REFUSED, Fate.BARRED}:
            # A person has to act; *État du portail* says so, since its check asks Telegram too.
            return REFUSED_PAUSE_SECONDS
        return PAUSE_SECONDS


def _dicts(found: Any) -> list[dict[str, Any]]:
    listed = found if isinstance(found, list) else []
    return [update for update in listed if isinstance(update, dict)]


def _number(update: dict[str, Any]) -> int | None:
    number = update.get("update_id")
    return number if isinstance(number, int) and not isinstance(number, bool) else None
