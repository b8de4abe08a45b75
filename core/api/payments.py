"""Payments as a provider sees them: what is asked of it, and what it may answer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from core.api.checked import Checked


class Means(StrEnum):
    """Means of payment. The text is stable: the database and the exports keep it."""

    CARD = "card"
    """Bank card, online."""
    ONLINE_DEBIT = "online_debit"
    """Single direct debit agreed to online: a promise, the money follows in days."""
    CHEQUE = "cheque"
    CASH = "cash"
    TRANSFER = "transfer"
    TERMINAL = "terminal"
    """Bank card, at the counter."""
    DIRECT_DEBIT = "direct_debit"
    """Recurring direct debit by the régie."""
    CESU_PAPER = "cesu_paper"
    """Prefunded *chèque emploi service universel*, on paper."""
    CESU_ELECTRONIC = "cesu_electronic"
    HOLIDAY_VOUCHER = "holiday_voucher"
    """*Chèque-vacances*, on paper or by code."""
    OTHER = "other"
    """Another means of the régie's list, known by its name."""


def kind_of(means: str) -> Means:
    """Kind of a means as the database keeps it: ``cash``, ``other:Bons CAF``."""
    kind = means.partition(":")[0]
    return Means(kind) if kind in set(Means) else Means.OTHER


def name_of(means: str) -> str:
    """Name that a régie gave a means, "" where its kind says enough."""
    return means.partition(":")[2]


def _web_page(url: str) -> None:
    if not url.startswith(("https://", "http://")):
        raise ValueError(f"{url!r:.80} is no address of a web page")


@dataclass(frozen=True, slots=True)
class InvoiceToPay:
    """Data of an invoice that a provider may know: references and cents, never a child's name."""

    number: str
    payment_reference: str
    label: str
    fiscal_year: int
    amount: int


@dataclass(frozen=True, slots=True)
class PaymentIntent:
    """A payment that a parent asks for. `amount` is in cents and is the sum over `invoices`."""

    payment_id: int
    regie: str
    amount: int
    email: str
    language: str
    invoices: tuple[InvoiceToPay, ...]
    return_url: str
    """Address for the parent's way back. It carries no outcome that may be trusted."""
    notify_url: str
    """Address where the provider may tell that asking is useful. A call proves nothing either."""
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Redirect(Checked):
    """Address to send the parent to, and the provider's name for the attempt."""

    reference: str
    url: str
    asked: Mapping[str, str] = field(default_factory=dict)
    """Request made to the provider, kept to be compared with its answer."""
    payer_reference: str = ""
    """The reference that the provider's own pages and ticket show to the payer."""

    def __post_init__(self) -> None:
        """Look at every field; a browser may be sent to `url`.

        Raises:
            TypeError: see `Checked`.
            ValueError: it is no address of a web page, or the attempt has no name.
        """
        Checked.__post_init__(self)
        _web_page(self.url)
        if not self.reference.strip():
            raise ValueError("a redirect without a reference: nobody could ask after the payment")


@dataclass(frozen=True, slots=True)
class Attempt:
    """A payment that the provider knows, as it was asked for."""

    payment_id: int
    regie: str
    reference: str
    amount: int
    created_at: datetime
    asked: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Pending(Checked):
    """No final outcome yet.

    `resumable` tells that the provider's page still takes the parent, at `resume_url`; `detail`
    keeps what was answered. The parent is told of a try that failed and may be repeated: then
    `detail` is the value of a `FailureKind`.

    `watched` tells that the provider answered something that nobody here understands and that may
    be money, such as the result of a new means of payment: nothing is begun beside it while it
    stands, core goes on asking, and the régisseur reads `detail`.
    """

    resumable: bool
    resume_url: str = ""
    detail: str = ""
    raw: Mapping[str, str] = field(default_factory=dict)
    watched: bool = False

    def __post_init__(self) -> None:
        """Look at every field, as `Redirect` does; `resume_url` may be "".

        Raises:
            TypeError: see `Checked`.
            ValueError: it is no address of a web page.
        """
        Checked.__post_init__(self)
        if self.resume_url:
            _web_page(self.resume_url)


@dataclass(frozen=True, slots=True)
class Settled(Checked):
    """The provider says that `amount` cents were paid (or, for a direct debit, promised)."""

    amount: int
    means: Means
    paid_at: datetime
    authorisation: str = ""
    raw: Mapping[str, str] = field(default_factory=dict)


