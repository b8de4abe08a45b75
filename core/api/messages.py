"""Messages to families, as core hands them to a notification channel."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

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
    """Where a message goes: an e-mail address, a chat's number, as its channel writes it."""

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
class Dead(Checked):
    """The address refuses for good; the family's file shows `reason`."""

    reason: str


Delivery = Delivered | Retry | Dead


class NotificationChannel(Protocol):
    """Carries messages to families by one means."""

    key: str
    label: str

    def addresses(self, family_id: int, kind: str) -> tuple[Address, ...]:
        """Where this family wants messages of this kind; empty when nowhere."""
        ...

    def deliver(self, message: Message, to: Address, key: str) -> Delivery:
        """Send one message. `key` is stable over retries: use it to send at most once."""
        ...
