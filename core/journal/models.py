"""The journal of each régie: every cent that came in or went back, in one order, for ever."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from core.platform.db.base import Base, TenantScoped
from core.platform.db.types import Cents, Moment, ReferenceOrNone


class EntryKind(StrEnum):
    """Kind of movement that an entry records."""

    SETTLED = "settled"
    REVERSED = "reversed"
    REFUNDED = "refunded"
    """Money that was too much went back to its family."""
    REFUND_UNDONE = "refund_undone"
    CORRECTED = "corrected"
    """The means of a payment was put right: out of one, and into another."""
    REMITTED = "remitted"
    """Money of one means left the till by a *versement*."""
    REMITTANCE_UNDONE = "remittance_undone"
    """The counter-entry of a *versement* that was cancelled before it left."""


class JournalEntry(TenantScoped, Base):
    """One movement of money. Append-only; `hash` is over this row and the entry before it.

    Who paid and what for are read from the payment: names may be erased, the proof stays.
    """

    __tablename__ = "journal_entry"
    __table_args__ = (
        UniqueConstraint("tenant_id", "regie", "year", "number"),
        ForeignKeyConstraint(["tenant_id", "payment_id"], ["payment.tenant_id", "payment.id"]),
        ForeignKeyConstraint(
            ["tenant_id", "credit_use_id"], ["credit_use.tenant_id", "credit_use.id"]
        ),
        ForeignKeyConstraint(
            ["tenant_id", "remittance_id"], ["remittance.tenant_id", "remittance.id"]
        ),
        CheckConstraint("(payment_id IS NULL) <> (remittance_id IS NULL)", name="subject"),
        Index(None, "tenant_id", "regie", "at"),
        Index(None, "tenant_id", "at"),
        Index(None, "tenant_id", "payment_id"),
        Index(
            "ix_journal_entry_corrected",
            "tenant_id", "regie", "payment_id",
            postgresql_where=text("kind = 'corrected'"),
        ),
        Index(
            None,
            "tenant_id",
            "remittance_id",
            postgresql_where=text("remittance_id IS NOT NULL"),
        ),
    )  # fmt: skip

    regie: Mapped[str]
    year: Mapped[int]
    number: Mapped[int] = mapped_column(comment="from 1 each year, without a gap")
    at: Mapped[Moment] = mapped_column(comment="when it was recorded; never before its elder")
    kind: Mapped[str]
    payment_id: Mapped[ReferenceOrNone] = mapped_column(comment="NULL: of a remittance")
    credit_use_id: Mapped[ReferenceOrNone] = mapped_column(comment="of a refund")
    remittance_id: Mapped[ReferenceOrNone] = mapped_column(comment="of a remittance (versement)")
    receipt: Mapped[str]
    means: Mapped[str]
    amount: Mapped[Cents] = mapped_column(comment="cents of euro; negative when money went back")
    family_code: Mapped[str]
    actor: Mapped[str]
    hash: Mapped[str]