class FailureKind(StrEnum):
    """Way in which an attempt ended without money. Values are those of the payment's state."""

    REFUSED = "refused"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Failed(Checked):
    """The attempt is surely over and brought no money."""

    kind: FailureKind
    raw: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Anomaly(Checked):
    """The answer does not fit what was asked. It never settles; the régisseur reads `reason`.

    Unless the answer says for sure that nothing was paid, its money `may_be_paid`: then nobody can
    pay the invoices again until a later answer or a person resolves it.
    """

    reason: str
    raw: Mapping[str, str] = field(default_factory=dict)
    may_be_paid: bool = True


Outcome = Pending | Settled | Failed | Anomaly


@dataclass(frozen=True, slots=True)
class Capabilities(Checked):
    """Capabilities of a provider for one régie. Amounts are cents."""

    several_invoices: bool = False
    minimum: int = 1
    maximum: int = 10**11
    direct_debit: bool = False
    reference_pattern: str = ""
    """A regular expression that an invoice's payment reference must match whole, where the provider
    sends it as it is; "" where any reference, or none, will do. Core tells of another one at
    import, by the invoice's name, and offers it to nobody."""
    reference_rule: str = ""
    """The same rule in words, as a sentence for the agent who imports."""

    def __post_init__(self) -> None:
        """Look at every field.

        Raises:
            TypeError: see `Checked`.
            ValueError: the pattern is no regular expression, or nothing says it in words.
        """
        Checked.__post_init__(self)
        try:
            re.compile(self.reference_pattern)
        except re.error as error:
            raise ValueError(f"reference_pattern: {error}") from error
        if self.reference_pattern and not self.reference_rule:
            raise ValueError("a reference_pattern without a reference_rule")

    def takes_reference(self, reference: str) -> bool:
        """True if an invoice with this payment reference can be paid here."""
        return not self.reference_pattern or bool(
            re.fullmatch(self.reference_pattern, reference)
        )


class PaymentProvider(Protocol):
    """Takes a parent's payment somewhere else, and tells how it ended.

    There is no webhook method on purpose: a notification only makes core ask `outcome` again, as
    the parent's return and the poller do, so that one idempotent path settles.
    """

    key: str
    label: str

    def capabilities(self, regie: str) -> Capabilities | None:
        """Capabilities of the provider for this régie; None if the régie does not use it.

        From the settings alone, without waiting for anybody. Kept for a minute.
        """
        ...

    def start(self, intent: PaymentIntent) -> Redirect:
        """Announce the payment and tell where to send the parent.

        Look at the payer's fields before anything is sent. Raises `RetryableError` when the service
        is away, and `StartRefusedError`, which says whose doing it is, when the payment cannot be
        opened; any other `PermanentError` counts as `RefusalKind.UNKNOWN`.
        """
        ...

    def outcome(self, attempt: Attempt) -> Outcome:
        """Ask how the attempt stands: a read, repeated at will.

        Raises `RetryableError` when there is no usable answer now.
        """
        ...


@dataclass(frozen=True, slots=True)
class PaymentSettled:
    """Event: a payment was recorded as settled, in the transaction that wrote this event."""

    id: str
    payment_id: int
    family_id: int
    invoice_ids: tuple[int, ...]
    amount: int


@dataclass(frozen=True, slots=True)
class PaymentReversed:
    """Event: a settled payment came back; its invoices are due again."""

    id: str
    payment_id: int
    family_id: int
    invoice_ids: tuple[int, ...]
    amount: int
    reason: str


@dataclass(frozen=True, slots=True)
class RemittanceChanged:
    """Event: a remittance (*versement*) of a régie's money was made, or cancelled before it left.

    Ask ``ctx.remittances`` how it stands now: it may have been cancelled since it was made.
    """

    id: str
    remittance_id: int
    regie: str


@dataclass(frozen=True, slots=True)
class InvoicesPublished:
    """Event: a family was given new invoices to see."""

    id: str
    family_id: int
    invoice_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class InvoiceDue:
    """Event: a family is reminded of invoices that it still owed when this was written."""

    id: str
    family_id: int
    invoice_ids: tuple[int, ...]
