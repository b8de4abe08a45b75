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
from typing import ClassVar

from core.messages.email import smtp
from core.messages.email.bounces import sender_for
from core.messages.email.settings import EmailInstallation
from core.plugin import (
    Address,
    AddressError,
    ChannelCapabilities,
    Delivered,
    Delivery,
    MailCause,
    MailReply,
    MailStage,
    Message,
    NotificationChannel,
    Plugin,
    PluginSettings,
    Rejected,
    Retry,
    TenantContext,
    TownInfo,
    hookimpl,
    leaving,
)


class EmailChannel:
    """Sends mails in the town's name through the installation's server."""

    key = "email"
    label = "E-mail"
    capabilities = ChannelCapabilities(bulk=True, receipts=True, bounces=True, invitations=True)

    def __init__(self, ctx: TenantContext) -> None:
        self._ctx = ctx

    def addresses(self, family_id: int, kind: str) -> tuple[Address, ...]:
        """The addresses the family confirmed; a payment's own confirmation goes to its payer."""
        if kind == "payment_settled":
            return ()
        return tuple(
            Address(address, family_id) for address in self._ctx.families.emails(family_id)
        )

    def deliver(self, message: Message, to: Address, key: str) -> Delivery:
        """Hand one mail to the server.

        The same `key` gives the same Message-ID: a mailbox shows a mail that came twice once.
        """
        ctx, town = self._ctx, self._ctx.town
        installation: EmailInstallation = ctx.installation_settings(plugin)
        # Keyed: who knows the key of a message cannot report it as returned.
        number = ctx.keyed_hash(plugin, key)[:24]
        sender = town.mail.sender or installation.mail_from
        try:
            mail = compose(message, to, number, town, leaving(_parsed(sender)[1]))
        except AddressError as error:
            return Rejected(f"no mail can leave for it: {error}")
        mail["Date"] = _line("Date", format_datetime(ctx.clock.now()))
        back = sender_for(installation.mail_returns, town.slug, number)
        return send(mail, installation, envelope_sender=back)


def compose(
    message: Message, to: Address, number: str, town: TownInfo, sender: str
) -> EmailMessage:
    """Write the mail: text and HTML, attachments, and the headers that mailboxes look for."""
    mail = EmailMessage(_POLICY)
    mail["From"] = _mailbox("From", town.name, sender)
    mail["To"] = _line("To", leaving(to.value))
    mail["Subject"] = _subject(message.subject)
    mail["Message-ID"] = _line("Message-ID", f"<{number}@{sender.rpartition('@')[2]}>")
    # RFC 3834: no out-of-office answers, please.
    mail["Auto-Submitted"] = _header("Auto-Submitted", "auto-generated")
    # RFC 3282: for the plain text, which cannot say it itself.
    mail["Content-Language"] = _line("Content-Language", message.language)
    reply_to = town.mail.reply_to or town.contact.email
    if reply_to:
        name, address = _parsed(reply_to)
        mail["Reply-To"] = _mailbox("Reply-To", name, leaving(address))
    if message.unsubscribe_url:
        # RFC 2369 and, for one click, RFC 8058.
        # A URL in pieces is none: it has one line.
        mail["List-Unsubscribe"] = _line("List-Unsubscribe", f"<{message.unsubscribe_url}>")
        one_click = _header("List-Unsubscribe-Post", "List-Unsubscribe=One-Click")
        mail["List-Unsubscribe-Post"] = one_click
    mail["MIME-Version"] = _header("MIME-Version", "1.0")
    if message.html:
        # Two signs that no quoted-printable text has beside one another: nobody need look for it.
        kind = f'multipart/alternative; boundary="=_{number}"'
        mail["Content-Type"] = _line("Content-Type", kind)
        mail.set_payload([_part(message.text, "plain"), _part(message.html, "html")])
    else:
        mail.set_content(message.text)
    for document in message.documents:
        maintype, _slash, subtype = document.media_type.partition("/")
        mail.add_attachment(
            document.content, maintype=maintype, subtype=subtype, filename=document.name
        )
    return mail


class _Policy(EmailPolicy):
    """Asks of no header whether it stands there already: each of ours is set once.

    The standard library makes a class for each header that it asks about.
    """

    def header_max_count(self, name: str) -> int | None:  # noqa: ARG002
        """As many as one sets."""
        return None


_POLICY = _Policy()


