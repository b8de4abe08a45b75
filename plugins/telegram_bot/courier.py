"""Sending for one town: at Telegram's pace, and knowing after each call what became of it."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from core.plugin import Document, PermanentError, TenantContext
from plugins.telegram_bot.answers import Answer, Fate
from plugins.telegram_bot.book import Book
from plugins.telegram_bot.bots import Bots
from plugins.telegram_bot.events import Screen
from plugins.telegram_bot.settings import TelegramSettings

if TYPE_CHECKING:
    from telegram import Bot, InlineKeyboardMarkup

T = TypeVar("T")

log = logging.getLogger(__name__)

MAX_WAIT = timedelta(seconds=2)
"""Longest wait of a worker for its turn; beyond, the message goes back to the outbox."""


class NotSentError(Exception):
    """Telegram surely did not take it: the same may be tried after `after`."""

    def __init__(self, reason: str, after: timedelta | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.after = after


class ChatRefusedError(Exception):
    """Telegram refuses this chat; `fate` says whether the chat is over, or only out of reach."""

    def __init__(self, fate: Fate, reason: str) -> None:
        super().__init__(reason)
        self.fate = fate
        self.reason = reason


class UnknownError(Exception):
    """Nobody answered: it may have been taken, so it is not tried again."""


class UneditableError(Exception):
    """The message to edit is gone, or is none of ours."""


class UnchangedError(Exception):
    """The message already reads so."""


class Courier:
    """Talks to Telegram for one town.

    Every method ends the transaction at hand before it speaks to Telegram: no lock is held over a
    call. The caller has taken its turn. All raise `NotSentError`, `ChatRefusedError`,
    `UnknownError`, and `PermanentError` for a message that Telegram does not take.
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
        except UnchangedError:
            return

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
        except (PermanentError, NotSentError, UnknownError, ChatRefusedError):
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
        if wait > MAX_WAIT:
            raise NotSentError("it is not this chat's turn", wait)
        time.sleep(max(wait.total_seconds(), 0))

    def _call(self, chat_id: int, work: Callable[[Bot], Awaitable[T]]) -> T:
        from plugins.telegram_bot.transport import CallError  # noqa: PLC0415 - see Bots._make

        self._ctx.session.commit()
        try:
            return self._bots.call(self._settings, work)
        except CallError as error:
            answer = error.answer
        except TimeoutError:
            answer = Answer(Fate.UNKNOWN, "no answer")
        raise self._failure(chat_id, answer) from None

    def _failure(self, chat_id: int, answer: Answer) -> Exception:
        """Turn an answer into what the caller has to know, and note what concerns the whole bot."""
        match answer.fate:
            case Fate.WAIT:
                Book(self._ctx).hold(chat_id, answer.after or MAX_WAIT)
                self._ctx.session.commit()
                return NotSentError("Telegram asks to wait", answer.after)
            case Fate.BOT_REFUSED | Fate.BARRED:
                pause = Book(self._ctx).stop(answer.reason)
                self._ctx.session.commit()
                log.error("telegram.stopped town=%s reason=%s", self._ctx.town.slug, answer.reason)
                return NotSentError(answer.reason, pause)
            case Fate.NOT_SENT:
                return NotSentError(answer.reason)
            case Fate.CLOSED | Fate.UNREACHABLE | Fate.FORBIDDEN:
                return ChatRefusedError(answer.fate, answer.reason)
            case Fate.UNEDITABLE:
                return UneditableError(answer.reason)
            case Fate.UNCHANGED:
                return UnchangedError(answer.reason)
            case Fate.UNKNOWN:
                return UnknownError(answer.reason)
            case _:
                return PermanentError(answer.reason)


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
