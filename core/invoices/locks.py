"""Locks on invoices, and what an invoice may still take once it is locked."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from typing import Any

from sqlalchemy import ARRAY, BigInteger, Select, any_, bindparam, select
from sqlalchemy.orm import Session

from core.invoices.models import Invoice, InvoiceState
from core.platform.db.session import read


def balance_due(state: str, left: int) -> int:
    """Balance due of an invoice here, in cents: zero unless the invoice is published."""
    return max(left, 0) if state == InvoiceState.PUBLISHED else 0


def lock_invoices(
    session: Session, tenant: str, invoice_ids: Collection[int]
) -> dict[int, Invoice]:
    """Lock invoices, always in the order of their ids so that two payments cannot deadlock."""
    rows = session.scalars(
        select(Invoice)
        .where(Invoice.tenant_id == tenant, Invoice.id.in_(invoice_ids))
        .order_by(Invoice.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return {invoice.id: invoice for invoice in rows}


def hold_invoices(session: Session, tenant: str, invoice_ids: Collection[int]) -> None:
    """Lock invoices as `lock_invoices` does, for those who need not look at them."""
    read(session, _invoices_to_lock(), {"tenant": tenant, "ids": list(invoice_ids)})


@cache
def _invoices_to_lock() -> Select[*tuple[Any, ...]]:
    return (
        select(Invoice.id)
        .where(
            Invoice.tenant_id == bindparam("tenant"),
            Invoice.id == any_(bindparam("ids", type_=ARRAY(BigInteger))),
        )
        .order_by(Invoice.id)
        .with_for_update()
    )
