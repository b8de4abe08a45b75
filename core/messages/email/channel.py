"""E-mail, the channel that every town has: RFC 5322 messages over SMTP."""

from __future__ import annotations

import quopri
import smtplib
from collections.abc import Sequence
from datetime import timedelta
from email import policy
from email.headerregistry import Address as MailAddress
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import format_datetime, parseaddr
from functools import lru_cache
from typing import Any, cast

from core.api.context import TenantContext
from core.api.messages import (
    Address,
    Dead,
    Delivered,
    Delivery,
    Message,
    NotificationChannel,
    Retry,
)
from core.api.plugin import Plugin, PluginSettings, hookimpl
from core.domain.smtp_replies import Cause, Reply, Stage
from core.messages.email import smtp
from core.messages.email.bounces import sender_for
from core.platform.settings import Settings
from core.platform.signing import keyed_hash
from core.platform.tenancy.config import TenantConfig
from core.unit_of_work import Town


class EmailChannel:
    """Sends mails in the town's name through the installation's server."""

    key = "email"
    label = "E-mail"

    def __init__(self, town: Town) -> None:
        self._town = town

    def addresses(self, family_id: int, kind: str) -> tuple[Address, ...]:
        """The addresses the family confirmed; a payment's own confirmation goes to its payer."""
        if kind == "payment_settled":
            return ()
        return tuple(
            Address(address, family_id) for address in self._town.families.emails(family_id)
        )

    def deliver(self, message: Message, to: Address, key: str) -> Delivery:
        """Hand one mail to the server.

        The same `key` gives the same Message-ID: a mailbox shows a mail that came twice once.
        """
        town, installation = self._town, self._town.installation
        # Keyed: who knows the key of a message cannot report it as returned.
        number = keyed_hash(installation.secret_key, "mail", f"{town.config.slug}/{key}").hex()[:24]
        sender = town.config.file.mail.sender or installation.mail_from
        mail = compose(message, to, number, town.config, parseaddr(sender)[1])
        mail["Date"] = format_datetime(town.clock.now())
        back = sender_for(installation.mail_returns, town.config.slug, number)
        return send(mail, installation, envelope_sender=back)


def compose(
    message: Message, to: Address, number: str, town: TenantConfig, sender: str
) -> EmailMessage:
    """Write the mail: text and HTML, attachments, and the headers that mailboxes look for."""
    mail = EmailMessage()
    mail["From"] = _header("From", str(MailAddress(town.name, addr_spec=sender)))
    mail["To"] = to.value
    mail["Subject"] = _header("Subject", message.subject)
    mail["Message-ID"] = f"<{number}@{sender.rpartition('@')[2]}>"
    # RFC 3834: no out-of-office answers, please.
    mail["Auto-Submitted"] = _header("Auto-Submitted", "auto-generated")
    reply_to = town.file.mail.reply_to or town.file.contact.email
    if reply_to:
        mail["Reply-To"] = _header("Reply-To", reply_to)
    if message.unsubscribe_url:
        # RFC 2369 and, for one click, RFC 8058.
        mail["List-Unsubscribe"] = _Whole(f"<{message.unsubscribe_url}>")
        one_click = _header("List-Unsubscribe-Post", "List-Unsubscribe=One-Click")
        mail["List-Unsubscribe-Post"] = one_click
    mail["MIME-Version"] = _header("MIME-Version", "1.0")
    if message.html:
        mail["Content-Type"] = _header("Content-Type", "multipart/alternative")
        mail.set_payload([_part(message.text, "plain"), _part(message.html, "html")])
    else:
        mail.set_content(message.text)
    for document in message.documents:
        maintype, _slash, subtype = document.media_type.partition("/")
        mail.add_attachment(
            document.content, maintype=maintype, subtype=subtype, filename=document.name
        )
    return mail


class _Whole(str):
    """A ``List-Unsubscribe``, which is not folded: a URL in pieces is none (RFC 2369)."""

    __slots__ = ()
    name = "List-Unsubscribe"

    def fold(self, *, policy: EmailPolicy) -> str:
        """The header's one line."""
        return f"{self.name}: {self}{policy.linesep}"


def _part(words: str, subtype: str) -> EmailMessage:
    """Words as a part of a mail, as `EmailMessage.set_content` makes it from scratch each time."""
    part = EmailMessage()
    part["Content-Type"] = _header("Content-Type", f'text/{subtype}; charset="utf-8"')
    part["Content-Transfer-Encoding"] = _header("Content-Transfer-Encoding", "quoted-printable")
    part.set_payload(quopri.encodestring(words.encode()).decode("ascii"))
    return part


@lru_cache(maxsize=256)
def _header(name: str, value: str) -> Any:
    """A header that many mails share, parsed once: parsing takes most of writing a mail.

    Raises:
        ValueError: there is a line's end in it.
    """
    return policy.default.header_store_parse(name, value)[1]


def send(mail: EmailMessage, installation: Settings, envelope_sender: str = "") -> Delivery:
    """Speak SMTP. Only what speaks of the recipient is dead; anything else may pass later.

    `envelope_sender` is where a mail that cannot be delivered returns to; ``From`` when empty.
    """
    try:
        with smtp.connection(installation) as server:
            server.send_message(mail, from_addr=envelope_sender or None)
    except (smtplib.SMTPException, OSError) as error:
        return _not_taken(_reply(error))
    return Delivered(str(mail["Message-ID"]))


_STAGES: tuple[tuple[type[smtplib.SMTPResponseException], Stage], ...] = (
    (smtplib.SMTPAuthenticationError, Stage.AUTH),
    (smtplib.SMTPSenderRefused, Stage.MAIL),
    (smtplib.SMTPDataError, Stage.DATA),
)


def _reply(error: Exception) -> Reply:
    """What the server answered, and to which command."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code, said = next(iter(error.recipients.values()))
        return Reply(Stage.RCPT, code, _text(said))
    if isinstance(error, smtplib.SMTPResponseException):
        stage = next((one for kind, one in _STAGES if isinstance(error, kind)), Stage.CONNECT)
        # smtplib says -1 for a reply that is none.
        return Reply(stage, max(error.smtp_code, 0), _text(error.smtp_error))
    return Reply(Stage.CONNECT, 0, f"{type(error).__name__}: {error}")


def _text(said: bytes | str) -> str:
    return said.decode(errors="replace") if isinstance(said, bytes) else said


_WAITS = {Cause.QUOTA: timedelta(hours=2), Cause.FULL: timedelta(hours=2)}
"""Time after which what was refused for good, but not by its mailbox, is tried again."""
_OTHER_WAIT = timedelta(hours=1)


def _not_taken(reply: Reply) -> Delivery:
    cause = reply.cause
    if cause is Cause.RECIPIENT:
        return Dead(str(reply))
    # A relay that is away or busy is asked again soon; an hour ends no refusal for good.
    after = _WAITS.get(cause, _OTHER_WAIT) if reply.code >= 500 else None
    return Retry(str(reply), after)


class Email(Plugin[PluginSettings]):
    """The plugin object."""

    name = "email"
    label = "E-mail"
    Settings = PluginSettings
    built_in = True

    @hookimpl
    def notification_channels(self, ctx: TenantContext) -> Sequence[NotificationChannel]:
        """Every town writes mails."""
        return [EmailChannel(cast("Town", ctx))]


plugin = Email()
