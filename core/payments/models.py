"""Payments, which cents of them pay what, and what the provider answered."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ColumnElement,
    ForeignKeyConstraint,
    Index,
    UniqueConstraint,
    and_,
    case,
    cast,
    exists,
    func,
    or_,
    select,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from core.invoices.models import Invoice
from core.invoices.money import Money
from core.platform.db.base import Base, TenantScoped
from core.platform.db.types import (
    Cents,
    CreatedAt,
    Json,
    Moment,
    MomentOrNone,
    Reference,
    ReferenceOrNone,
)

SAME_REFERENCE = "uq_payment_provider_reference"
"""Refuses that a provider calls two payments of a town by one name."""


class Payment(TenantScoped, Base):
    """Money on its way or here, whatever its means. Only conditional UPDATEs change its state."""

    __tablename__ = "payment"
    __table_args__ = (
        UniqueConstraint("tenant_id", "key"),
        ForeignKeyConstraint(["tenant_id", "family_id"], ["family.tenant_id", "family.id"]),
        ForeignKeyConstraint(["tenant_id", "receipt_id"], ["document.tenant_id", "document.id"]),
        CheckConstraint("amount > 0", name="positive"),
        CheckConstraint(
            "family_id IS NOT NULL"
            " OR (provider = '' AND state IN ('created', 'settled', 'reversed'))",
            name="someone",
        ),
        Index(
            SAME_REFERENCE,
            "tenant_id", "provider", "provider_reference",
            unique=True,
            postgresql_where=text("provider_reference <> ''"),
        ),
        Index(None, "tenant_id", "family_id"),
        Index(None, "tenant_id", "regie", "settled_at"),
        Index(None, "tenant_id", "paid_at"),
        Index(None, "tenant_id", "settled_at", "id"),
        Index(None, "tenant_id", "state", "id"),
        Index(
            "ix_payment_authorisation",
            "tenant_id", "authorisation",
            postgresql_where=text("authorisation <> ''"),
        ),
        Index(None, "tenant_id", "receipt_number"),
        Index(
            "ix_payment_visit", "tenant_id", "visit", postgresql_where=text("visit <> ''")
        ),
        Index(None, "tenant_id", "amount"),
        Index(
            "ix_payment_reversed",
            "tenant_id", "regie", "reversed_at",
            postgresql_where=text("reversed_at IS NOT NULL"),
        ),
        Index(
            "ix_payment_anomaly", "tenant_id", "id", postgresql_where=text("anomaly <> ''")
        ),
        Index(
            "ix_payment_answered",
            "tenant_id", "provider", "answered_at",
            postgresql_where=text("answered_at IS NOT NULL"),
        ),
        Index(
            "ix_payment_open",
            "tenant_id", "created_at",
            postgresql_where=text("state IN ('created', 'pending')"),
        ),
    )  # fmt: skip

    key: Mapped[str] = mapped_column(comment="asked for twice under one key is one payment")
    family_id: Mapped[ReferenceOrNone] = mapped_column(comment="NULL: whose it is is not known yet")
    regie: Mapped[str]
    provider: Mapped[str] = mapped_column(default="", server_default="")
    state: Mapped[str]
    amount: Mapped[Cents]
    means: Mapped[str] = mapped_column(default="", server_default="")
    payer: Mapped[str] = mapped_column(default="", server_default="")
    email: Mapped[str] = mapped_column(default="", server_default="")
    language: Mapped[str] = mapped_column(default="fr", server_default="fr")
    created_at: Mapped[Moment]
    provider_reference: Mapped[str] = mapped_column(default="", server_default="")
    provider_url: Mapped[str] = mapped_column(default="", server_default="")
    payer_reference: Mapped[str] = mapped_column(
        default="", server_default="", comment="the reference on the provider's own ticket"
    )
    starting_at: Mapped[MomentOrNone] = mapped_column(
        comment="when a click began to announce it: the other clicks wait"
    )
    start_refusal: Mapped[str] = mapped_column(
        default="", server_default="", comment="whose doing it is that the provider refused to open"
    )
    last_answer: Mapped[str] = mapped_column(
        default="", server_default="", comment="the provider's last answer in one word"
    )
    answered_at: Mapped[MomentOrNone] = mapped_column(
        comment="when the provider last answered, whatever it said"
    )
    asked: Mapped[Json]
    paid_at: Mapped[MomentOrNone] = mapped_column(comment="when the payer paid")
    settled_at: Mapped[MomentOrNone] = mapped_column(comment="when it was recorded here")
    authorisation: Mapped[str] = mapped_column(default="", server_default="")
    receipt_number: Mapped[str] = mapped_column(default="", server_default="")
    receipt_id: Mapped[ReferenceOrNone]
    anomaly: Mapped[str] = mapped_column(
        default="", server_default="", comment="why a person must look at it"
    )
    may_be_paid: Mapped[bool] = mapped_column(
        default=False,
        server_default="false",
        comment="nobody pays its invoices again before an answer or a person resolves it",
    )
    dismissed: Mapped[str] = mapped_column(
        default="", server_default="", comment="the anomaly that a person looked at"
    )
    superseded_at: Mapped[MomentOrNone] = mapped_column(
        comment="when the payer, told that it may still settle, began anew"
    )
    reversed_at: Mapped[MomentOrNone]
    reversal_reason: Mapped[str] = mapped_column(default="", server_default="")
    note: Mapped[str] = mapped_column(default="", server_default="")
    classified_at: Mapped[MomentOrNone] = mapped_column(
        comment="when it was found whose it is; NULL: it was known at once, or is not yet"
    )
    visit: Mapped[str] = mapped_column(
        default="",
        server_default="",
        comment="the same for payments that one visit at the counter brought",
    )
    tendered: Mapped[int | None] = mapped_column(
        BigInteger, comment="cents of cash that were given, where change was given back"
    )


class PaymentItem(TenantScoped, Base):
    """Invoice that a payment was for. `live` while it may still settle: one per invoice."""

    __tablename__ = "payment_item"
    __table_args__ = (
        UniqueConstraint("tenant_id", "payment_id", "invoice_id"),
        ForeignKeyConstraint(["tenant_id", "payment_id"], ["payment.tenant_id", "payment.id"]),
        ForeignKeyConstraint(["tenant_id", "invoice_id"], ["invoice.tenant_id", "invoice.id"]),
        Index(
            "uq_payment_item_live",
            "tenant_id", "invoice_id",
            unique=True,
            postgresql_where=text("live"),
        ),
        Index(None, "tenant_id", "invoice_id"),
    )  # fmt: skip

    payment_id: Mapped[Reference]
    invoice_id: Mapped[Reference]
    amount: Mapped[Cents]
    live: Mapped[bool] = mapped_column(default=False, server_default="false")


class Allocation(TenantScoped, Base):
    """Cents of a settled payment that pay an invoice. In force until `reversed_at`.

    A trigger keeps their sum in `Invoice.paid`, less the credits that came out of it.
    """

    __tablename__ = "allocation"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "payment_id"], ["payment.tenant_id", "payment.id"]),
        ForeignKeyConstraint(["tenant_id", "invoice_id"], ["invoice.tenant_id", "invoice.id"]),
        ForeignKeyConstraint(
            ["tenant_id", "credit_use_id"], ["credit_use.tenant_id", "credit_use.id"]
        ),
        CheckConstraint("amount > 0", name="positive"),
        # Once when the payment settles, and once for each use of what was too much of it.
        Index(
            "uq_allocation_settled",
            "tenant_id", "payment_id", "invoice_id",
            unique=True,
            postgresql_where=text("credit_use_id IS NULL"),
        ),
        UniqueConstraint("tenant_id", "credit_use_id"),
        Index(None, "tenant_id", "payment_id"),
        Index(None, "tenant_id", "invoice_id"),
    )  # fmt: skip

    payment_id: Mapped[Reference]
    invoice_id: Mapped[Reference]
    credit_use_id: Mapped[ReferenceOrNone]
    amount: Mapped[Cents]
    created_at: Mapped[Moment]
    reversed_at: Mapped[MomentOrNone]
    left_due: Mapped[int | None] = mapped_column(
        BigInteger, comment="cents that the invoice still owed then; NULL: not noted"
    )


class PaymentTitle(TenantScoped, Base):
    """Number of a title (CESU, chèque-vacances) that a payment came by."""

    __tablename__ = "payment_title"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "payment_id"], ["payment.tenant_id", "payment.id"]),
        Index(None, "tenant_id", "payment_id"),
        Index(
            "uq_payment_title_live",
            "tenant_id", "number",
            unique=True,
            postgresql_where=text("live"),
        ),
    )  # fmt: skip

    payment_id: Mapped[Reference]
    number: Mapped[str]
    live: Mapped[bool] = mapped_column(
        default=True,
        server_default="true",
        comment="false once its payment came back: it may be taken again",
    )


class Credit(TenantScoped, Base):
    """Cents of a payment that are the family's, in that régie, for the régisseur to see.

    Without a family it is a whole payment of which nobody knows yet whose it is.

    No invoice could take them when it settled, or one gave them back after a credit note; a trigger
    takes the latter off `Invoice.paid`.
    """

    __tablename__ = "credit"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "payment_id"], ["payment.tenant_id", "payment.id"]),
        ForeignKeyConstraint(["tenant_id", "invoice_id"], ["invoice.tenant_id", "invoice.id"]),
        ForeignKeyConstraint(["tenant_id", "family_id"], ["family.tenant_id", "family.id"]),
        CheckConstraint("amount > 0", name="positive"),
        Index(
            "uq_credit_excess",
            "tenant_id", "payment_id",
            unique=True,
            postgresql_where=text("invoice_id IS NULL"),
        ),
        Index(None, "tenant_id", "payment_id"),
        Index(None, "tenant_id", "invoice_id", postgresql_where=text("invoice_id IS NOT NULL")),
        Index(None, "tenant_id", "family_id"),
        Index(None, "tenant_id", "regie", "created_at"),
    )  # fmt: skip

    payment_id: Mapped[Reference]
    invoice_id: Mapped[ReferenceOrNone] = mapped_column(
        comment="the invoice that gave it back after a credit note; NULL: none took it"
    )
    family_id: Mapped[ReferenceOrNone] = mapped_column(comment="NULL with its payment's")
    regie: Mapped[str]
    amount: Mapped[Cents]
    created_at: Mapped[Moment]
    reversed_at: Mapped[MomentOrNone] = mapped_column(comment="with its payment")


class CreditUse(TenantScoped, Base):
    """Cents of a credit that pay an invoice, or, without one, went back to the family."""

    __tablename__ = "credit_use"
    __table_args__ = (
        UniqueConstraint("tenant_id", "key"),
        ForeignKeyConstraint(["tenant_id", "credit_id"], ["credit.tenant_id", "credit.id"]),
        ForeignKeyConstraint(["tenant_id", "invoice_id"], ["invoice.tenant_id", "invoice.id"]),
        CheckConstraint("amount > 0", name="positive"),
        Index(None, "tenant_id", "credit_id"),
    )

    key: Mapped[str] = mapped_column(comment="asked for twice under one key is one use")
    credit_id: Mapped[Reference]
    invoice_id: Mapped[ReferenceOrNone]
    amount: Mapped[Cents]
    means: Mapped[str] = mapped_column(
        default="", server_default="", comment="how a refund went back"
    )
    note: Mapped[str] = mapped_column(default="", server_default="")
    actor: Mapped[str]
    created_at: Mapped[Moment]
    reversed_at: Mapped[MomentOrNone] = mapped_column(comment="taken back, or with its payment")


class PaymentAnswer(TenantScoped, Base):
    """Answer of the provider, word for word, each time it said something new. Append-only."""

    __tablename__ = "payment_answer"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "payment_id"], ["payment.tenant_id", "payment.id"]),
        Index(None, "tenant_id", "payment_id"),
    )

    payment_id: Mapped[Reference]
    at: Mapped[CreatedAt]
    outcome: Mapped[str]
    detail: Mapped[str] = mapped_column(default="", server_default="")
    raw: Mapped[Json]


class Counter(TenantScoped, Base):
    """A gap-free number, e.g. receipts of a régie and year: taken under the row's lock."""

    __tablename__ = "counter"
    __table_args__ = (UniqueConstraint("tenant_id", "name"),)

    name: Mapped[str]
    value: Mapped[int]


