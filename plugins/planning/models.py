"""The plugin's tables.

Children and families are named by their number without a foreign key: they are core's. A meal code
is kept as the town writes it; nothing about health is stored in words.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKeyConstraint,
    Index,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from core.plugin import Base, TenantScoped


class PlanningEnrolment(TenantScoped, Base):
    """A child may use a service at a place over a span of days, both included."""

    __tablename__ = "planning_enrolment"
    __table_args__ = (
        UniqueConstraint("tenant_id", "child_id", "service", "first"),
        CheckConstraint("first <= last", name="forward"),
        Index("ix_planning_enrolment_service", "tenant_id", "service", "last"),
    )

    child_id: Mapped[int] = mapped_column(BigInteger)
    service: Mapped[str]
    place: Mapped[str]
    meal: Mapped[str]
    kind: Mapped[str]
    weekdays: Mapped[str]  # digits, 0: Monday; of a regular enrolment
    first: Mapped[date]
    last: Mapped[date]
    batch: Mapped[str]  # the file that brought it, for undo


class PlanningBatch(TenantScoped, Base):
    """One imported file of enrolments, with what it replaced, so that it can be undone."""

    __tablename__ = "planning_batch"
    __table_args__ = (UniqueConstraint("tenant_id", "source"),)

    source: Mapped[str]  # upload/<core's import>, or cli/<a key>
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    count: Mapped[int]
    replaced: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    undone_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class PlanningHome(TenantScoped, Base):
    """The weeks in which one of a child's homes may change its days. Without a row: all."""

    __tablename__ = "planning_home"
    __table_args__ = (UniqueConstraint("tenant_id", "child_id", "family_id"),)

    child_id: Mapped[int] = mapped_column(BigInteger)
    family_id: Mapped[int] = mapped_column(BigInteger)
    weeks: Mapped[str]
    handover: Mapped[int]  # weekday, 0: Monday


class PlanningDay(TenantScoped, Base):
    """A service's day; its row is locked while anything of that day changes."""

    __tablename__ = "planning_day"
    __table_args__ = (UniqueConstraint("tenant_id", "service", "day"),)

    service: Mapped[str]
    day: Mapped[date]


class PlanningBooking(TenantScoped, Base):
    """State of a child's day in a service."""

    __tablename__ = "planning_booking"
    __table_args__ = (
        UniqueConstraint("tenant_id", "child_id", "service", "day"),
        # What is counted stands in the indexes: the table itself is not read for it.
        Index(
            "ix_planning_booking_day", "tenant_id", "day", "service",
            postgresql_include=["place", "meal", "state"],
        ),
        Index(
            "ix_planning_booking_place", "tenant_id", "service", "place", "day",
            postgresql_include=["state"],
        ),
        Index(
            "ix_planning_booking_waiting", "tenant_id", "service", "place", "day",
            postgresql_where="state = 'waiting'",
        ),
    )  # fmt: skip

    child_id: Mapped[int] = mapped_column(BigInteger)
    service: Mapped[str]
    day: Mapped[date]
    place: Mapped[str]
    meal: Mapped[str]
    state: Mapped[str]
    late: Mapped[bool]  # asked for after the deadline (hors délai)
    queued: Mapped[int] = mapped_column(BigInteger)  # place in the day's waiting list; 0: none
    family_id: Mapped[int | None] = mapped_column(BigInteger)  # who asked; None: the town
    changed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    justified: Mapped[bool | None]  # of an absence; None: nobody decided


class PlanningRequest(TenantScoped, Base):
    """Request made at one moment, and each answer: the proof. Append-only."""

    __tablename__ = "planning_request"
    __table_args__ = (
        UniqueConstraint("tenant_id", "key"),
        Index("ix_planning_request_family", "tenant_id", "family_id"),
    )

    key: Mapped[str]
    family_id: Mapped[int | None] = mapped_column(BigInteger)
    actor: Mapped[str]
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    reason: Mapped[str]
    answers: Mapped[list[dict[str, Any]]] = mapped_column(JSON)


