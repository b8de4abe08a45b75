"""The bots of all towns in one process: made when needed, dropped when idle.

python-telegram-bot is asynchronous, web and task processes are not: one thread holds the event loop
and everybody hands it coroutines. All bots share one pool of connections, since they all talk to
the same host; a town's bot is then a few kilobytes, and a thousand towns fit in a process. An
`Application` would add to each a queue, a dispatcher and a job queue that the outbox, the
conversation and the scheduler already are.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from telegram import Bot

    from plugins.telegram_bot.settings import TelegramSettings
    from plugins.telegram_bot.transport import Transport

T = TypeVar("T")

IDLE = timedelta(minutes=10)
CONNECTIONS = 64
MAX_CALL_SECONDS = 60.0
"""Seconds after which a call is given up, whatever the client thinks; a document may take long."""


class Bots:
    """One process's bots. Thread-safe; a forked child starts afresh."""

    def __init__(
        self,
        *,
        connections: int = CONNECTIONS,
        idle: timedelta = IDLE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connections = connections
        self._idle = idle.total_seconds()
        self._clock = clock
        self._forget()
        # A prefork worker inherits this object, but neither the thread nor sane sockets.
        os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._request: Transport | None = None
        self._bots: dict[tuple[str, str], tuple[Bot, float]] = {}

    def __len__(self) -> int:
        return len(self._bots)

    def call(self, settings: TelegramSettings, work: Callable[[Bot], Awaitable[T]]) -> T:
        """Run `work` with the town's bot, and wait for it.

        Raises:
            CallError: the call was not taken, or nobody knows; it is a TelegramError.
            TimeoutError: no end within `MAX_CALL_SECONDS`.
        """

        async def run() -> T:
            return await asyncio.wait_for(work(await self.get(settings)), MAX_CALL_SECONDS)

        return asyncio.run_coroutine_threadsafe(run(), self._running_loop()).result()

    def calls(
        self, settings: TelegramSettings, works: Sequence[Callable[[Bot], Awaitable[T]]]
    ) -> list[T | Exception]:
        """Run all `works` with the town's bot at the same time, and wait for them.

        In place of a result stands what `call` would raise.
        """

        async def run() -> list[T | BaseException]:
            bot = await self.get(settings)
            waiting = (asyncio.wait_for(work(bot), MAX_CALL_SECONDS) for work in works)
            return await asyncio.gather(*waiting, return_exceptions=True)

        found: list[T | Exception] = []
        for result in self.run(run()):
            if isinstance(result, BaseException) and not isinstance(result, Exception):
                raise result
            found.append(result)
        return found

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine beside the bots, and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._running_loop()).result()

    async def get(self, settings: TelegramSettings) -> Bot:
        """The town's bot. Only within the loop."""
        now = self._clock()
        key = (settings.token.get_secret_value(), settings.base_url)
        known = self._bots.pop(key, None)
        bot = known[0] if known else self._make(settings)
        # Put back at the end: the dictionary's order is that of last use.
        self._bots[key] = (bot, now)
        while (oldest := next(iter(self._bots))) and now - self._bots[oldest][1] > self._idle:
            del self._bots[oldest]
        return bot

    def close(self) -> None:
        """Close the connections and end the thread."""
        loop, thread, request = self._loop, self._thread, self._request
        self._forget()
        if loop is None or thread is None:
            return
        if request is not None:
            asyncio.run_coroutine_threadsafe(request.shutdown(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

    def _make(self, settings: TelegramSettings) -> Bot:
        # The client warns, at every flood limit, of the type that this asks for.
        os.environ.setdefault("PTB_TIMEDELTA", "true")
        # Imported here: a quarter of a second that only who talks to Telegram should pay.
        from telegram import Bot  # noqa: PLC0415

        from plugins.telegram_bot.transport import Transport  # noqa: PLC0415

        if self._request is None:
            self._request = Transport(
                connection_pool_size=self._connections, read_timeout=15, pool_timeout=10
            )
        return Bot(
            settings.token.get_secret_value(),
            base_url=f"{settings.base_url}/bot",
            base_file_url=f"{settings.base_url}/file/bot",
            request=self._request,
            get_updates_request=self._request,
        )

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=self._loop.run_forever, name="telegram", daemon=True
                )
                self._thread.start()
            return self._loop
