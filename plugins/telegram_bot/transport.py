"""Carrying calls to the Bot API, so that every failure is an `Answer` read by our own rules.

python-telegram-bot judges an answer by its HTTP status alone: a proxy's 403 page is `Forbidden` to
it, and an error under status 200 is a success. Its errors are therefore made here instead.

Importing this module loads python-telegram-bot, a quarter of a second: only who talks to Telegram
does so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import httpx
from telegram.error import TelegramError
from telegram.request import HTTPXRequest

from plugins.telegram_bot.answers import Answer, Fate, read_answer, unanswered

if TYPE_CHECKING:
    from telegram import Bot
    from telegram.request import RequestData

NEVER_LEFT = (
    httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError,
    httpx.WriteError, httpx.WriteTimeout, httpx.LocalProtocolError, httpx.UnsupportedProtocol,
    httpx.InvalidURL,
)  # fmt: skip
"""Failures before the whole call had left: the Bot API reads no half of a call."""


class CallError(TelegramError):
    """A call that was not taken; `answer` says what is known of it."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.reason or answer.fate)
        self.answer = answer


class Transport(HTTPXRequest):
    """python-telegram-bot's HTTP client, with answers read by `read_answer`."""

    async def do_request(
        self, url: str, method: str, *args: Any, **kwargs: Any
    ) -> tuple[int, bytes]:
        """Make one call; return only what was taken.

        Raises:
            CallError: it was not, or nobody knows.
        """
        called = url.rpartition("/")[2]
        try:
            status, body = await super().do_request(url, method, *args, **kwargs)
        except TelegramError as error:
            cause = error.__cause__ or error
            sent = not isinstance(cause, NEVER_LEFT)
            raise CallError(unanswered(called, type(cause).__name__, sent=sent)) from None
        except NEVER_LEFT as error:
            raise CallError(unanswered(called, type(error).__name__, sent=False)) from None
        answer = read_answer(called, status, body)
        if answer.fate is not Fate.TAKEN:
            raise CallError(answer)
        return status, body


@dataclass(frozen=True)
class _Fields:
    """The fields of a call, in the form of `RequestData`, which is made of typed objects only."""

    json_parameters: dict[str, str]
    multipart_data: None = None


async def fetch_updates(bot: Bot, seconds: int, **fields: str) -> Any:
    """Ask for updates and wait up to `seconds` for some; what comes is unread JSON.

    `Bot.get_updates` reads every update into typed objects, and raises for all when it cannot read
    one.

    Raises:
        CallError: nothing came.
    """
    data = cast("RequestData", _Fields({"timeout": str(seconds), **fields}))
    url = f"{bot.base_url}/getUpdates"
    return await bot.request.post(url, data, read_timeout=seconds + 10)
