"""The plugin's tables.

Account zones are kept as keyed hashes only. Nothing is deleted but proposals, which are opinions.
Families, invoices and payments are named by their number without a foreign key: they are core's,
reached through its services, and outlive or precede these rows by rules of core's own.
"""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKeyConstraint,
    Index,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from core.plugin import Base, TenantScoped


class ChequeState(StrEnum):
    """State of a cheque, apart from its deposit. The text is what the database keeps."""

    REVIEW = "review"
    CERTAIN = "certain"
    """Matched beyond doubt; a person only has to say yes."""
    ACCEPTED = "accepted"
    """A payment is recorded."""
    TO_CLASSIFY = "to_classify"
    """In *recettes à classer*: the money is in, whose it is will be found later."""
    RETURNED = "returned"
    """Given back to the payer."""
    BOUNCED = "bounced"
    """The bank sent it back after the deposit."""


PENDING = (ChequeState.REVIEW, ChequeState.CERTAIN)
IN_PORTFOLIO = (ChequeState.ACCEPTED, ChequeState.TO_CLASSIFY)


class ChequeBatch(TenantScoped, Base):
    """One imported file, or one sitting of manual entry, with the slip's control totals."""

    __tablename__ = "cheque_batch"
    __table_args__ = (UniqueConstraint("tenant_id", "regie", "sha256"),)

    regie: Mapped[str]
    source: Mapped[str]
    file_name: Mapped[str]
    sha256: Mapped[str]  # of the file; of the sitting's name when typed
    parser_version: Mapped[int]
    actor: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    control_count: Mapped[int | None]
    control_total: Mapped[int | None] = mapped_column(BigInteger)  # cents of euro


class Cheque(TenantScoped, Base):
    """A cheque. `natural_key` makes its import idempotent; `attempt` counts its undone payments."""

    __tablename__ = "cheque"
    __table_args__ = (
        UniqueConstraint("tenant_id", "natural_key"),
        ForeignKeyConstraint(
            ["tenant_id", "batch_id"], ["cheque_batch.tenant_id", "cheque_batch.id"]
        ),
        ForeignKeyConstraint(
            ["tenant_id", "deposit_id"], ["cheque_deposit.tenant_id", "cheque_deposit.id"]
        ),
        CheckConstraint("amount > 0", name="positive"),
        Index("ix_cheque_queue", "tenant_id", "regie", "state"),
        Index("ix_cheque_number", "tenant_id", "number"),
        Index("ix_cheque_place", "tenant_id", "regie", text("upper(slip)")),
        Index("ix_cheque_batch", "tenant_id", "batch_id"),
    )

    batch_id: Mapped[int] = mapped_column(BigInteger)
    regie: Mapped[str]
    natural_key: Mapped[str]
    key_version: Mapped[int]
    slip: Mapped[str]
    rank: Mapped[int]
    line: Mapped[int]
    number: Mapped[str]
    account: Mapped[str]  # keyed hash of the account's zones, or empty
    near_accounts: Mapped[list[str]] = mapped_column(JSON)  # known accounts one misread digit away
    rlmc: Mapped[str]  # what the RLMC key said
    amount: Mapped[int] = mapped_column(BigInteger)  # cents of euro
    issuer: Mapped[str]
    bank: Mapped[str]
    references: Mapped[list[str]] = mapped_column(JSON)
    family_code: Mapped[str]
    note: Mapped[str]
    drawn_on: Mapped[date | None]
    state: Mapped[str]
    why: Mapped[str]  # a person's reason for the state
    warnings: Mapped[list[str]] = mapped_column(JSON)
    attempt: Mapped[int]
    family_id: Mapped[int | None] = mapped_column(BigInteger)
    payment_id: Mapped[int | None] = mapped_column(BigInteger)
    deposit_id: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class ChequePart(TenantScoped, Base):
    """The payment of another family's share of a cheque, beside that of `Cheque.payment_id`.

    Append-only: those of an older `attempt` were taken back with it.
    """

    __tablename__ = "cheque_part"
    __table_args__ = (
        UniqueConstraint("tenant_id", "payment_id"),
        ForeignKeyConstraint(["tenant_id", "cheque_id"], ["cheque.tenant_id", "cheque.id"]),
        Index("ix_cheque_part_cheque", "tenant_id", "cheque_id"),
    )

    cheque_id: Mapped[int] = mapped_column(BigInteger)
    attempt: Mapped[int]
    payment_id: Mapped[int] = mapped_column(BigInteger)
    family_id: Mapped[int] = mapped_column(BigInteger)


