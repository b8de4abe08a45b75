"""Exports of payments to the billing software: each movement once, numbered, the same for ever."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Row,
    Select,
    and_,
    cast,
    exists,
    func,
    literal,
    null,
    select,
    union_all,
    update,
)
from sqlalchemy.orm import Session, undefer

from core.api.context import Clock
from core.exchanges.columns import ExportLayout, Movement
from core.exchanges.models import PaymentExport, PaymentExportLine
from core.families.models import Family
from core.imports.layouts import PAYMENTS, Layouts
from core.invoices.models import Invoice
from core.journal.models import EntryKind, JournalEntry
from core.payments.models import Allocation, Credit, Payment
from core.platform.audit.service import Audit
from core.platform.clock import PARIS, today
from core.platform.db.paging import PAGE_ROWS, Page, newest, read_page
from core.platform.errors import NotFoundError

ALLOCATION, CREDIT = "allocation", "credit"
MAX_ROWS: Final = 20_000
"""Rows of one export: the next takes the rest."""


class PaymentExports:
    """The exports of one town's régies."""

    def __init__(
        self, session: Session, tenant: str, clock: Clock, *, layouts: Layouts, audit: Audit
    ) -> None:
        self._session = session
        self._tenant = tenant
        self._clock = clock
        self._layouts = layouts
        self._audit = audit

    def layout(self, regie: str) -> ExportLayout:
        """The columns that a régie chose."""
        return ExportLayout.of(self._layouts.find(PAYMENTS, regie))

    def keep_layout(self, regie: str, layout: ExportLayout) -> None:
        """Keep the columns of the exports to come; those that were made stay as they are."""
        self._layouts.keep(PAYMENTS, regie, layout.kept())

    def waiting(self, regie: str) -> tuple[int, int]:
        """Number and sum (cents) of the movements that no export told yet."""
        moved = self._moved(regie, self.layout(regie).since).subquery()
        row = self._session.execute(
            select(func.count(), func.coalesce(func.sum(moved.c.amount), 0))
        ).one()
        return int(row[0]), int(row[1])

    def make(self, regie: str) -> PaymentExport | None:
        """Write what no export told yet into the next one; None when there is nothing.

        Raises:
            UserError: a cell has no place in the encoding that the régie chose.
        """
        # One after the other: numbers have no gap, and what another one tells is seen here.
        name = func.hashtextextended(f"{self._tenant}/{regie}", 4)
        self._session.execute(select(func.pg_advisory_xact_lock(name)))
        layout = self.layout(regie)
        rows = self._session.execute(
            self._moved(regie, layout.since)
            .order_by("at", "payment_id", "is_reversal", "line_id", "item", "turn")
            .limit(MAX_ROWS)
        ).all()
        if len(rows) == MAX_ROWS and rows[-1].kind == "corrected" and not rows[-1].turn:
            rows = rows[:-1]  # Both halves of a correction are told together.
        if not rows:
            return None
        made = self._add(regie, layout, rows)
        self._audit.write(
            "payments.exported", f"payment_export:{made.id}", regie=regie, number=made.number,
            amount=made.total,
        )  # fmt: skip
        return made

    def _add(self, regie: str, layout: ExportLayout, rows: Sequence[Row[Any]]) -> PaymentExport:
        """Write the régie's next export: its file, and the lines that it told."""
        last = self._session.scalar(
            select(func.max(PaymentExport.number)).where(
                PaymentExport.tenant_id == self._tenant, PaymentExport.regie == regie
            )
        )
        number = (last or 0) + 1
        content = layout.write(regie, number, [_movement(row) for row in rows])
        made = PaymentExport(
            tenant_id=self._tenant,
            regie=regie,
            number=number,
            made_at=self._clock.now(),
            actor=self._audit.actor,
            count=len(rows),
            total=sum(row.amount for row in rows),
            media_type=layout.media_type,
            content=content,
            sha256=hashlib.sha256(content).hexdigest(),
        )
        self._session.add(made)
        self._session.flush()
        self._session.add_all(
            PaymentExportLine(
                tenant_id=self._tenant,
                export_id=made.id,
                rank=rank,
                allocation_id=row.line_id if row.item == ALLOCATION else None,
                credit_id=row.line_id if row.item == CREDIT else None,
                is_reversal=row.is_reversal,
                is_correction=row.kind == "corrected",
                means=row.means,
                amount=row.amount,
            )
            for rank, row in enumerate(rows, start=1)
        )
        self._session.flush()
        return made

    def next(self, regie: str, *, after: int | None = None) -> PaymentExport | None:
        """The export that the billing software wants next; made if there is none yet.

        Args:
            regie: the régie.
            after: the number of the last export that the software has; None: the first one that
                has not left yet.

        Raises:
            NotFoundError: no export has the number `after`.
            UserError: as `make`.
        """
        if after:
            self.numbered(regie, after)
        wanted = (
            PaymentExport.left_at.is_(None) if after is None else PaymentExport.number == after + 1
        )
        found = self._session.scalar(
            select(PaymentExport)
            .where(
                PaymentExport.tenant_id == self._tenant, PaymentExport.regie == regie, wanted
            )
            .order_by(PaymentExport.number)
            .limit(1)
        )
        if found is not None:
            return found
        made = self.make(regie)
        # Another who asked at the same moment may have made the one that is wanted.
        return self.next(regie, after=after) if made and after is not None else made

    def get(self, export_id: int) -> PaymentExport:
        """One export. Raises `NotFoundError` when there is none."""
        return self._one(PaymentExport.id == export_id)

    def numbered(self, regie: str, number: int) -> PaymentExport:
        """The export of this number. Raises `NotFoundError` when there is none."""
        return self._one(
            and_(PaymentExport.regie == regie, PaymentExport.number == number)
        )

    def content(self, export_id: int) -> bytes:
        """The bytes of an export, the same for ever."""
        found = self._session.scalars(
            select(PaymentExport)
            .where(PaymentExport.tenant_id == self._tenant, PaymentExport.id == export_id)
            .options(undefer(PaymentExport.content))
            .execution_options(populate_existing=True)
        ).one()
        return found.content

    def unsent(self, regie: str) -> Sequence[PaymentExport]:
        """The exports that have not left yet, the first one first."""
        return self._session.scalars(
            select(PaymentExport)
            .where(
                PaymentExport.tenant_id == self._tenant,
                PaymentExport.regie == regie,
                PaymentExport.left_at.is_(None),
            )
            .order_by(PaymentExport.number)
        ).all()

    def leave(self, export_id: int, by: str) -> None:
        """Note that an export left; only the first time counts."""
        self._session.execute(
            update(PaymentExport)
            .where(
                PaymentExport.tenant_id == self._tenant,
                PaymentExport.id == export_id,
                PaymentExport.left_at.is_(None),
            )
            .values(left_at=self._clock.now(), left_by=by)
        )

    def again(self, export_id: int) -> None:
        """Let an export leave once more, by the way that the town's file names: the same bytes."""
        found = self.get(export_id)
        found.left_at, found.left_by = None, ""
        self._audit.write(
            "payments.exported_again", f"payment_export:{export_id}", regie=found.regie,
            number=found.number,
        )  # fmt: skip

    def page(
        self, regie: str, *, before: int | None = None, limit: int = PAGE_ROWS
    ) -> Page:
        """The exports of a régie, the last one first."""
        query = select(PaymentExport).where(
            PaymentExport.tenant_id == self._tenant, PaymentExport.regie == regie
        )
        return newest(self._session, query, PaymentExport.id, before, limit)

    def lines(self, export_id: int, *, after: int = 0) -> Page:
        """Lines of an export with their invoice and payment, in order; pages by rank."""
        invoice_id = func.coalesce(Allocation.invoice_id, Credit.invoice_id)
        payment_id = func.coalesce(Allocation.payment_id, Credit.payment_id)
        query = (
            select(PaymentExportLine, Invoice, Payment)
            .outerjoin(
                Allocation,
                and_(
                    Allocation.tenant_id == PaymentExportLine.tenant_id,
                    Allocation.id == PaymentExportLine.allocation_id,
                ),
            )
            .outerjoin(
                Credit,
                and_(
                    Credit.tenant_id == PaymentExportLine.tenant_id,
                    Credit.id == PaymentExportLine.credit_id,
                ),
            )
            .join(
                Invoice,
                and_(
                    Invoice.tenant_id == PaymentExportLine.tenant_id, Invoice.id == invoice_id
                ),
            )
            .join(
                Payment,
                and_(
                    Payment.tenant_id == PaymentExportLine.tenant_id, Payment.id == payment_id
                ),
            )
            .where(
                PaymentExportLine.tenant_id == self._tenant,
                PaymentExportLine.export_id == export_id,
                PaymentExportLine.rank > after,
            )
            .order_by(PaymentExportLine.rank)
        )
        return read_page(
            self._session, query, PAGE_ROWS, lambda row: int(row.PaymentExportLine.rank)
        )

    def _one(self, which: ColumnElement[bool]) -> PaymentExport:
        found = self._session.scalar(
            select(PaymentExport)
            .where(PaymentExport.tenant_id == self._tenant, which)
            .execution_options(populate_existing=True)
        )
        if found is None:
            raise NotFoundError
        return found

    def _moved(self, regie: str, since: date | None) -> Any:
        """Every movement of a régie that no export told: a set, never a position in time.

        A transaction that commits later than others that began after it is found by the next
        export; a mark on a clock or on a number would step over it.
        """
        start = datetime(since.year, since.month, since.day, tzinfo=PARIS) if since else None
        parts = [
            _part(self._tenant, regie, start, kind, table, is_reversal=is_reversal, sign=sign)
            for kind, table, is_reversal, sign in (
                ("paid", Allocation, False, 1),
                ("reversed", Allocation, True, -1),
                ("freed", Credit, False, -1),
                ("freed_reversed", Credit, True, 1),
            )
        ]
        corrected = [
            _corrected(self._tenant, regie, start, table, turn=turn)
            for table in (Allocation, Credit)
            for turn in (0, 1)
        ]
        moved = union_all(*parts, *corrected).subquery("moved")
        return select(moved)


