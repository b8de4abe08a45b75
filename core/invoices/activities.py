"""Cents that invoices ask for each activity."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import replace

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.domain.tax import TaxInvoice, TaxLine, line_weights
from core.invoices.credit_notes import notes_on
from core.invoices.models import Invoice, InvoiceLine


def with_activities(
    session: Session, tenant: str, ids: Collection[int]
) -> dict[int, tuple[str, int, TaxInvoice]]:
    """Number and fiscal year of invoices, and what each line asks, credit notes apart."""
    lines: dict[int, list[TaxLine]] = defaultdict(list)
    for line in session.execute(
        select(InvoiceLine.invoice_id, InvoiceLine.activity, InvoiceLine.amount)
        .where(InvoiceLine.tenant_id == tenant, InvoiceLine.invoice_id.in_(ids))
        .order_by(InvoiceLine.invoice_id, InvoiceLine.rank)
    ):
        lines[line.invoice_id].append(
            TaxLine(None, line.activity, care=False, amount=line.amount)
        )
    return {
        row.id: (
            row.number,
            row.fiscal_year,
            TaxInvoice(row.id, row.amount, tuple(lines[row.id])),
        )
        for row in session.execute(
            select(Invoice.id, Invoice.number, Invoice.fiscal_year, Invoice.amount).where(
                Invoice.tenant_id == tenant, Invoice.id.in_(ids)
            )
        )
    }


def by_activity(invoice: TaxInvoice) -> TaxInvoice:
    """Let what is taken off lower the lines of the same activity first."""
    names = [line.activity for line in invoice.lines]
    return replace(
        invoice,
        lines=tuple(
            replace(line, child=names.index(line.activity), care=False) for line in invoice.lines
        ),
    )


def asked(
    session: Session, tenant: str, ids: Collection[int]
) -> Mapping[int, Mapping[str, int]]:
    """Cents that each invoice asks for each activity now, less its credit notes."""
    notes = notes_on(session, tenant, ids)
    found: dict[int, dict[str, int]] = {}
    for invoice_id, (_number, _year, invoice) in with_activities(
        session, tenant, ids
    ).items():
        now = by_activity(invoice.less([note.what for note in notes.get(invoice_id, ())]))
        sums: dict[str, int] = defaultdict(int)
        for line, cents in zip(now.lines, line_weights(now), strict=True):
            sums[line.activity] += cents
        found[invoice_id] = sums
    return found
