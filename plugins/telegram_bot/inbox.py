"""The door for updates, from webhooks and from polling: checked, counted, written down."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import fields
from datetime import datetime
from functools import cached_property, partial
from typing import Any

from core.plugin import TenantContext
from plugins.telegram_bot.events import Incoming, Kind, read_update
from plugins.telegram_bot.settings import TelegramSettings

UPDATE = "telegram_bot.update"
"""The outbox topic of updates that came in."""

UPDATES = "telegram_bot.updates"
"""The outbox topic of several updates that came in at once, or that waited for a worker."""

ALONE = "telegram_bot.update_alone"
"""The outbox topic of updates that are answered one by one, whatever else waits."""

TOGETHER = 50
"""Updates of one row of `UPDATES`: they are answered together."""

PER_CHAT = 15, 10
"""Updates of one chat that a process takes in so many seconds: more than fingers can, less than a
program does. What is beyond is dropped, so that a flood makes no rows."""

_FIELDS = tuple(field.name for field in fields(Incoming))


class Inbox:
    """One process's door."""

    @cached_property
    def _may_enter(self) -> Callable[..., bool]:
        # Loaded with the first update: pages start without it.
        from limits import RateLimitItemPerSecond  # noqa: PLC0415
        from limits.storage import MemoryStorage  # noqa: PLC0415
        from limits.strategies import MovingWindowRateLimiter  # noqa: PLC0415

        limiter = MovingWindowRateLimiter(MemoryStorage())
        return partial(limiter.hit, RateLimitItemPerSecond(*PER_CHAT))

    def accept(self, ctx: TenantContext, settings: TelegramSettings, raw: Any) -> bool:
        """Write an update down for the conversation; tells whether it was of use.

        The same update again is the same row: Telegram repeats what it doubts was taken.
        """
        incoming = self.admit(settings, raw)
        if incoming is None:
            return False
        write(ctx, incoming)
        return True

    def admit(self, settings: TelegramSettings, raw: Any) -> Incoming | None:
        """Read and count an update, without a database; None for what is of no use or too much."""
        incoming = read_update(settings.bot_id, raw)
        if incoming is None or not self._may_enter(settings.bot_id, str(incoming.chat_id)):
            return None
        return incoming


def write(ctx: TenantContext, incoming: Incoming) -> None:
    """Write an admitted update down. The same update again is the same row."""
    ctx.outbox.add(UPDATE, to_payload(incoming), key=incoming.key)


def write_alone(ctx: TenantContext, incoming: Incoming, after: datetime) -> None:
    """Write an update down that is not to be answered with others, nor before `after`."""
    ctx.outbox.add(ALONE, to_payload(incoming), key=incoming.key, after=after)


def gather(ctx: TenantContext, payload: dict[str, Any]) -> bool:
    """Write an update down again with the town's others that wait, to be answered together.

    Tells whether there were others. After an outage, or where parents write faster than workers
    answer, many wait.
    """
    others = ctx.outbox.take_along(UPDATE, TOGETHER - 1)
    if others:
        waiting = (from_payload(each) for each in (payload, *others))
        write_all(ctx, sorted(waiting, key=lambda incoming: incoming.number))
    return bool(others)


def write_all(ctx: TenantContext, admitted: Sequence[Incoming]) -> None:
    """Write updates down that came together, to be answered together."""
    for start in range(0, len(admitted), TOGETHER):
        some = admitted[start : start + TOGETHER]
        if len(some) == 1:
            write(ctx, some[0])
        else:
            key = hashlib.sha256(" ".join(each.key for each in some).encode()).hexdigest()
            ctx.outbox.add(UPDATES, {"updates": [to_payload(each) for each in some]}, key=key)


def to_payload(incoming: Incoming) -> dict[str, Any]:
    """The update in the outbox's form. `asdict` would copy deeply what nobody changes."""
    return {name: getattr(incoming, name) for name in _FIELDS}


def from_payload(payload: dict[str, Any]) -> Incoming:
    """The update of `to_payload`."""
    return Incoming(**{**payload, "kind": Kind(payload["kind"])})
