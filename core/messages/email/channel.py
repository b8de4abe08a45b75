"""E-mail, the channel that every town has: RFC 5322 messages over SMTP."""

from __future__ import annotations

import quopri
import smtplib
from base64 import b64encode
from collections.abc import Iterator, Sequence
from datetime import timedelta
from email import policy
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import format_datetime, parseaddr, quote
from functools import lru_cache
from typing import Any, cast

from core.api.context import TenantContext
from core.api.messages import (
    Address,
    Delivered,
    Delivery,
    Message,
    NotificationChannel,
    Rejected,
    Retry,
)
from core.api.plugin import Plugin, PluginSettings, hookimpl
from core.domain.addresses import AddressError, leaving
from core.domain.smtp_replies import Cause, Reply, Stage
from core.messages.email import smtp
from core.messages.email.bounces import sender_for
from core.platform.settings import Settings
from core.platform.signing import keyed_hash
from core.platform.tenancy.config import TenantConfig
from core.unit_of_work import UnitOfWork


class EmailChannel:
    """Sends mails in the town's name through the installation's server."""

    key = "email"
    label = "E-mail"

    def __init__(self, town: UnitOfWork) -> None:
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
        try:
            mail = compose(message, to, number, town.config, leaving(parseaddr(sender)[1]))
        except AddressError as error:
            return Rejected(f"no mail can leave for it: {error}")
        mail["Date"] = format_datetime(town.clock.now())
        back = sender_for(installation.mail_returns, town.config.slug, number)
        return send(mail, installation, envelope_sender=back)


def compose(
    message: Message, to: Address, number: str, town: TenantConfig, sender: str
) -> EmailMessage:
    """Write the mail: text and HTML, attachments, and the headers that mailboxes look for."""
    mail = EmailMessage()
    mail["From"] = _mailbox("From", town.name, sender)
    mail["To"] = leaving(to.value)
    mail["Subject"] = _subject(message.subject)
    mail["Message-ID"] = f"<{number}@{sender.rpartition('@')[2]}>"
    # RFC 3834: no out-of-office answers, please.
    mail["Auto-Submitted"] = _header("Auto-Submitted", "auto-generated")
    reply_to = town.file.mail.reply_to or town.file.contact.email
    if reply_to:
        name, address = parseaddr(reply_to)
        mail["Reply-To"] = _mailbox("Reply-To", name, leaving(address))
    if message.unsubscribe_url:
        # RFC 2369 and, for one click, RFC 8058.
        # A URL in pieces is none: it has one line.
        way_out = f"<{message.unsubscribe_url}>"
        mail["List-Unsubscribe"] = _written("List-Unsubscribe", way_out, way_out)
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


class _Written(str):
    """A header's value, and the lines in which it is written.

    The standard library folds none of it: its folding loses a space of some subjects and the quotes
    of a long sender (Python 3.11).
    """

    __slots__ = ("lines", "name")
    name: str
    lines: str

    def fold(self, *, policy: EmailPolicy) -> str:
        """The header as it is sent."""
        return f"{self.name}: {self.lines}\n".replace("\n", policy.linesep)


def _written(name: str, value: str, lines: str) -> _Written:
    made = _Written(value)
    made.name, made.lines = name, lines
    return made


_LINE = 76
"""Characters of a line of a header (RFC 2047)."""


@lru_cache(maxsize=256)
def _subject(words: str) -> _Written:
    """A subject that every mailbox reads as it is; line ends in it are spaces."""
    one_line = " ".join(words.splitlines())
    fits = len("Subject: ") + len(one_line) <= _LINE and one_line == one_line.strip()
    plain = fits and _is_plain(one_line)
    return _written("Subject", one_line, one_line if plain else _coded(one_line))


@lru_cache(maxsize=256)
def _mailbox(header: str, name: str, address: str) -> _Written:
    """A name and an address."""
    one_line = " ".join(name.splitlines())
    if not one_line:
        return _written(header, address, address)
    quoted = quote(one_line)
    value = f'"{quoted}" <{address}>'
    lines = _folded(header, f'"{quoted}"') if _is_plain(one_line) else _coded(one_line)
    fits = len(header) + len(lines.rpartition("\n")[2]) + len(address) + 5 <= _LINE
    gap = " " if fits else "\n "
    return _written(header, value, f"{lines}{gap}<{address}>")


def _is_plain(words: str) -> bool:
    return words.isascii() and words.isprintable() and "=?" not in words


def _folded(header: str, words: str) -> str:
    """Words in lines, each begun with a space that the words have there."""
    lines, room = [""], _LINE - len(header) - 2
    for number, word in enumerate(words.split(" ")):
        piece = f" {word}" if number else word
        if len(lines[-1]) + len(piece) > room and lines[-1].strip():
            lines.append("")
            room = _LINE
        lines[-1] += piece
    return "\n".join(lines)


def _coded(words: str) -> str:
    """Words as encoded words (RFC 2047)."""
    return "\n ".join(
        f"=?utf-8?b?{b64encode(piece.encode()).decode('ascii')}?=" for piece in _pieces(words)
    )


_PIECE = 39
"""Bytes of an encoded word: with the longest of our headers' names, it fits into a line."""


def _pieces(words: str) -> Iterator[str]:
    """Cut words into what an encoded word holds, never beside a space, which readers double."""
    start = 0
    while start < len(words):
        end = start
        size = 0
        while end < len(words) and (size := size + len(words[end].encode())) <= _PIECE:
            end += 1
        cut = end
        while cut < len(words) and " " in words[cut - 1 : cut + 1] and cut > start:
            cut -= 1
        end = cut if cut > start else end  # Spaces only.
        yield words[start:end]
        start = end


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
        return Rejected(str(reply))
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
        return [EmailChannel(cast("UnitOfWork", ctx))]


plugin = Email()
