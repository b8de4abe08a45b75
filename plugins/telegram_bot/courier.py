"""Sending for one town: at Telegram's pace, and knowing after each call what became of it."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from core.plugin import Document, PermanentError, TenantContext
from plugins.telegram_bot.book import Book
from plugins.telegram_bot.bots import Bots
from plugins.telegram_bot.events import Screen
from plugins.telegram_bot.settings import TelegramSettings

if TYPE_CHECKING:
    from telegram import Bot, InlineKeyboardMarkup

T = TypeVar("T")

PATIENCE = timedelta(seconds=2)
"""How long a worker waits for its turn; beyond, the message goes back to the outbox."""

_GONE = ("chat not found", "user is deactivated", "peer_id_invalid", "bot was blocked")
_QUOTED = re.compile(r"""(["']).*\1""", re.DOTALL)
_NOT_MODIFIED = "message is not modified"
_UNEDITABLE = ("message to edit not found", "message can't be edited", "there is no text")


class NotSentError(Exception):
    """Telegram surely did not take it: the same may be tried after `after`."""

    def __init__(self, reason: str, after: timedelta | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.after = after


class GoneError(Exception):
    """The chat is closed to us for good: blocked, deleted, unknown."""


class UnknownError(Exception):
    """Nobody answered: it may have been taken, so it is not tried again."""


class UneditableError(Exception):
    """The message to edit is gone, or is none of ours."""


class Courier:
    """Talks to Telegram for one town.

    Every method ends the transaction at hand before it speaks to Telegram: no lock is held over a
    call. The caller has taken its turn. All raise `NotSentError`, `GoneError`, `UnknownError`, and
    `PermanentError` for a mistake of ours (a wrong token, a message that Telegram does not take).
    """

    def __init__(self, ctx: TenantContext, settings: TelegramSettings, bots: Bots) -> None:
        self._ctx = ctx
        self._settings = settings
        self._bots = bots

    def show(self, chat_id: int, screen: Screen, edit: int = 0) -> int:
        """Write a message, in place of message `edit` if it is still there; returns its number."""
        if edit:
            try:
                self.edit(chat_id, edit, screen)
            except UneditableError:
                edit = 0
        if not edit:
            edit = self._send(chat_id, screen)
            if not screen.invoice_ids:
                return edit
        # The caller commits this with the end of its outbox row: one transaction for both.
        Book(self._ctx).remember(chat_id, edit, screen.invoice_ids)
        return edit

    def edit(self, chat_id: int, message_id: int, screen: Screen) -> None:
        """Replace a message; nothing happens when it already reads so.

        Raises:
            UneditableError: the message is gone, or is none of ours.
        """
        async def edit(bot: Bot) -> Any:
            return await bot.edit_message_text(
                screen.html,
                chat_id,
                message_id,
                parse_mode="HTML",
                reply_markup=_markup(screen),
                disable_web_page_preview=True,
            )

        try:
            self._call(chat_id, edit)
        except PermanentError as refusal:
            if _NOT_MODIFIED not in refusal.reason.lower():
                raise

    def document(self, chat_id: int, document: Document, caption: str) -> int:
        """Send a file; returns the message's number."""
        async def send(bot: Bot) -> int:
            sent = await bot.send_document(
                chat_id,
                document.content,
                filename=document.name,
                caption=caption,
                parse_mode="HTML",
            )
            return sent.message_id

        return self._call(chat_id, send)

    def notice(self, chat_id: int, query_id: str, text: str) -> None:
        """Answer a tapped button. It only stops a little wheel: too late is no harm."""
        try:
            self._call(chat_id, lambda bot: bot.answer_callback_query(query_id, text or None))
        except (PermanentError, NotSentError, UnknownError):
            return

    def leave(self, chat_id: int) -> None:
        """Leave a group."""
        self._call(chat_id, lambda bot: bot.leave_chat(chat_id))

    def _send(self, chat_id: int, screen: Screen) -> int:
        async def send(bot: Bot) -> int:
            sent = await bot.send_message(
                chat_id,
                screen.html,
                parse_mode="HTML",
                reply_markup=_markup(screen),
                disable_web_page_preview=True,
            )
            return sent.message_id

        return self._call(chat_id, send)

    def wait_for_turn(self, chat_id: int) -> None:
        """Before an answer: wait until the chat may be written to again.

        Raises:
            NotSentError: it is too long to wait for here.
        """
        wait = Book(self._ctx).turn(chat_id, answer=True) - self._ctx.clock.now()
        self._ctx.session.commit()
        if wait > PATIENCE:
            raise NotSentError("it is not this chat's turn", wait)
        time.sleep(max(wait.total_seconds(), 0))

    def _call(self, chat_id: int, work: Callable[[Bot], Awaitable[T]]) -> T:
        from telegram import error  # noqa: PLC0415 - see Bots._make

        self._ctx.session.commit()
        try:
            return self._bots.call(self._settings, work)
        except error.RetryAfter as refusal:
            wait = _seconds(refusal.retry_after)
            Book(self._ctx).hold(chat_id, wait)
            self._ctx.session.commit()
            raise NotSentError("Telegram asks to wait", wait) from None
        except error.Forbidden as refusal:
            raise GoneError(refusal.message) from None
        except error.BadRequest as refusal:
            raise _refused(refusal.message) from None
        except (error.InvalidToken, error.Conflict) as refusal:
            raise PermanentError(f"Telegram refuses the bot: {refusal.message}") from None
        except error.NetworkError as failure:
            raise _unanswered(failure) from None
        except TimeoutError:
            raise UnknownError("no answer") from None
        except error.TelegramError as refusal:
            if isinstance(refusal.__cause__, ValueError):
                # No JSON: somebody on the way answered, as with a page for maintenance.
                raise NotSentError(refusal.message) from None
            raise PermanentError(refusal.message) from None


def _refused(reason: str) -> Exception:
    said = reason.lower()
    if any(words in said for words in _GONE):
        return GoneError(reason)
    if any(words in said for words in _UNEDITABLE):
        return UneditableError(reason)
    # Telegram quotes what it refuses, as a link to pay: nothing for logs.
    return PermanentError(_QUOTED.sub("'…'", reason))


def _unanswered(failure: Exception) -> Exception:
    """What a failed exchange means: before a connection stood, nothing was sent."""
    import httpx  # noqa: PLC0415 - the client's own client: loaded with it

    cause = failure.__cause__
    if cause is None:
        # An answer came, and it was an error of Telegram's own (5xx).
        return NotSentError(str(failure))
    if isinstance(cause, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout):
        return NotSentError(type(cause).__name__)
    return UnknownError(type(cause).__name__)


def _seconds(value: float | timedelta) -> timedelta:
    # python-telegram-bot gives one or the other, by its version and PTB_TIMEDELTA (see Bots).
    return value if isinstance(value, timedelta) else timedelta(seconds=value)


def _markup(screen: Screen) -> InlineKeyboardMarkup | None:
    from telegram import InlineKeyboardButton, InlineKeyboardMarkup  # noqa: PLC0415

    if not screen.rows:
        return None
    return InlineKeyboardMarkup(
        [
            [
                InlineKeyboardButton(
                    button.label, url=button.url or None, callback_data=button.data or None
                )
                for button in row
            ]
            for row in screen.rows
        ]
    )
