"""Work for the bot, done by the workers: answer updates, and bring messages up to date."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

from core.plugin import PermanentError, RetryableError, TenantContext
from plugins.telegram_bot import screens
from plugins.telegram_bot.answers import Fate
from plugins.telegram_bot.book import Book
from plugins.telegram_bot.conversation import Conversation
from plugins.telegram_bot.courier import (
    MAX_WAIT,
    ChatRefusedError,
    Courier,
    NotSentError,
    UneditableError,
    UnknownError,
)
from plugins.telegram_bot.events import Action, Incoming, Kind, Leave, Notice, SendFile, Show
from plugins.telegram_bot.inbox import from_payload
from plugins.telegram_bot.skills import Skills
from plugins.telegram_bot.words import local_date, speaking

REFRESH = "telegram_bot.refresh"
SWEEP = "telegram_bot.sweep"
KEPT_FOR = timedelta(days=180)


def answer(
    ctx: TenantContext, courier: Courier, payload: dict[str, Any], skills: Skills | None = None
) -> None:
    """Answer an update: decide in one transaction, then speak.

    An update is claimed with that transaction, so that one delivered twice is answered once. When
    Telegram surely took nothing yet, the claim is given back and the update is answered later: the
    conversation may be run again, it says the same.
    """
    incoming = from_payload(payload)
    key = right_of(incoming)
    book = Book(ctx)
    wait = book.claim_turn(key, incoming.chat_id, MAX_WAIT, answer=True)
    if wait is None:
        return
    if wait > MAX_WAIT:
        ctx.session.commit()
        raise RetryableError("it is not this chat's turn", wait)
    actions = Conversation(ctx, incoming, skills).actions()
    ctx.session.commit()
    if incoming.kind is Kind.GROUP:
        _leave(courier, incoming.chat_id, actions)
        return
    spoken = False
    try:
        for action in actions:
            if isinstance(action, Show | SendFile):
                if spoken:
                    courier.wait_for_turn(incoming.chat_id)
                else:
                    time.sleep(wait.total_seconds())
                _do(courier, incoming.chat_id, action)
                spoken = True
            else:
                _do(courier, incoming.chat_id, action)
        if spoken:
            book.taken()
    except NotSentError as refusal:
        if not spoken:
            book.release(key)
            ctx.session.commit()
        raise RetryableError(refusal.reason, refusal.after) from None
    except ChatRefusedError as refusal:
        pause = book.refused(incoming.chat_id, refusal.reason, over=refusal.fate is Fate.CLOSED)
        if pause and not spoken:
            book.release(key)
        ctx.session.commit()
        if pause and not spoken:
            raise RetryableError(refusal.reason, pause) from None
    except UnknownError:
        # It may have been said; the parent can ask again, which is better than hearing it twice.
        return


def right_of(incoming: Incoming) -> str:
    """Key of the right to answer an update."""
    return f"update:{incoming.key}"


def _leave(courier: Courier, chat_id: int, actions: Sequence[Action]) -> None:
    """Say why and leave a group; where the bot may not write, or is out already, do it quietly."""
    for action in actions:
        with suppress(ChatRefusedError, PermanentError, NotSentError, UnknownError):
            _do(courier, chat_id, action)


def _do(courier: Courier, chat_id: int, action: Action) -> None:
    match action:
        case Show(screen, edit):
            courier.show(chat_id, screen, edit)
        case SendFile(document, caption):
            courier.document(chat_id, document, caption)
        case Notice(query_id, text):
            courier.notice(chat_id, query_id, text)
        case Leave():
            courier.leave(chat_id)


def ask_to_refresh(ctx: TenantContext, event_id: str, invoice_ids: tuple[int, ...]) -> None:
    """Have every message that shows these invoices brought up to date, each on its own."""
    for message in Book(ctx).showing(invoice_ids):
        payload = {"chat_id": message.chat_id, "message_id": message.message_id}
        key = f"{event_id}/{message.chat_id}/{message.message_id}"
        ctx.outbox.add(REFRESH, payload, key=key)


def refresh(ctx: TenantContext, courier: Courier, payload: dict[str, Any]) -> None:
    """Edit one message so that it shows its invoices as they stand now. Repeats harmlessly."""
    chat_id, message_id = int(payload["chat_id"]), int(payload["message_id"])
    book = Book(ctx)
    links = {link.family_id: link for link in book.links_of_chat(chat_id)}
    families = {id_: family for id_ in links if (family := ctx.families.get(id_))}
    ids = book.shown_in(chat_id, message_id)
    seen = {i.id: i for family_id in families for i in ctx.invoices.seen_by(family_id, ids)}
    shown = [seen[invoice_id] for invoice_id in ids if invoice_id in seen]
    if not shown:
        return
    with speaking(next(iter(links.values())).language):
        today = local_date(ctx.clock.now())
        held = {invoice.under_way for invoice in shown if invoice.under_way}
        attempts = ctx.payments.attempts(held)
        screen = screens.invoices(
            ctx.town,
            shown,
            families,
            today=today,
            attempts=attempts,
            online=ctx.payments.online,
            link=None,
        )
    try:
        courier.wait_for_turn(chat_id)
        courier.edit(chat_id, message_id, screen)
    except UneditableError:
        book.remember(chat_id, message_id, ())
    except ChatRefusedError as refusal:
        pause = book.refused(chat_id, refusal.reason, over=refusal.fate is Fate.CLOSED)
        if pause:
            ctx.session.commit()
            raise RetryableError(refusal.reason, pause) from None
    except NotSentError as refusal:
        raise RetryableError(refusal.reason, refusal.after) from None
    except UnknownError as failure:
        raise RetryableError(str(failure)) from None


def sweep(ctx: TenantContext, _payload: dict[str, Any]) -> None:
    """Forget what is of no use any more."""
    Book(ctx).sweep(keep=KEPT_FOR)