class ChequeProposal(TenantScoped, Base):
    """One way to explain a cheque, as the matcher last saw it."""

    __tablename__ = "cheque_proposal"
    __table_args__ = (
        UniqueConstraint("tenant_id", "cheque_id", "rank"),
        ForeignKeyConstraint(
            ["tenant_id", "cheque_id"], ["cheque.tenant_id", "cheque.id"], ondelete="CASCADE"
        ),
    )

    cheque_id: Mapped[int] = mapped_column(BigInteger)
    rank: Mapped[int]
    family_id: Mapped[int] = mapped_column(BigInteger)
    shares: Mapped[list[list[int]]] = mapped_column(JSON)  # [invoice id, cents]
    gap: Mapped[int] = mapped_column(BigInteger)  # cents; negative when it is short
    confidence: Mapped[int]
    rule: Mapped[str]
    reasons: Mapped[list[str]] = mapped_column(JSON)
    scores: Mapped[dict[str, int]] = mapped_column(JSON)
    algorithm: Mapped[str]
    snapshot_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class ChequeEvent(TenantScoped, Base):
    """Event in a cheque's history: the action, its author, its explanation. Append-only."""

    __tablename__ = "cheque_event"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "cheque_id"], ["cheque.tenant_id", "cheque.id"]),
        Index("ix_cheque_event_cheque", "tenant_id", "cheque_id"),
    )

    cheque_id: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    actor: Mapped[str]
    action: Mapped[str]
    detail: Mapped[dict[str, Any]] = mapped_column(JSON)


class ChequeAccount(TenantScoped, Base):
    """A family that confirmed cheques of one account paid for."""

    __tablename__ = "cheque_account"
    __table_args__ = (UniqueConstraint("tenant_id", "account", "family_id"),)

    account: Mapped[str]
    family_id: Mapped[int] = mapped_column(BigInteger)
    payers: Mapped[list[str]] = mapped_column(JSON)
    confirmed: Mapped[int]
    flagged: Mapped[bool]
    last_seen_on: Mapped[date]


class ChequeDeposit(TenantScoped, Base):
    """A *bordereau de remise*: numbered without gaps by régie and year, frozen when it is made.

    Its cheques are those of one remittance (*versement*) of the régie, with which it is cancelled.
    """

    __tablename__ = "cheque_deposit"
    __table_args__ = (
        UniqueConstraint("tenant_id", "regie", "year", "number"),
        UniqueConstraint("tenant_id", "remittance_id"),
    )

    regie: Mapped[str]
    year: Mapped[int]
    number: Mapped[int]
    made_on: Mapped[date]
    actor: Mapped[str]
    depositor: Mapped[str]
    account: Mapped[str]
    siret: Mapped[str]
    count: Mapped[int]
    total: Mapped[int] = mapped_column(BigInteger)  # cents of euro
    remittance_id: Mapped[int | None] = mapped_column(BigInteger)  # core's; NULL: of before
    remittance: Mapped[str] = mapped_column(default="", server_default="")  # its number on paper
    cancelled_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class ChequeDepositLine(TenantScoped, Base):
    """A cheque as the slip states it. Append-only: what was signed does not change."""

    __tablename__ = "cheque_deposit_line"
    __table_args__ = (
        UniqueConstraint("tenant_id", "deposit_id", "rank"),
        ForeignKeyConstraint(
            ["tenant_id", "deposit_id"], ["cheque_deposit.tenant_id", "cheque_deposit.id"]
        ),
        ForeignKeyConstraint(["tenant_id", "cheque_id"], ["cheque.tenant_id", "cheque.id"]),
    )

    deposit_id: Mapped[int] = mapped_column(BigInteger)
    cheque_id: Mapped[int] = mapped_column(BigInteger)
    rank: Mapped[int]
    number: Mapped[str]
    bank: Mapped[str]
    issuer: Mapped[str]
    amount: Mapped[int] = mapped_column(BigInteger)  # cents of euro


class ChequeCounter(TenantScoped, Base):
    """The last number of a series; its row is locked while the next one is taken."""

    __tablename__ = "cheque_counter"
    __table_args__ = (UniqueConstraint("tenant_id", "name"),)

    name: Mapped[str]
    value: Mapped[int]


class ChequeLayout(TenantScoped, Base):
    """Headings of the town's own spreadsheet, by field."""

    __tablename__ = "cheque_layout"
    __table_args__ = (UniqueConstraint("tenant_id", "name"),)

    name: Mapped[str]
    columns: Mapped[dict[str, str]] = mapped_column(JSON)
