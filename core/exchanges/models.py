"""Exports of payments as they were written, the token for them, and the places of exchanges."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, deferred, mapped_column

from core.platform.db.base import Base, TenantScoped
from core.platform.db.types import Cents, Moment, MomentOrNone, Reference, ReferenceOrNone
from core.platform.tabular.writing import XLSX


class PaymentExport(TenantScoped, Base):
    """A file of payments for the billing software, numbered by régie without a gap.

    Its bytes are kept: they name no family but by its code, and are the same for ever.
    """

    __tablename__ = "payment_export"
    __table_args__ = (
        UniqueConstraint("tenant_id", "regie", "number"),
        Index(None, "tenant_id", "regie", "id", postgresql_where=text("left_at IS NULL")),
    )

    regie: Mapped[str]
    number: Mapped[int] = mapped_column(comment="from 1, without a gap")
    made_at: Mapped[Moment]
    actor: Mapped[str]
    count: Mapped[int]
    total: Mapped[Cents]
    media_type: Mapped[str]
    content: Mapped[bytes] = deferred(mapped_column(LargeBinary))
    sha256: Mapped[str]
    left_at: Mapped[MomentOrNone] = mapped_column(comment="when it was first fetched or sent")
    left_by: Mapped[str] = mapped_column(default="", server_default="")

    @property
    def name(self) -> str:
        """Name of the file, without its ending."""
        return f"reglements-{self.regie}-{self.number:05d}"

    @property
    def file_name(self) -> str:
        """Name of the file."""
        return f"{self.name}.{'xlsx' if self.media_type == XLSX else 'csv'}"


class PaymentExportLine(TenantScoped, Base):
    """A movement that an export told, once ever: of an allocation, or of what an invoice gave back.

    Its signed amounts add up, by invoice, to `Invoice.paid`; by means, to what was paid by each. A
    correction is two lines: out of the means that was told, and into the one that it was.
    """

    __tablename__ = "payment_export_line"
    __table_args__ = (
        UniqueConstraint("tenant_id", "export_id", "rank"),
        ForeignKeyConstraint(
            ["tenant_id", "export_id"], ["payment_export.tenant_id", "payment_export.id"]
        ),
        ForeignKeyConstraint(
            ["tenant_id", "allocation_id"], ["allocation.tenant_id", "allocation.id"]
        ),
        ForeignKeyConstraint(["tenant_id", "credit_id"], ["credit.tenant_id", "credit.id"]),
        CheckConstraint("(allocation_id IS NULL) <> (credit_id IS NULL)", name="one_of_both"),
        Index(
            "uq_payment_export_line_allocation",
            "tenant_id", "allocation_id", "is_reversal",
            unique=True,
            postgresql_where=text("allocation_id IS NOT NULL AND NOT is_correction"),
        ),
        Index(
            "uq_payment_export_line_credit",
            "tenant_id", "credit_id", "is_reversal",
            unique=True,
            postgresql_where=text("credit_id IS NOT NULL AND NOT is_correction"),
        ),
    )  # fmt: skip

    export_id: Mapped[Reference]
    rank: Mapped[int]
    allocation_id: Mapped[ReferenceOrNone]
    credit_id: Mapped[ReferenceOrNone] = mapped_column(
        comment="a credit that its invoice gave back after a credit note"
    )
    is_reversal: Mapped[bool]
    is_correction: Mapped[bool] = mapped_column(
        default=False, server_default="false", comment="of the means of payment"
    )
    means: Mapped[str] = mapped_column(comment="as it was told")
    amount: Mapped[Cents] = mapped_column(comment="cents of euro, signed")


class ExchangeToken(TenantScoped, Base):
    """The token by which a town's billing software fetches its exports; only its hash is kept."""

    __tablename__ = "exchange_token"
    __table_args__ = (
        Index(
            "uq_exchange_token_in_force",
            "tenant_id",
            unique=True,
            postgresql_where=text("ended_at IS NULL"),
        ),
    )

    hash: Mapped[bytes] = mapped_column(LargeBinary)
    made_at: Mapped[Moment]
    made_by: Mapped[str]
    used_at: Mapped[MomentOrNone]
    ended_at: Mapped[MomentOrNone]


class ExchangePlace(TenantScoped, Base):
    """State of a place of the town's file, in one direction."""

    __tablename__ = "exchange_place"
    __table_args__ = (UniqueConstraint("tenant_id", "direction", "name"),)

    direction: Mapped[str] = mapped_column(comment="in: invoices; out: payments")
    name: Mapped[str]
    looked_at: Mapped[Moment]
    reached_at: Mapped[MomentOrNone]
    failing_since: Mapped[MomentOrNone]
    problem: Mapped[str] = mapped_column(default="", server_default="")


class FileState(StrEnum):
    """``seen -> reading -> imported | refused | known``; another file of its name: ``seen``."""

    SEEN = "seen"
    READING = "reading"
    IMPORTED = "imported"
    REFUSED = "refused"
    KNOWN = "known"
    """Its bytes were imported before, whatever their name was."""


class ExchangeFile(TenantScoped, Base):
    """A file of a place that invoices come from, under its name, as it was last seen."""

    __tablename__ = "exchange_file"
    __table_args__ = (
        UniqueConstraint("tenant_id", "place", "file_name"),
        ForeignKeyConstraint(["tenant_id", "upload_id"], ["upload.tenant_id", "upload.id"]),
    )

    place: Mapped[str]
    file_name: Mapped[str]
    size: Mapped[int] = mapped_column(BigInteger, comment="bytes; -1: only reading tells")
    modified: Mapped[int] = mapped_column(
        BigInteger, comment="seconds since 1970, by the other side's clock"
    )
    sha256: Mapped[str] = mapped_column(default="", server_default="")
    state: Mapped[str]
    seen_at: Mapped[Moment] = mapped_column(comment="when it was first seen as it is")
    done_at: Mapped[MomentOrNone] = mapped_column(
        comment="when it was read; while it is being read, when that began"
    )
    tries: Mapped[int] = mapped_column(default=0, server_default="0")
    upload_id: Mapped[ReferenceOrNone]

    @property
    def is_done(self) -> bool:
        """True if nothing more is to be done with it as it is."""
        return self.state in {FileState.IMPORTED, FileState.REFUSED, FileState.KNOWN}
