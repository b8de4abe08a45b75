"""Lists of invoices for agents."""

from __future__ import annotations

from sqlalchemy import Select, and_, select
from sqlalchemy.orm import Session

from core.families.models import Family
from core.invoices.credit_notes import is_to_link
from core.invoices.models import Invoice
from core.invoices.service import is_overpaid, is_to_pay, is_under_debit
from core.platform.db.paging import PAGE_ROWS, Page, read_page


class InvoiceList:
    """The invoices of one tenant, page by page."""

    def __init__(self, session: Session, tenant: str) -> None:
        self._session = session
        self._tenant = tenant

    def page(
        self,
        *,
        state: str = "",
        regie: str = "",
        family_id: int | None = None,
        batch_id: int | None = None,
        unpaid: bool = False,
        overpaid: bool = False,
        to_link: bool = False,
        under_debit: bool = False,
        before: int | None = None,
        limit: int = PAGE_ROWS,
    ) -> Page:
        """Invoices with their family and what is left of them, the newest first.

        `unpaid`: those that ask something of their family; `under_debit`: those that a direct debit
        takes, which do not. `overpaid`: those that were paid before a credit note came, so that
        money is to go back. `to_link`: credit notes without their invoice, and invoices in place of
        one that can still be paid.
        """
        query = invoice_rows(self._tenant)
        if state:
            query = query.where(Invoice.state == state)
        if regie:
            query = query.where(Invoice.regie == regie)
        if family_id is not None:
            query = query.where(Invoice.family_id == family_id)
        if batch_id is not None:
            query = query.where(Invoice.batch_id == batch_id)
        if unpaid:
            query = query.where(is_to_pay())
        if under_debit:
            query = query.where(is_under_debit())
        if overpaid:
            query = query.where(is_overpaid())
        if to_link:
            query = query.where(is_to_link())
        if before is not None:
            query = query.where(Invoice.id < before)
        return read_page(
            self._session, query.order_by(Invoice.id.desc()), limit, lambda row: row.Invoice.id
        )


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
