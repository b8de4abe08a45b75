"""Telegram as a notification channel: core's messages, in the chats linked to a family."""

from __future__ import annotations

import time

from core.plugin import Address, Delivered, Delivery, Message, Rejected, Retry, TenantContext
from plugins.telegram_bot import screens
from plugins.telegram_bot.answers import Fate
from plugins.telegram_bot.book import Book
from plugins.telegram_bot.courier import (
    MAX_WAIT,
    ChatRefusedError,
    Courier,
    NotSentError,
    UnknownError,
)
from plugins.telegram_bot.events import Button, Screen
from plugins.telegram_bot.models import ChatLink
from plugins.telegram_bot.words import gettext as _
from plugins.telegram_bot.words import local_date, speaking

MAX_TEXT_CHARS = 3500
MAX_CAPTION_CHARS = 900
"""Below Telegram's 4096 and 1024, which count otherwise than Python does."""


class TelegramChannel:
    """One town's chats. An address is a chat's number."""

    key = "telegram_bot"
    label = "Telegram"

    def __init__(self, ctx: TenantContext, courier: Courier) -> None:
        self._ctx = ctx
        self._courier = courier

    def addresses(self, family_id: int, kind: str) -> tuple[Address, ...]:  # noqa: ARG002
        """The family's chats that want alerts."""
        links = Book(self._ctx).links_of_family(family_id)
        return tuple(Address(str(link.chat_id), family_id) for link in links if link.alerts)

    def deliver(self, message: Message, to: Address, key: str) -> Delivery:
        """Send one message, at most once for `key`.

        The key is claimed before Telegram is called. It is given back only when Telegram surely did
        not take the message; where nobody answered, the message counts as delivered.
        """
        chat_id = int(to.value)
        book = Book(self._ctx)
        link = next((k for k in book.links_of_chat(chat_id) if k.family_id == to.family_id), None)
        if link is None:
            return Rejected("the chat is no longer linked to this family")
        wait = book.claim_turn(key, chat_id, MAX_WAIT)
        self._ctx.session.commit()
        if wait is None:
            return Delivered()
        if wait > MAX_WAIT:
            return Retry("it is not this message's turn", wait)
        time.sleep(wait.total_seconds())
        try:
            with speaking(link.language):
                number = self._send(chat_id, link, message)
            book.taken()
            return Delivered(f"{chat_id}/{number}")
        except NotSentError as refusal:
            book.release(key)
            self._ctx.session.commit()
            return Retry(refusal.reason, refusal.after)
        except ChatRefusedError as refusal:
            pause = book.refused(chat_id, refusal.reason, over=refusal.fate is Fate.CLOSED)
            if pause or refusal.fate is Fate.FORBIDDEN:
                book.release(key)
                self._ctx.session.commit()
                return Retry(refusal.reason, pause)
            self._ctx.session.commit()
            return Rejected(refusal.reason)
        except UnknownError:
            return Delivered()

    def _send(self, chat_id: int, link: ChatLink, message: Message) -> int:
        if message.kind == "payment_settled" and message.documents:
            text = message.text if message.language == link.language else _receipt_words()
            caption = screens.safe(text, MAX_CAPTION_CHARS)
            return self._courier.document(chat_id, message.documents[0], caption)
        return self._courier.show(chat_id, self._screen(message, link))

    def _screen(self, message: Message, link: ChatLink) -> Screen:
        invoices = self._ctx.invoices.seen_by(link.family_id, message.invoice_ids)
        if invoices and message.kind != "payment_settled":
            # The family's language may be another than this chat's: no message speaks both.
            title = message.subject if message.language == link.language else _title(message.kind)
            held = {invoice.under_way for invoice in invoices if invoice.under_way}
            attempts = self._ctx.payments.attempts(held)
            is_reminder = message.kind in {"invoice_due", "reminder"}
            if is_reminder and attempts and not any(map(screens.can_be_paid, invoices)):
                title = next(iter(attempts.values())).title
            return screens.invoices(
                self._ctx.town,
                invoices,
                {},
                today=local_date(self._ctx.clock.now()),
                attempts=attempts,
                online=self._ctx.payments.online,
                link=None,
                note=f"<b>{screens.safe(title)}</b>" if title else "",
            )
        title = f"<b>{screens.safe(message.subject)}</b>"
        rows = tuple((Button(link.label, url=link.url),) for link in message.links)
        return Screen(f"{title}\n\n{screens.safe(message.text, MAX_TEXT_CHARS)}", rows)


def _title(kind: str) -> str:
    titles = {
        "invoices_published": _("Nouvelle facture en ligne"),
        "invoice_due": _("Rappel : une facture vous attend"),
        "reminder": _("Rappel : une facture vous attend"),
        "payment_reversed": _("Un paiement a été annulé"),
        "debit_rejected": _("Un prélèvement a été rejeté"),
    }
    return titles.get(kind, "")


def _receipt_words() -> str:
    return _("Votre paiement est enregistré. Voici le reçu.")
