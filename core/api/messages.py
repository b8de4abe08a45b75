"""Messages to families, as core hands them to a notification channel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol

from core.api.checked import Checked


@dataclass(frozen=True, slots=True)
class Document:
    """A finished file: its name, media type and content."""

    name: str
    media_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Link:
    """A way from a message into the portal; `url` is absolute."""

    label: str
    url: str


@dataclass(frozen=True, slots=True)
class Message:
    """One message, rendered in the family's language.

    `kind` names what happened (``invoices_published``, ``invoice_due``...); `text` is plain
    and complete without `html`. Nothing personal stands in `subject`.
    """

    kind: str
    language: str
    subject: str
    text: str
    html: str = ""
    links: tuple[Link, ...] = ()
    documents: tuple[Document, ...] = ()
    invoice_ids: tuple[int, ...] = ()
    unsubscribe_url: str = ""


@dataclass(frozen=True, slots=True)
class Address(Checked):
    """Destination of a message: an e-mail address, a chat's number, as its channel writes it."""

    value: str
    family_id: int | None = None


@dataclass(frozen=True, slots=True)
class Delivered(Checked):
    """The other side took the message; `reference` is its name for it, when it has one."""

    reference: str = ""


@dataclass(frozen=True, slots=True)
class Retry(Checked):
    """Not now; the same message, under the same key, may pass after `after`."""

    reason: str
    after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Rejected(Checked):
    """The address refuses for good; the family's file shows `reason`."""

    reason: str


Delivery = Delivered | Retry | Rejected


@dataclass(frozen=True, slots=True)
class Notification:
    """A plugin's wish to tell a family something, over every channel that the family chose.

    The same `key` again, among the plugin's messages of one kind, is the same message. `payload` is
    JSON, and kept: ids rather than words, because the words are written when the message leaves.
    """

    key: str
    family_id: int
    payload: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Wording(Checked):
    """The words of a plugin's message: plain text, its paragraphs parted by empty lines.

    Core adds the greeting, the town's look and the way to unsubscribe. Nothing personal stands in
    `subject`. `action` is the one thing to do; `documents` are small.
    """

    subject: str
    text: str
    action: Link | None = None
    documents: tuple[Document, ...] = ()


class MessageKind(Protocol):
    """A plugin's own kind of message, such as "a place is free"."""

    key: str
    """A name within the plugin; channels are asked about ``<plugin>.<key>``."""
    label: str
    """A few words for lists of messages and for the family's choices, in the language of now."""

    def write(self, notification: Notification) -> Wording | None:
        """Put a message into words, in the language of now; None: there is nothing to say any more.

        Called when the message leaves, and again if it has to leave again.
        """
        ...


@dataclass(frozen=True, slots=True)
class ChannelCapabilities(Checked):
    """Abilities of a channel besides carrying messages to where a family wants them."""

    bulk: bool = False
    """It carries the messages of a mailing one after the other as fast as they come: they travel
    together, twenty to a row of the outbox. A chat has a pace of its own and wants them apart."""
    receipts: bool = False
    """It reaches who paid, at the e-mail address that was given with the payment."""
    bounces: bool = False
    """Its addresses are those that families register on *Être averti*: one that refuses for good
    is marked there, and what comes back later is too (``preau mail returned``)."""
    invitations: bool = False
    """Its addresses are e-mail addresses: it carries one-time links to somebody who has no account
    yet, such as lost codes, confirmations of addresses and invitations of agents."""


class NotificationChannel(Protocol):
    """Carries messages to families by one means.

    It may have `capabilities` (`ChannelCapabilities`); without them it has none.
    """

    key: str
    label: str

    def addresses(self, family_id: int, kind: str) -> tuple[Address, ...]:
        """Addresses where this family wants messages of this kind; empty if there is none."""
        ...

    def deliver(self, message: Message, to: Address, key: str) -> Delivery:
        """Send one message. `key` is stable over retries: use it to send at most once."""
        ...
