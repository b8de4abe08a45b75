"""Lists of invoices for agents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Select, Subquery, and_, case, func, select
from sqlalchemy.orm import Session

from core.api.invoices import InvoiceKind
from core.families.models import Family
from core.invoices.credit_notes import is_to_link
from core.invoices.models import Invoice, InvoiceState
from core.invoices.service import is_overpaid, is_to_pay, is_under_debit
from core.platform.db.paging import (
    PAGE_ROWS,
    Narrowing,
    Page,
    Total,
    below,
    read_page,
    total,
    within,
)

ISSUED, AMOUNT = "emission", "montant"
"""Ways to sort."""


class InvoiceList:
    """The invoices of one tenant, page by page."""

    def __init__(self, session: Session, tenant: str) -> None:
        self._session = session
        self._tenant = tenant

    def page(
        self, asked: Asked | None = None, *, before: int | None = None, limit: int = PAGE_ROWS,
        **changes: Any,
    ) -> Page:
        """Invoices with their family and what is left of them, the newest or greatest first."""
        wanted = replace(asked or Asked(), **changes)
        query = below(self._session, self._query(wanted), wanted.order, before)
        return read_page(self._session, query, limit, lambda row: row.Invoice.id)

    def total(self, asked: Asked) -> Total:
        """Count the invoices of a list, and sum what they come to and what is left of them."""
        owes = (Invoice.kind == InvoiceKind.INVOICE) & Invoice.state.in_(
            (InvoiceState.PUBLISHED, InvoiceState.HANDED_OVER)
        )
        return total(
            self._session,
            self._query(asked),
            amount=Invoice.amount,
            left=case((owes, Invoice.left), else_=0),
        )

    def due_of(self, family_ids: Sequence[int]) -> dict[int, int]:
        """Cents that each of these families has to pay; those that owe nothing are not in it."""
        owed = owed_by_family(self._tenant)
        rows = self._session.execute(select(owed).where(owed.c.family_id.in_(family_ids)))
        return {row.family_id: int(row.cents) for row in rows}

    def _query(self, asked: Asked) -> Select[Invoice, Family, int]:
        query = invoice_rows(self._tenant).where(*asked.conditions())
        if asked.unpaid:
            query = query.where(is_to_pay())
        if asked.under_debit:
            query = query.where(is_under_debit())
        if asked.overpaid:
            query = query.where(is_overpaid())
        if asked.to_link:
            query = query.where(is_to_link())
        return query


@dataclass(frozen=True, slots=True)
class Asked(Narrowing):
    """Bounds of a list of invoices, and the order: `ISSUED`, `AMOUNT`; else as they came in.

    `unpaid`: those that ask something of their family; `under_debit`: those that a direct debit
    takes, which do not. `overpaid`: those that were paid before a credit note came, so that money
    is to go back. `to_link`: credit notes without their invoice, and invoices in place of one that
    can still be paid. The days are those of issue.
    """

    state: str = ""
    batch_id: int | None = None
    unpaid: bool = False
    overpaid: bool = False
    to_link: bool = False
    under_debit: bool = False

    @property
    def order(self) -> tuple[Any, ...]:
        """Columns that sort, each with an index; what is narrowed by days or cents goes by them."""
        if self.sort == ISSUED or (not self.sort and self.has_days):
            return (Invoice.issued_on, Invoice.id)
        if self.sort == AMOUNT or (not self.sort and self.has_cents):
            return (Invoice.amount, Invoice.id)
        return (Invoice.id,)

    def conditions(self) -> list[ColumnElement[bool]]:
        """SQL: what the columns alone say."""
        found: dict[Any, Any] = {
            Invoice.state: self.state or None,
            Invoice.regie: self.regie or None,
            Invoice.family_id: self.family_id,
            Invoice.batch_id: self.batch_id,
        }
        conditions = [column == value for column, value in found.items() if value is not None]
        if self.since is not None:
            conditions.append(Invoice.issued_on >= self.since)
        if self.until is not None:
            conditions.append(Invoice.issued_on <= self.until)
        conditions += within(Invoice.amount, self.least, self.most)
        return conditions


def owed_by_family(tenant: str, regie: str = "") -> Subquery:
    """SQL: the `cents` that families have to pay, by `family_id`; to one régie if it is given."""
    query = select(Invoice.family_id, func.sum(Invoice.left).label("cents")).where(
        Invoice.tenant_id == tenant, is_to_pay()
    )
    if regie:
        query = query.where(Invoice.regie == regie)
    return query.group_by(Invoice.family_id).subquery()


def invoice_rows(tenant: str) -> Select[Invoice, Family, int]:
    """SQL: invoices of a town, each with its family and the cents that are `left` of it.

    To be read beside the row: what a session holds of an invoice may be older.
    """
    return (
        select(Invoice, Family, Invoice.left.label("left"))
        .join(
            Family, and_(Family.tenant_id == Invoice.tenant_id, Family.id == Invoice.family_id)
        )
        .where(Invoice.tenant_id == tenant)
    )
