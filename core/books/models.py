"""Months that were closed, and money that left the till: what the régie's journal came to."""

from __future__ import annotations

from datetime import date

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from core.platform.db.base import Base, TenantScoped
from core.platform.db.types import Cents, Json, Moment, MomentOrNone, Reference


class Closing(TenantScoped, Base):
    """A closed month of a régie. Append-only; `hash` is the journal's last, which proves it."""

    __tablename__ = "closing"
    __table_args__ = (UniqueConstraint("tenant_id", "regie", "month"),)

    regie: Mapped[str]
    month: Mapped[date]
    entries: Mapped[int]
    collected: Mapped[Cents]
    returned: Mapped[Cents]
    hash: Mapped[str]
    actor: Mapped[str]
    closed_at: Mapped[Moment]


class Remittance(TenantScoped, Base):
    """A *versement*: money in hand that leaves the till for the trésorerie or the bank, as an act.

    Numbered by régie and year without a gap. Its entries of the journal prove it; `hash` is that
    of the last one. It changes no more, but for the notes that it left or was cancelled before.
    """

    __tablename__ = "remittance"
    __table_args__ = (
        UniqueConstraint("tenant_id", "regie", "year", "number"),
        CheckConstraint("left_at IS NULL OR cancelled_at IS NULL", name="left_or_cancelled"),
        CheckConstraint("since <= until", name="span"),
    )

    regie: Mapped[str]
    year: Mapped[int]
    number: Mapped[int] = mapped_column(comment="from 1 each year, without a gap")
    made_at: Mapped[Moment]
    since: Mapped[date] = mapped_column(comment="first day of the entries")
    until: Mapped[date] = mapped_column(comment="last day of the entries")
    total: Mapped[Cents]
    note: Mapped[str] = mapped_column(default="", server_default="")
    actor: Mapped[str]
    hash: Mapped[str] = mapped_column(comment="of its last entry in the journal")
    left_at: Mapped[MomentOrNone]
    left_by: Mapped[str] = mapped_column(default="", server_default="")
    carrier: Mapped[str] = mapped_column(default="", server_default="", comment="who took it away")
    cancelled_at: Mapped[MomentOrNone]
    cancelled_by: Mapped[str] = mapped_column(default="", server_default="")
    cancel_reason: Mapped[str] = mapped_column(default="", server_default="")

    @property
    def name(self) -> str:
        """Its number on paper: ``V-2026-CANTINE-0003``."""
        return f"V-{self.year}-{self.regie}-{self.number:04d}"


class RemittanceLine(TenantScoped, Base):
    """One means of payment of a remittance: its payments and their cents. Append-only."""

    __tablename__ = "remittance_line"
    __table_args__ = (
        UniqueConstraint("tenant_id", "remittance_id", "means"),
        ForeignKeyConstraint(
            ["tenant_id", "remittance_id"], ["remittance.tenant_id", "remittance.id"]
        ),
    )

    remittance_id: Mapped[Reference]
    means: Mapped[str]
    count: Mapped[int]
    amount: Mapped[Cents]


class RemittanceEntry(TenantScoped, Base):
    """An entry of the journal whose money a remittance took, until `released_at`.

    An entry is in hand while none in force has it.
    """

    __tablename__ = "remittance_entry"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "remittance_id"], ["remittance.tenant_id", "remittance.id"]
        ),
        ForeignKeyConstraint(
            ["tenant_id", "entry_id"], ["journal_entry.tenant_id", "journal_entry.id"]
        ),
        Index(
            "uq_remittance_entry_in_force",
            "tenant_id", "entry_id",
            unique=True,
            postgresql_where=text("released_at IS NULL"),
        ),
        Index(None, "tenant_id", "remittance_id"),
    )  # fmt: skip

    remittance_id: Mapped[Reference]
    entry_id: Mapped[Reference]
    released_at: Mapped[MomentOrNone] = mapped_column(comment="when the remittance was cancelled")


class Officer(TenantScoped, Base):
    """A person whom the town appointed to a régie: its régisseur, a deputy, or a *mandataire*."""

    __tablename__ = "regie_officer"
    __table_args__ = (
        CheckConstraint("until IS NULL OR since <= until", name="span"),
        Index(None, "tenant_id", "regie"),
    )

    regie: Mapped[str]
    role: Mapped[str]
    name: Mapped[str]
    act: Mapped[str] = mapped_column(comment="the decision that appointed them")
    since: Mapped[date]
    until: Mapped[date | None] = mapped_column(comment="last day; NULL: still in office")
    actor: Mapped[str]
    noted_at: Mapped[Moment]


class TillReport(TenantScoped, Base):
    """A *procès-verbal* of a régie's till: at a change of régisseur, or a check. Append-only.

    `state` is what the books said at that moment, frozen; `hash` is the journal's last then.
    """

    __tablename__ = "till_report"
    __table_args__ = (UniqueConstraint("tenant_id", "regie", "year", "number"),)

    regie: Mapped[str]
    year: Mapped[int]
    number: Mapped[int] = mapped_column(comment="from 1 each year, without a gap")
    at: Mapped[Moment]
    kind: Mapped[str]
    outgoing: Mapped[str]
    incoming: Mapped[str]
    counted: Mapped[Cents] = mapped_column(
        comment="cents of euro: cash in the till, float included"
    )
    note: Mapped[str] = mapped_column(default="", server_default="")
    state: Mapped[Json]
    hash: Mapped[str]
    actor: Mapped[str]

    @property
    def name(self) -> str:
        """Its number on paper: ``PV-2026-CANTINE-0003``."""
        return f"PV-{self.year}-{self.regie}-{self.number:04d}"