@lru_cache(maxsize=256)
def _parsed(mailbox: str) -> tuple[str, str]:
    """Name and address of a mailbox that stands in many mails."""
    return parseaddr(mailbox)


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


def _line(name: str, value: str) -> _Written:
    """A header that is one line, and of this mail alone.

    Raises:
        ValueError: there is a line's end in it.
    """
    if "\r" in value or "\n" in value:
        raise ValueError(f"{name} has a line's end in it")
    return _written(name, value, value)


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
    part = EmailMessage(_POLICY)
    part["Content-Type"] = _header("Content-Type", f'text/{subtype}; charset="utf-8"')
    part["Content-Transfer-Encoding"] = _header("Content-Transfer-Encoding", "quoted-printable")
    part.set_payload(quopri.encodestring(words.encode()).decode("ascii"))
    return part


@lru_cache(maxsize=256)
def _header(name: str, value: str) -> _Written:
    """A header that many mails share, parsed and folded once: that is most of writing a mail.

    Raises:
        ValueError: there is a line's end in it.
    """
    parsed = policy.default.header_store_parse(name, value)[1]
    lines = parsed.fold(policy=policy.default).removeprefix(f"{name}: ").removesuffix("\n")
    return _written(name, str(parsed), lines)


def send(mail: EmailMessage, installation: smtp.Server, envelope_sender: str = "") -> Delivery:
    """Speak SMTP. Only what speaks of the recipient is dead; anything else may pass later.

    `envelope_sender` is where a mail that cannot be delivered returns to; ``From`` when empty.
    """
    try:
        with smtp.connection(installation) as server:
            smtp.hand_over(
                server,
                envelope_sender or _parsed(mail["From"])[1],
                parseaddr(mail["To"])[1],
                mail.as_bytes(policy=policy.SMTP),
            )
    except (smtplib.SMTPException, OSError) as error:
        return _not_taken(_reply(error))
    return Delivered(str(mail["Message-ID"]))


_STAGES: tuple[tuple[type[smtplib.SMTPResponseException], MailStage], ...] = (
    (smtplib.SMTPAuthenticationError, MailStage.AUTH),
    (smtplib.SMTPSenderRefused, MailStage.MAIL),
    (smtplib.SMTPDataError, MailStage.DATA),
)


def _reply(error: Exception) -> MailReply:
    """Answer of the server, and the command that it answered."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code, said = next(iter(error.recipients.values()))
        return MailReply(MailStage.RCPT, code, _text(said))
    if isinstance(error, smtplib.SMTPResponseException):
        stage = next((one for kind, one in _STAGES if isinstance(error, kind)), MailStage.CONNECT)
        # smtplib says -1 for a reply that is none.
        return MailReply(stage, max(error.smtp_code, 0), _text(error.smtp_error))
    return MailReply(MailStage.CONNECT, 0, f"{type(error).__name__}: {error}")


def _text(said: bytes | str) -> str:
    """Words of a server; those that are not UTF-8 were mostly Latin-1."""
    if isinstance(said, str):
        return said
    try:
        return said.decode()
    except UnicodeDecodeError:
        return said.decode("latin-1")


_WAITS = {
    MailCause.QUOTA: timedelta(hours=2),
    MailCause.FULL: timedelta(hours=2),
    # Tried for three days: longer than a bad day, longer than what makes a mailbox dead.
    MailCause.UNSAID: timedelta(hours=4),
}
"""Time after which what was refused for good, but not by its mailbox, is tried again."""
_OTHER_WAIT = timedelta(hours=1)


def _not_taken(reply: MailReply) -> Delivery:
    cause = reply.cause
    if cause is MailCause.RECIPIENT:
        return Rejected(str(reply))
    # A relay that is away or busy is asked again soon; an hour ends no refusal for good.
    after = _WAITS.get(cause, _OTHER_WAIT) if reply.code >= 500 else None
    return Retry(str(reply), after)


class Email(Plugin[PluginSettings]):
    """The plugin object."""

    name = "email"
    label = "E-mail"
    Settings = PluginSettings
    Installation: ClassVar[type[EmailInstallation]] = EmailInstallation
    built_in = True

    @hookimpl
    def notification_channels(self, ctx: TenantContext) -> Sequence[NotificationChannel]:
        """Every town writes mails."""
        return [EmailChannel(ctx)]


plugin = Email()
