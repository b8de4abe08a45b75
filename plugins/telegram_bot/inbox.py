"""The door for updates, from webhooks and from polling: checked, counted, written down."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from core.plugin import TenantContext
from plugins.telegram_bot.events import Incoming, Kind, read_update
from plugins.telegram_bot.settings import TelegramSettings

UPDATE = "telegram_bot.update"
"""The outbox topic of updates that came in."""

PER_CHAT = RateLimitItemPerSecond(15, 10)
"""Updates of one chat that a process takes in ten seconds: more than fingers can, less than a
program does. What is beyond is dropped, so that a flood makes no rows."""


class Inbox:
    """One process's door."""

    def __init__(self) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def accept(self, ctx: TenantContext, settings: TelegramSettings, raw: Any) -> bool:
        """Write an update down for the conversation; tells whether it was of use.

        The same update again is the same row: Telegram repeats what it doubts was taken.
        """
        incoming = read_update(settings.bot_id, raw)
        if incoming is None:
            return False
        if not self._limiter.hit(PER_CHAT, settings.bot_id, str(incoming.chat_id)):
            return False
        ctx.outbox.add(UPDATE, asdict(incoming), key=incoming.key)
        return True


def from_payload(payload: dict[str, Any]) -> Incoming:
    """The update that `accept` wrote down."""
    return Incoming(**{**payload, "kind": Kind(payload["kind"])})
