"""Sending for one town: at Telegram's pace, and knowing after each call what became of it."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from core.plugin import Document, PermanentError, TenantContext
from plugins.telegram_bot.answers import Answer, Fate
from plugins.telegram_bot.book import Book
from plugins.telegram_bot.bots import Bots
from plugins.telegram_bot.events import Action, Notice, Screen, SendFile, Show
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


@dataclass(frozen=True, slots=True)
class Spoken:
    """Outcome of speaking in a chat: the message's number, 0 where none was taken."""

    fate: Fate
    number: int = 0


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
        number = self._call(chat_id, partial(_show, chat_id=chat_id, screen=screen, edit=edit))
        if edit or screen.invoice_ids:
            # The caller commits this with the end of its outbox row: one transaction for both.
            Book(self._ctx).remember(chat_id, number, screen.invoice_ids)
        return number

    def edit(self, chat_id: int, message_id: int, screen: Screen) -> None:
        """Replace a message; nothing happens when it already reads so.

        Raises:
            UneditableError: the message is gone, or is none of ours.
        """
        self._call(chat_id, partial(_edit, chat_id=chat_id, message_id=message_id, screen=screen))

    def document(self, chat_id: int, document: Document, caption: str) -> int:
        """Send a file; returns the message's number."""
        return self._call(
            chat_id, partial(_send_file, chat_id=chat_id, document=document, caption=caption)
        )

    def notice(self, chat_id: int, query_id: str, text: str) -> None:
        """Answer a tapped button. It only stops a little wheel: too late is no harm."""
        with suppress(PermanentError, NotSentError, UnknownError, ChatRefusedError):
            self._call(chat_id, lambda bot: bot.answer_callback_query(query_id, text or None))

    def leave(self, chat_id: int) -> None:
        """Leave a group."""
        self._call(chat_id, lambda bot: bot.leave_chat(chat_id))

    def speak_at_once(self, spoken: Mapping[int, Sequence[Action]]) -> dict[int, Spoken]:
        """Speak in several chats at the same time; tells what became of each.

        No database is asked. The caller has taken the chats' turns, and what Telegram refuses is to
        be done again by the methods above, which note what it means.
        """
        chats = list(spoken)
        found = self._bots.calls(
            self._settings, [partial(_speak, chat_id=chat, actions=spoken[chat]) for chat in chats]
        )
        return dict(zip(chats, map(_spoken, found), strict=True))

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
            case Fate.UNKNOWN:
                return UnknownError(answer.reason)
            case _:
                return PermanentError(answer.reason)


# Calls of the Bot API; all raise `CallError`.


async def _speak(bot: Bot, chat_id: int, actions: Sequence[Action]) -> int:
    """Do what one update calls for; returns the number of the last message, 0 if there is none."""
    from plugins.telegram_bot.transport import CallError  # noqa: PLC0415 - see Bots._make

    number = 0
    for action in actions:
        match action:
            case Show(screen, edit):
                number = await _show(bot, chat_id, screen, edit)
            case SendFile(document, caption):
                number = await _send_file(bot, chat_id, document, caption)
            case Notice(query_id, text):
                # It only stops a little wheel: too late is no harm.
                with suppress(CallError):
                    await bot.answer_callback_query(query_id, text or None)
    return number


async def _show(bot: Bot, chat_id: int, screen: Screen, edit: int) -> int:
    """Write a message, in place of message `edit` if it is still there; returns its number."""
    from plugins.telegram_bot.transport import CallError  # noqa: PLC0415 - see Bots._make

    if edit:
        try:
            await _edit(bot, chat_id, edit, screen)
        except CallError as error:
            if error.answer.fate is not Fate.UNEDITABLE:
                raise
        else:
            return edit
    sent = await bot.send_message(
        chat_id,
        screen.html,
        parse_mode="HTML",
        reply_markup=_markup(screen),
        disable_web_page_preview=True,
    )
    return sent.message_id


async def _edit(bot: Bot, chat_id: int, message_id: int, screen: Screen) -> None:
    from plugins.telegram_bot.transport import CallError  # noqa: PLC0415 - see Bots._make

    try:
        await bot.edit_message_text(
            screen.html,
            chat_id,
            message_id,
            parse_mode="HTML",
            reply_markup=_markup(screen),
            disable_web_page_preview=True,
        )
    except CallError as error:
        if error.answer.fate is not Fate.UNCHANGED:
            raise


async def _send_file(bot: Bot, chat_id: int, document: Document, caption: str) -> int:
    sent = await bot.send_document(
        chat_id,
        document.content,
        filename=document.name,
        caption=caption,
        parse_mode="HTML",
    )
    return sent.message_id


def _spoken(found: int | Exception) -> Spoken:
    from plugins.telegram_bot.transport import CallError  # noqa: PLC0415 - see Bots._make

    match found:
        case CallError():
            return Spoken(found.answer.fate)
        case TimeoutError():
            return Spoken(Fate.UNKNOWN)
        case Exception():
            raise found
    return Spoken(Fate.TAKEN, found)


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
