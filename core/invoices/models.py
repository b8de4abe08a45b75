"""Invoices, their lines, and the documents that go with them."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from enum import StrEnum

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    Numeric,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, mapped_column

from core.platform.db.base import Base, TenantOwned, TenantScoped
from core.platform.db.types import (
    Cents,
    CreatedAt,
    Moment,
    MomentOrNone,
    Reference,
    ReferenceOrNone,
)


class InvoiceState(StrEnum):
    """State of an invoice, apart from what was paid on it (which is derived)."""

    DRAFT = "draft"
    PUBLISHED = "published"
    CANCELLED = "cancelled"
    HANDED_OVER = "handed_over"
    """Passed to the trésorerie: still shown, no longer payable here."""


class Document(TenantScoped, Base):
    """A finished file: its content is here, or in the object store under town and SHA-256."""

    __tablename__ = "document"
    __table_args__ = (Index(None, "tenant_id", "sha256"),)

    name: Mapped[str]
    media_type: Mapped[str]
    content: Mapped[bytes | None] = mapped_column(
        LargeBinary, deferred=True, comment="none: it is in the object store"
    )
    sha256: Mapped[str]
    created_at: Mapped[CreatedAt]


class DocumentOrphan(TenantScoped, Base):
    """A file of the object store that no row names, since it was first seen so."""

    __tablename__ = "document_orphan"
    __table_args__ = (UniqueConstraint("tenant_id", "sha256"),)

    sha256: Mapped[str]
    seen_at: Mapped[Moment]


class InvoicePaper(TenantScoped, Base):
    """An invoice's paper as it was last set, kept while the invoice says the same."""

    __tablename__ = "invoice_paper"
    __table_args__ = (
        UniqueConstraint("tenant_id", "invoice_id"),
        ForeignKeyConstraint(
            ["tenant_id", "invoice_id"], ["invoice.tenant_id", "invoice.id"], ondelete="CASCADE"
        ),
        Index(None, "tenant_id", "made_at"),
    )

    invoice_id: Mapped[Reference]
    fingerprint: Mapped[str] = mapped_column(comment="of all that it says, and of its look")
    name: Mapped[str]
    content: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)
    made_at: Mapped[Moment]


LEFT = "state = 'published' AND kind = 'facture' AND amount - credited - paid > 0"
"""SQL: something of an invoice is left to pay."""