class PlanningChange(TenantScoped, Base):
    """One change of one day, by whom and when. Append-only."""

    __tablename__ = "planning_change"
    __table_args__ = (
        Index("ix_planning_change_day", "tenant_id", "service", "day"),
        Index("ix_planning_change_child", "tenant_id", "child_id", "day"),
    )

    child_id: Mapped[int] = mapped_column(BigInteger)
    service: Mapped[str]
    day: Mapped[date]
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    actor: Mapped[str]
    before: Mapped[str]  # "" when there was nothing
    after: Mapped[str]
    late: Mapped[bool]
    reason: Mapped[str]
    request: Mapped[str]


class PlanningClosure(TenantScoped, Base):
    """A day on which the town closed a service, everywhere or at one place."""

    __tablename__ = "planning_closure"
    __table_args__ = (
        UniqueConstraint("tenant_id", "day", "service", "place"),
    )

    day: Mapped[date]
    service: Mapped[str]  # "": all
    place: Mapped[str]  # "": all
    reason: Mapped[str]
    actor: Mapped[str]
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class PlanningPattern(TenantScoped, Base):
    """The usual week of a child in one home, as it was last asked for."""

    __tablename__ = "planning_pattern"
    __table_args__ = (UniqueConstraint("tenant_id", "child_id", "family_id", "weeks"),)

    child_id: Mapped[int] = mapped_column(BigInteger)
    family_id: Mapped[int] = mapped_column(BigInteger)
    weeks: Mapped[str]
    days: Mapped[list[list[Any]]] = mapped_column(JSON)  # [service, weekday]
    first: Mapped[date]
    last: Mapped[date]
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class PlanningAttendance(TenantScoped, Base):
    """Presence or absence of a child, as tapped by the person in the room."""

    __tablename__ = "planning_attendance"
    __table_args__ = (
        UniqueConstraint("tenant_id", "child_id", "service", "day"),
        Index("ix_planning_attendance_day", "tenant_id", "day", "service"),
    )

    child_id: Mapped[int] = mapped_column(BigInteger)
    service: Mapped[str]
    day: Mapped[date]
    mark: Mapped[str]  # present, absent
    tapped_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    actor: Mapped[str]


class PlanningOrder(TenantScoped, Base):
    """Order to the caterer for a day. Version 1 is the deadline's. Append-only."""

    __tablename__ = "planning_order"
    __table_args__ = (UniqueConstraint("tenant_id", "service", "day", "version"),)

    service: Mapped[str]
    day: Mapped[date]
    version: Mapped[int]
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    counts: Mapped[list[list[Any]]] = mapped_column(JSON)  # [place, meal, number]


class PlanningExport(TenantScoped, Base):
    """One export for the billing software. Append-only."""

    __tablename__ = "planning_export"

    at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    actor: Mapped[str]
    first: Mapped[date]
    last: Mapped[date]
    count: Mapped[int]


class PlanningExported(TenantScoped, Base):
    """One row of an export, as it went out. Append-only, but for names of erased children."""

    __tablename__ = "planning_exported"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "export_id"], ["planning_export.tenant_id", "planning_export.id"]
        ),
        UniqueConstraint("tenant_id", "export_id", "child_id", "service", "day"),
        Index("ix_planning_exported_day", "tenant_id", "day"),
    )

    export_id: Mapped[int] = mapped_column(BigInteger)
    child_id: Mapped[int] = mapped_column(BigInteger)
    service: Mapped[str]
    day: Mapped[date]
    row: Mapped[list[str]] = mapped_column(JSON)


class PlanningFeed(TenantScoped, Base):
    """The secret address of a family's calendar feed, kept as a hash."""

    __tablename__ = "planning_feed"
    __table_args__ = (
        UniqueConstraint("tenant_id", "token_hash"),
        Index("ix_planning_feed_family", "tenant_id", "family_id"),
    )

    family_id: Mapped[int] = mapped_column(BigInteger)
    token_hash: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    revoked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
