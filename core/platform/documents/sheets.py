"""Data of each printed document, complete, so that rendering reads nothing else.

Amounts are cents. Every text is plain: whatever stands in it is printed as it is, never read as
HTML. Dates are days in France; moments are aware.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from core.api.invoices import InvoiceKind


@dataclass(frozen=True, slots=True)
class Logo:
    """The town's emblem: SVG, PNG or JPEG (`media_type` says which)."""

    content: bytes
    media_type: str


@dataclass(frozen=True, slots=True)
class Letterhead:
    """The head of every paper of a town. `contact` is a line each: telephone, e-mail, hours."""

    name: str
    address: tuple[str, ...] = ()
    contact: tuple[str, ...] = ()
    logo: Logo | None = None
    accent: str = "#444444"
    """CSS colour of the rule under the head: the town's own."""


@dataclass(frozen=True, slots=True)
class Addressee:
    """Recipient of the paper, who shows in the window of a French envelope."""

    name: str
    address: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class InvoiceSheetLine:
    """One line of an invoice. Empty columns are not printed."""

    activity: str
    amount: int
    child: str = ""
    quantity: Decimal | None = None
    unit_price: int | None = None


@dataclass(frozen=True, slots=True)
class Coupon:
    """Slip returned with a family's cheque: `town` is the slug, `regie` the key, for the code."""

    town: str
    regie: str


@dataclass(frozen=True, slots=True)
class InvoiceSheet:
    """An invoice, or a credit note (`kind`), as its family reads it.

    `regie` is the label. `paid` is what was allocated so far; an invoice without balance asks for
    nothing and has no coupon. `payment_url` (empty: not payable online) is printed as a QR code;
    `pay_otherwise` is the town's own text, a paragraph each; where it has none of a
    `handed_over` invoice, the paper has. `coupon` is None where the régie takes
    no cheque (the trésorerie collects, or the family pays by direct debit).
    """

    town: Letterhead
    language: str
    regie: str
    number: str
    label: str
    issued_on: date
    due_on: date
    amount: int
    debtor: Addressee
    payment_reference: str = ""
    family_code: str = ""
    period_start: date | None = None
    period_end: date | None = None
    lines: tuple[InvoiceSheetLine, ...] = ()
    paid: int = 0
    credited: int = 0
    kind: InvoiceKind = InvoiceKind.INVOICE
    origin_number: str = ""
    debited_on: date | None = None
    payment_url: str = ""
    pay_otherwise: tuple[str, ...] = ()
    handed_over: bool = False
    coupon: Coupon | None = None
    legal: tuple[str, ...] = ()

    @property
    def balance(self) -> int:
        """Balance due, in cents, never negative; a credit note asks for nothing."""
        if self.kind is InvoiceKind.CREDIT_NOTE:
            return 0
        return max(self.amount - self.credited - self.paid, 0)


@dataclass(frozen=True, slots=True)
class ReceiptShare:
    """The cents of a payment that paid one invoice (of `invoice_amount` in all)."""

    number: str
    label: str
    amount: int
    invoice_amount: int
    payment_reference: str = ""
    left_due: int | None = None
    """Cents that the invoice owes after this payment; None where nobody noted it."""


@dataclass(frozen=True, slots=True)
class Together:
    """Another payment of the same visit at the counter."""

    amount: int
    means: str
    number: str


@dataclass(frozen=True, slots=True)
class Reversal:
    """The payment came back (bounced cheque, returned debit): it no longer proves anything."""

    on: date
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ReceiptSheet:
    """A payment as its payer keeps it (*reçu*).

    `amount` is the sum of the shares and of `excess`, which no invoice could take and which stays
    the family's credit. `payer_reference` is the one on the ticket that
    the payer got from the payment service.
    """

    town: Letterhead
    language: str
    regie: str
    number: str
    payer: Addressee
    amount: int
    means: str
    paid_at: datetime
    shares: tuple[ReceiptShare, ...]
    excess: int = 0
    authorisation: str = ""
    payer_reference: str = ""
    together: tuple[Together, ...] = ()
    """Other payments of the same visit: what is left to pay is after all of them."""
    reversal: Reversal | None = None
    legal: tuple[str, ...] = ()

    @property
    def left_due(self) -> int | None:
        """Cents that all its invoices owe after this payment; None where nobody noted it."""
        found = [share.left_due for share in self.shares]
        known = [cents for cents in found if cents is not None]
        return sum(known) if known and len(known) == len(found) else None


@dataclass(frozen=True, slots=True)
class CertificateRow:
    """Cents paid for one kind of care of one child by one payment to one invoice."""

    child: str
    paid_on: date
    invoice: str
    activity: str
    amount: int


@dataclass(frozen=True, slots=True)
class CertifiedPayer:
    """One payer's certificate, a letter of its own.

    `too_old` names the children known to be six or more on 1 January: their sums are shown apart
    and do not enter the total. A town that holds no ages leaves it empty: the rule is printed.
    """

    payer: Addressee
    rows: tuple[CertificateRow, ...]
    too_old: frozenset[str] = frozenset()

    def by_child(self) -> dict[str, int]:
        """The cents paid for each child, in the order of the rows."""
        totals: dict[str, int] = {}
        for row in self.rows:
            totals[row.child] = totals.get(row.child, 0) + row.amount
        return totals

    @property
    def total(self) -> int:
        """The cents that may count: all but those of the children that are too old."""
        return sum(row.amount for row in self.rows if row.child not in self.too_old)


@dataclass(frozen=True, slots=True)
class CertificateSheet:
    """The yearly tax certificate of a family: one letter per payer (`core.domain.tax`).

    `final` is False while the year runs. `place` and `signatory` sign the letter where given.
    """

    town: Letterhead
    language: str
    year: int
    issued_on: date
    payers: tuple[CertifiedPayer, ...]
    family_code: str = ""
    final: bool = True
    place: str = ""
    signatory: str = ""
    legal: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CodesLetter:
    """The two codes of a family, as they are printed. `secret` is grouped in fours."""

    addressee: Addressee
    language: str
    family_code: str
    secret: str


@dataclass(frozen=True, slots=True)
class CodesSheet:
    """Letters with access codes, a page each. `url` is where they are typed, printed as QR too."""

    town: Letterhead
    written_on: date
    url: str
    letters: tuple[CodesLetter, ...]


@dataclass(frozen=True, slots=True)
class MandateSheet:
    """A SEPA mandate that a family signs: the account is written on it by hand, and nowhere else.

    `address` is where the paper goes; `debtor` may be nobody yet.
    """

    town: Letterhead
    language: str
    regie: str
    creditor: str
    ics: str
    address: tuple[str, ...]
    debtor: Addressee
    family_code: str
    printed_on: date

    @property
    def recipient(self) -> Addressee:
        """Where the paper goes: it shows in the envelope's window."""
        return Addressee(self.creditor, self.address)