# --- Invoices that a payment holds, so that nobody else pays them meanwhile -----------------------


def holds() -> ColumnElement[bool]:
    """SQL: `Payment` holds the invoice of `PaymentItem`.

    A payment whose money may be there holds whatever its state is, and beside others.
    """
    return or_(PaymentItem.live, Payment.may_be_paid)


def items_with_payments() -> ColumnElement[bool]:
    """SQL: the condition that joins `PaymentItem` with its `Payment`."""
    return and_(
        Payment.tenant_id == PaymentItem.tenant_id, Payment.id == PaymentItem.payment_id
    )


def is_held(tenant: str, invoice_id: Any) -> ColumnElement[bool]:
    """SQL: a payment holds the invoice."""
    return exists().where(
        items_with_payments(),
        PaymentItem.tenant_id == tenant,
        PaymentItem.invoice_id == invoice_id,
        holds(),
    )


def under_way() -> ColumnElement[int | None]:
    """SQL: the payment that holds `Invoice`, and that a provider knows; else NULL.

    First one whose money may be there: nobody goes on beside it.
    """
    return (
        select(PaymentItem.payment_id)
        .join(Payment, items_with_payments())
        .where(
            PaymentItem.tenant_id == Invoice.tenant_id,
            PaymentItem.invoice_id == Invoice.id,
            holds(),
            Payment.provider_reference != "",
        )
        .order_by(Payment.may_be_paid.desc(), Payment.id)
        .limit(1)
        .correlate(Invoice)
        .scalar_subquery()
    )


