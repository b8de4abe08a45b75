"""Amounts that published credit notes take off invoices, line by line."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import attrgetter

from sqlalchemy import ColumnElement, and_, func, literal_column, or_, select
from sqlalchemy.orm import Session, aliased

from core.api.invoices import InvoiceKind, Relation, TaxKind
from core.domain.tax import TaxInvoice, TaxLine
from core.invoices.models import Invoice, InvoiceLine
from core.invoices.service import is_shown


def is_to_link() -> ColumnElement[bool]:
    """SQL: a person must look at `Invoice`.

    It is a credit note that takes nothing off any invoice, or it replaces one that is payable.
    """
    # What indexes hold comes first; the function (see migration 0017) then asks few rows.
    return and_(
        or_(
            and_(Invoice.kind == InvoiceKind.CREDIT_NOTE, Invoice.relation == ""),
            Invoice.relation == Relation.REPLACES,
        ),
        func.invoice_waits(literal_column("invoice")),
    )


@dataclass(frozen=True, slots=True)
class Note:
    """A credit note, its amounts below zero, and since when it counts."""

    since: datetime
    what: TaxInvoice


def notes_on(
    session: Session, tenant: str, invoice_ids: Collection[int]
) -> Mapping[int, list[Note]]:
    """The published credit notes on each of these invoices, as `Invoice.credited` adds them up."""
    if not invoice_ids:
        return {}
    origin = aliased(Invoice)
    rows = session.execute(
        select(
            origin.id.label("origin"), Invoice.id, Invoice.amount, Invoice.published_at, InvoiceLine
        )
        .select_from(Invoice)
        .join(
            origin,
            and_(
                origin.tenant_id == Invoice.tenant_id,
                origin.regie == Invoice.regie,
                origin.number == Invoice.origin_number,
                origin.family_id == Invoice.family_id,
            ),
        )
        .outerjoin(
            InvoiceLine,
            and_(
                InvoiceLine.tenant_id == Invoice.tenant_id, InvoiceLine.invoice_id == Invoice.id
            ),
        )
        .where(
            Invoice.tenant_id == tenant,
            Invoice.kind == InvoiceKind.CREDIT_NOTE,
            is_shown(),
            Invoice.origin_number != "",
            origin.id.in_(invoice_ids),
        )
        .order_by(Invoice.id, InvoiceLine.rank)
    ).all()
    found: dict[int, list[Note]] = defaultdict(list)
    for _id, group in groupby(rows, key=attrgetter("id")):
        of_note = list(group)
        lines = tuple(tax_line(row.InvoiceLine) for row in of_note if row.InvoiceLine is not None)
        note = of_note[0]
        found[note.origin].append(Note(note.published_at, TaxInvoice(note.id, note.amount, lines)))
    return found


def tax_line(line: InvoiceLine) -> TaxLine:
    """A line as taxes see it."""
    return TaxLine(line.child_id, line.activity, line.tax_kind == TaxKind.CARE, line.amount)