def _corrected(
    tenant: str, regie: str, start: datetime | None, table: Any, *, turn: int
) -> Select[Any]:
    """What was told by another means than the payment's own now: out of it (0), and into this (1).

    What was corrected before it was told, or back again, was told rightly.
    """
    line_of = _line_of(table)
    told = (
        select(
            line_of.label("line_id"),
            PaymentExportLine.means,
            cast(func.sum(PaymentExportLine.amount), BigInteger).label("cents"),
        )
        .where(PaymentExportLine.tenant_id == tenant, line_of.is_not(None))
        .group_by(line_of, PaymentExportLine.means)
        .having(func.sum(PaymentExportLine.amount) != 0)
    )
    entries = (
        select(JournalEntry.payment_id, func.max(JournalEntry.at).label("at"))
        .where(
            JournalEntry.tenant_id == tenant,
            JournalEntry.regie == regie,
            JournalEntry.kind == EntryKind.CORRECTED,
        )
        .group_by(JournalEntry.payment_id)
        .subquery()
    )
    ours = told.where(
        line_of.in_(
            select(table.id).where(
                table.tenant_id == tenant, table.payment_id.in_(select(entries.c.payment_id))
            )
        )
    ).subquery()
    query = (
        _row_of(
            table, "corrected", ours.c.cents if turn else -ours.c.cents, entries.c.at,
            Payment.means if turn else ours.c.means, is_reversal=False, turn=turn,
        )
        .join(ours, ours.c.line_id == table.id)
        .join(entries, entries.c.payment_id == Payment.id)
        .where(
            table.tenant_id == tenant, Payment.regie == regie, Payment.means != ours.c.means
        )
    )  # fmt: skip
    return query.where(entries.c.at >= start) if start else query