def is_paid(tenant: str, invoice_id: Any) -> ColumnElement[bool]:
    """SQL: something of the invoice is paid."""
    return exists().where(
        Allocation.tenant_id == tenant,
        Allocation.invoice_id == invoice_id,
        Allocation.reversed_at.is_(None),
    )


MONEY = Money(under_way, is_held, is_paid)
"""Answers to what the room of invoices asks about payments."""


def in_same_visit(payment: Payment) -> ColumnElement[bool]:
    """SQL: another `Payment` came in the visit at the counter that brought this one."""
    return and_(
        Payment.tenant_id == payment.tenant_id,
        Payment.visit == payment.visit,
        Payment.visit != "",
        Payment.id != payment.id,
    )


# --- What is left of a credit ---------------------------------------------------------------------


def credit_left() -> ColumnElement[int]:
    """SQL: the cents of `Credit` not used yet. Negative: refunded, then the payment bounced."""
    used = (
        select(cast(func.coalesce(func.sum(CreditUse.amount), 0), BigInteger))
        .where(
            CreditUse.tenant_id == Credit.tenant_id,
            CreditUse.credit_id == Credit.id,
            CreditUse.reversed_at.is_(None),
        )
        .correlate(Credit)
        .scalar_subquery()
    )
    return case((Credit.reversed_at.is_(None), Credit.amount), else_=0) - used


def released(tenant: str, payment_id: Any, invoice_id: Any) -> ColumnElement[int]:
    """SQL: the cents of a payment that an invoice gave back after a credit note, in force still."""
    return (
        select(cast(func.coalesce(func.sum(Credit.amount), 0), BigInteger))
        .where(
            Credit.tenant_id == tenant,
            Credit.payment_id == payment_id,
            Credit.invoice_id == invoice_id,
            Credit.reversed_at.is_(None),
        )
        .scalar_subquery()
    )
