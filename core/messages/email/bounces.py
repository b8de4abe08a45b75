"""Mails that come back: the delivery status notifications of RFC 3464.

A mail leaves with an envelope sender of its own (`sender_for`), so what comes back names its mail,
whatever of it the other server quotes. The number in it cannot be guessed: nobody but who got the
mail, or carried it, can report it as returned.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import getaddresses
from typing import cast

MAX_LOCAL_PART_CHARS = 64
"""Octets before the @ (RFC 5321, 4.5.3.1.1)."""

MAX_REASON_CHARS = 300


@dataclass(frozen=True, slots=True)
class Returned:
    """A mail that failed for good after the server had taken it.

    Whose doing it is, `core.domain.smtp_replies.report` says of the reason.
    """

    town: str
    number: str
    """The part of its Message-ID before the @."""
    reason: str


def sender_for(returns: str, town: str, number: str) -> str:
    """The envelope sender of one mail: `returns` with the mail's town and number as detail.

    "" when there is no such address, or when it would be too long for mail servers.
    """
    local, at, domain = returns.partition("@")
    detailed = f"{local}+{town}-{number}"
    return f"{detailed}@{domain}" if at and len(detailed) <= MAX_LOCAL_PART_CHARS else ""


def read(raw: bytes, returns: str, to: str = "") -> Returned | None:
    """Failure that a mail to `returns` reports; None unless a mail of ours failed for good.

    Notices of delay, out-of-office answers and whatever else arrives there say nothing.

    Args:
        raw: the whole mail.
        returns: the installation's address for returns.
        to: the envelope recipient, where the mail server tells it.
    """
    try:
        mail = message_from_bytes(raw, policy=policy.default)
        meant = _meant(returns, [to] if to else _recipients(mail))
        reason = next(_refusals(mail), None)
    except (ValueError, LookupError, AttributeError, TypeError):
        # The standard parser's way to say that a header or a charset makes no sense.
        return None
    return Returned(*meant, reason) if meant and reason else None


def _recipients(mail: EmailMessage) -> list[str]:
    headers = ("Delivered-To", "X-Original-To", "To")
    values = [str(value) for name in headers for value in mail.get_all(name, [])]
    return [address for _name, address in getaddresses(values)]


def _meant(returns: str, addresses: list[str]) -> tuple[str, str] | None:
    local, _at, domain = map(re.escape, returns.partition("@"))
    pattern = re.compile(rf"{local}\+([a-z0-9-]+)-([0-9a-f]+)@{domain}", re.IGNORECASE)
    for address in addresses:
        if found := pattern.fullmatch(address):
            return found[1].lower(), found[2].lower()
    return None


def _refusals(mail: EmailMessage) -> Iterator[str]:
    """Reason for each recipient whose delivery failed."""
    for part in mail.walk():
        if part.get_content_type() != "message/delivery-status":
            continue
        for recipient in cast("list[EmailMessage]", part.get_payload()):
            if str(recipient["Action"]).strip().lower() == "failed":
                status, said = recipient["Status"], recipient["Diagnostic-Code"]
                reason = " ".join(f"{status or ''} {said or ''}".split())
                yield reason[:MAX_REASON_CHARS] or "failed"