def _line_of(table: Any) -> Any:
    return PaymentExportLine.allocation_id if table is Allocation else PaymentExportLine.credit_id


def _row_of(
    table: Any, kind: str, amount: Any, at: Any, means: Any, *, is_reversal: bool, turn: int = 0
) -> Select[Any]:
    """SQL: a movement of an allocation or a credit, with its payment, invoice and family."""
    return (
        select(
            literal(kind).label("kind"),
            literal(ALLOCATION if table is Allocation else CREDIT).label("item"),
            literal(turn).label("turn"),
            table.id.label("line_id"),
            literal(is_reversal).label("is_reversal"),
            cast(amount, BigInteger).label("amount"),
            at.label("at"),
            Payment.id.label("payment_id"),
            Payment.paid_at,
            means.label("means"),
            Payment.receipt_number,
            Payment.authorisation,
            Invoice.number,
            Invoice.payment_reference,
            Invoice.fiscal_year,
            func.coalesce(Family.spelling, Family.code).label("family"),
        )
        .join(Payment, and_(Payment.tenant_id == table.tenant_id, Payment.id == table.payment_id))
        .join(Invoice, and_(Invoice.tenant_id == table.tenant_id, Invoice.id == table.invoice_id))
        .join(
            Family, and_(Family.tenant_id == Invoice.tenant_id, Family.id == Invoice.family_id)
        )
    )


def _part(
    tenant: str, regie: str, start: datetime | None, kind: str, table: Any, *,
    is_reversal: bool, sign: int,
) -> Select[Any]:  # fmt: skip
    at = table.reversed_at if is_reversal else table.created_at
    query = (
        _row_of(table, kind, sign * table.amount, at, Payment.means, is_reversal=is_reversal)
        .where(
            table.tenant_id == tenant,
            Payment.regie == regie,
            table.invoice_id.is_not(null()),
            ~exists().where(
                PaymentExportLine.tenant_id == tenant,
                _line_of(table) == table.id,
                PaymentExportLine.is_reversal.is_(is_reversal),
                ~PaymentExportLine.is_correction,
            ),
        )
    )
    if is_reversal:
        query = query.where(table.reversed_at.is_not(None))
    return query.where(at >= start) if start else query


def _movement(row: Any) -> Movement:
    return Movement(
        kind=row.kind,
        day=today(row.at),
        paid_on=today(row.paid_at or row.at),
        invoice=row.number,
        reference=row.payment_reference,
        fiscal_year=row.fiscal_year,
        family=row.family,
        amount=row.amount,
        means=row.means,
        receipt=row.receipt_number,
        transaction=row.authorisation,
    )
