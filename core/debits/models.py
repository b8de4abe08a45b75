"""Direct debits: what came back, what a régie offers, who asked to join. No bank account."""

from __future__ import annotations

from datetime import date
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from core.platform.db.base import Base, TenantScoped
from core.platform.db.types import (
    Cents,
    Json,
    Moment,
    MomentOrNone,
    Reference,
    ReferenceOrNone,
)


class DebitRejection(TenantScoped, Base):
    """A debit that the bank sent back, whether it had been noted (`payment_id`) or not."""

    __tablename__ = "debit_rejection"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "invoice_id"], ["invoice.tenant_id", "invoice.id"]),
        ForeignKeyConstraint(["tenant_id", "payment_id"], ["payment.tenant_id", "payment.id"]),
        CheckConstraint("amount >= 0", name="not_negative"),
        UniqueConstraint("tenant_id", "payment_id"),
        Index(None, "tenant_id", "invoice_id"),
        Index(None, "tenant_id", "regie", "debit_day"),
    )

    invoice_id: Mapped[Reference]
    payment_id: Mapped[ReferenceOrNone] = mapped_column(
        comment="what was noted and is taken back; NULL: nothing was noted"
    )
    regie: Mapped[str]
    debit_day: Mapped[date] = mapped_column(comment="of the run that it belongs to")
    rejected_on: Mapped[date] = mapped_column(comment="as the bank says it")
    code: Mapped[str] = mapped_column(comment="of ISO 20022")
    amount: Mapped[Cents]
    created_at: Mapped[Moment]
    actor: Mapped[str]


class DebitJob(TenantScoped, Base):
    """A large file of debits that an agent accepted: a worker does it, part by part.

    `lines` are what is to be done, nothing of an account among them; they are forgotten at the end.
    """

    __tablename__ = "debit_job"
    __table_args__ = (
        CheckConstraint("done <= total", name="done"),
    )

    regie: Mapped[str]
    kind: Mapped[str] = mapped_column(comment="format of the file")
    actor: Mapped[str]
    created_at: Mapped[Moment]
    lines: Mapped[Json]
    total: Mapped[int] = mapped_column(comment="number of lines")
    done: Mapped[int] = mapped_column(default=0, server_default="0", comment="lines looked at")
    settled: Mapped[int] = mapped_column(default=0, server_default="0")
    settled_cents: Mapped[Cents] = mapped_column(default=0, server_default="0")
    rejected: Mapped[int] = mapped_column(default=0, server_default="0")
    rejected_cents: Mapped[Cents] = mapped_column(default=0, server_default="0")
    left_out: Mapped[int] = mapped_column(default=0, server_default="0")
    refusal: Mapped[str] = mapped_column(
        default="", server_default="", comment="why the rest was not done"
    )
    ended_at: Mapped[MomentOrNone]


class DebitOffer(TenantScoped, Base):
    """A régie's words to families who want to be debited, and its form."""

    __tablename__ = "debit_offer"
    __table_args__ = (
        UniqueConstraint("tenant_id", "regie"),
        ForeignKeyConstraint(["tenant_id", "document_id"], ["document.tenant_id", "document.id"]),
    )

    regie: Mapped[str]
    is_open: Mapped[bool] = mapped_column(comment="families may ask")
    creditor: Mapped[str] = mapped_column(comment="name of the creditor on the mandate")
    ics: Mapped[str] = mapped_column(comment="the town's SEPA creditor identifier, or empty")
    address: Mapped[list[str]] = mapped_column(
        ARRAY(Text), default=list, server_default="{}", comment="where the form goes"
    )
    next_steps: Mapped[str] = mapped_column(comment="the régie's own words")
    document_id: Mapped[ReferenceOrNone] = mapped_column(
        comment="its own form; NULL: the portal prints one"
    )


class RequestState(StrEnum):
    """``asked -> accepted | refused | withdrawn``."""

    ASKED = "asked"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"


class DebitRequest(TenantScoped, Base):
    """A family's wish to be debited. Its bank is known to the régie alone, on paper."""

    __tablename__ = "debit_request"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "family_id"], ["family.tenant_id", "family.id"]),
        Index(None, "tenant_id", "family_id"),
        Index(
            "uq_debit_request_asked",
            "tenant_id", "family_id", "regie",
            unique=True,
            postgresql_where=text("state = 'asked'"),
        ),
        Index(None, "tenant_id", "state", "id"),
    )  # fmt: skip

    family_id: Mapped[Reference]
    regie: Mapped[str]
    state: Mapped[str]
    asked_at: Mapped[Moment]
    ended_at: Mapped[MomentOrNone]
    actor: Mapped[str] = mapped_column(default="", server_default="", comment="who ended it")
    note: Mapped[str] = mapped_column(
        default="", server_default="", comment="the régie's words to the family"
    )