class Invoice(TenantOwned, Base):
    """Invoice of a family, which owes what is `left`. A credit note takes off the one it names."""

    __tablename__ = "invoice"
    __table_args__ = (
        UniqueConstraint("tenant_id", "regie", "number"),
        ForeignKeyConstraint(["tenant_id", "family_id"], ["family.tenant_id", "family.id"]),
        ForeignKeyConstraint(
            ["tenant_id", "batch_id"], ["import_batch.tenant_id", "import_batch.id"]
        ),
        ForeignKeyConstraint(["tenant_id", "document_id"], ["document.tenant_id", "document.id"]),
        CheckConstraint("amount > 0 OR kind = 'avoir'", name="positive"),
        Index(None, "tenant_id", "family_id", "due_on"),
        Index(None, "tenant_id", "batch_id", "id"),
        Index(None, "tenant_id", "payment_reference"),
        Index(None, "tenant_id", "number"),
        Index(None, "tenant_id", "amount"),
        Index(
            "ix_invoice_published",
            "tenant_id", "regie", "due_on",
            postgresql_where=text("state = 'published'"),
        ),
        Index(
            "ix_invoice_left",
            "tenant_id", "id",
            postgresql_where=text(LEFT),
            # What is owed in all is summed from the index.
            postgresql_include=["amount", "credited", "paid", "direct_debit"],
        ),
        Index(
            "ix_invoice_under_debit",
            "tenant_id", "due_on", "debit_on",
            postgresql_where=text(f"{LEFT} AND direct_debit"),
        ),
        Index(None, "tenant_id", "state", "id"),
        Index(None, "tenant_id", "regie", "id"),
        Index(None, "tenant_id", "issued_on"),
        Index(
            "ix_invoice_credited", "tenant_id", "id", postgresql_where=text("credited > 0")
        ),
        Index(
            "ix_invoice_relation",
            "tenant_id", "relation",
            postgresql_where=text("relation <> ''"),
        ),
        Index(
            "ix_invoice_credit_note",
            "tenant_id", "regie", "origin_number",
            postgresql_where=text("kind = 'avoir'"),
        ),
    )  # fmt: skip

    family_id: Mapped[Reference]
    batch_id: Mapped[Reference]
    regie: Mapped[str]
    number: Mapped[str]
    payment_reference: Mapped[str] = mapped_column(default="", server_default="")
    fiscal_year: Mapped[int]
    label: Mapped[str]
    kind: Mapped[str] = mapped_column(default="facture", server_default="facture")
    origin_number: Mapped[str] = mapped_column(default="", server_default="")
    piece_keys: Mapped[list[str]] = mapped_column(
        ARRAY(Text),
        default=list,
        server_default="{}",
        comment="the names of its piece in the issuer's accounts",
    )
    refers_to: Mapped[list[str]] = mapped_column(
        ARRAY(Text),
        default=list,
        server_default="{}",
        comment="such names of the piece that it corrects, replaces or completes",
    )
    relation: Mapped[str] = mapped_column(
        default="",
        server_default="",
        comment="replaces, completes; none: an agent said that it corrects no invoice here",
    )
    amount: Mapped[Cents]
    paid: Mapped[int] = mapped_column(
        BigInteger,
        default=0,
        server_default="0",
        comment="cents of euro: the allocations in force less what became credits, which a trigger"
        " adds up",
    )
    credited: Mapped[int] = mapped_column(
        BigInteger,
        default=0,
        server_default="0",
        comment="cents of euro: its published credit notes, which a trigger adds up",
    )
    issued_on: Mapped[date]
    due_on: Mapped[date]
    period_start: Mapped[date | None]
    period_end: Mapped[date | None]
    direct_debit: Mapped[bool] = mapped_column(default=False, server_default="false")
    debit_on: Mapped[date | None] = mapped_column(
        comment="day of its direct debit, instead of the due date"
    )
    debit_rejected_on: Mapped[date | None] = mapped_column(
        comment="day on which its last direct debit came back; NULL again once it is debited anew"
    )
    state: Mapped[str] = mapped_column(default=InvoiceState.DRAFT, server_default="draft")
    published_at: Mapped[MomentOrNone]
    closes_on: Mapped[date | None] = mapped_column(
        comment="last day to pay here, instead of the régie's rule"
    )
    document_id: Mapped[ReferenceOrNone]
    content_hash: Mapped[str] = mapped_column(comment="of the record as imported")

    @hybrid_property
    def left(self) -> int:
        """Cents that are neither paid nor taken off by credit notes; below zero: too much was."""
        return self.amount - self.credited - self.paid


class InvoiceLine(TenantOwned, Base):
    """One line. Its tax nature decides whether it counts for the yearly certificate."""

    __tablename__ = "invoice_line"
    __table_args__ = (
        UniqueConstraint("tenant_id", "invoice_id", "rank"),
        ForeignKeyConstraint(
            ["tenant_id", "invoice_id"], ["invoice.tenant_id", "invoice.id"], ondelete="CASCADE"
        ),
        ForeignKeyConstraint(["tenant_id", "child_id"], ["child.tenant_id", "child.id"]),
        Index(None, "tenant_id", "child_id"),
    )

    invoice_id: Mapped[Reference]
    rank: Mapped[int]
    activity: Mapped[str]
    tax_kind: Mapped[str]
    child_id: Mapped[ReferenceOrNone]
    quantity: Mapped[Decimal | None] = mapped_column(Numeric(12, 3))
    unit_price: Mapped[int | None] = mapped_column(BigInteger, comment="cents of euro")
    amount: Mapped[Cents]


class RegieCalendar(TenantScoped, Base):
    """The calendar of a régie, as its régisseur set it. Without one, nothing leaves by itself."""

    __tablename__ = "regie_calendar"
    __table_args__ = (UniqueConstraint("tenant_id", "regie"),)

    regie: Mapped[str]
    reminders: Mapped[list[int]] = mapped_column(
        ARRAY(Integer),
        default=list,
        server_default="{}",
        comment="days from the due date: -5 is five days before it",
    )
    closing_days: Mapped[int | None] = mapped_column(
        comment="days after the due date when the trésorerie takes over; none: never by itself"
    )
