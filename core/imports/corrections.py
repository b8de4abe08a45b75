"""Correcting one invoice by hand: an import of a single invoice, so that the same rules hold.

What was paid or is being paid is refused, what it was before is kept, and undoing the import brings
it back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from core.api.errors import UserError
from core.api.invoices import (
    InvoiceKind,
    InvoiceRecord,
    LineRecord,
    Relation,
    SourceFile,
    TaxKind,
)
from core.families.models import Child, Family
from core.families.names import is_child_key
from core.imports import stored
from core.imports.models import ImportBatch, InvoiceChange
from core.imports.service import Imports
from core.invoices.models import Invoice, InvoiceLine, InvoiceState
from core.platform.audit.service import Audit
from core.platform.errors import NotFoundError
from core.platform.i18n import gettext as _


@dataclass(frozen=True, slots=True)
class Line:
    """A line as corrected: its rank, activity and cents; a line without cents is taken away."""

    rank: int
    activity: str
    amount: int | None


@dataclass(frozen=True, slots=True)
class Corrected:
    """Values that an agent may change. `amount` (cents) is that of an invoice without lines."""

    label: str
    due_on: date
    lines: Sequence[Line] = ()
    amount: int | None = None


class Corrections:
    """Corrections of one town's invoices."""

    def __init__(self, session: Session, tenant: str, imports: Imports, audit: Audit) -> None:
        self._session = session
        self._tenant = tenant
        self._imports = imports
        self._audit = audit

    def correct(self, invoice_id: int, change: Corrected, *, seen: str, reason: str) -> int:
        """Correct an invoice; the import's id. `seen` is the `content_hash` of what was looked at.

        Raises:
            UserError: it changed since, it is paid or being paid, or nothing would change.
        """
        invoice = self._session.get(Invoice, (self._tenant, invoice_id), populate_existing=True)
        if invoice is None:
            raise NotFoundError
        if invoice.content_hash != seen or invoice.state not in {
            InvoiceState.DRAFT, InvoiceState.PUBLISHED,
        }:  # fmt: skip
            raise UserError(_("L’état de cette facture a changé entre-temps."))
        record = self._record(invoice, change)
        if record.amount <= 0 and invoice.kind == InvoiceKind.INVOICE:
            raise UserError(_("Le montant d’une facture est positif : annulez-la plutôt."))
        if change.due_on < min(invoice.issued_on, invoice.due_on):
            raise UserError(_("L’échéance précède la date de facture."))
        same = self._same(invoice, change)
        name = _("Correction de la facture %(number)s") % {"number": invoice.number}
        published = invoice.state == InvoiceState.PUBLISHED
        # A folder has no fingerprint: there is no file that could come again.
        report = self._imports.run(_One(record), SourceFile(Path(), name, 0), ours=True)
        if report.refused:
            raise UserError(report.problems[0].message)
        if report.batch_id is None or same:
            raise UserError(_("Rien n’a changé."))
        if published:
            self._imports.publish(report.batch_id)
        self._audit.write(
            "invoice.corrected", f"invoice:{invoice_id}", reason=reason, batch=report.batch_id
        )
        return report.batch_id

    def of_invoice(self, invoice_id: int) -> Sequence[Any]:
        """The imports that changed an invoice, each with what it was before; in order."""
        return self._session.execute(
            select(ImportBatch, InvoiceChange)
            .join(
                InvoiceChange,
                and_(
                    InvoiceChange.tenant_id == ImportBatch.tenant_id,
                    InvoiceChange.batch_id == ImportBatch.id,
                ),
            )
            .where(
                InvoiceChange.tenant_id == self._tenant, InvoiceChange.invoice_id == invoice_id
            )
            .order_by(InvoiceChange.id)
        ).all()

    def of_batch(self, batch_id: int, limit: int = 50) -> Sequence[Any]:
        """The first invoices that an import changed, each with what it was before."""
        return self._session.execute(
            select(Invoice, InvoiceChange)
            .join(
                InvoiceChange,
                and_(
                    InvoiceChange.tenant_id == Invoice.tenant_id,
                    InvoiceChange.invoice_id == Invoice.id,
                ),
            )
            .where(InvoiceChange.tenant_id == self._tenant, InvoiceChange.batch_id == batch_id)
            .order_by(Invoice.id)
            .limit(limit)
        ).all()

    def _same(self, invoice: Invoice, change: Corrected) -> bool:
        """True if the correction says the same as the invoice already does."""
        now = {
            line.rank: (line.activity, line.amount)
            for line in self._session.scalars(
                select(InvoiceLine).where(
                    InvoiceLine.tenant_id == self._tenant, InvoiceLine.invoice_id == invoice.id
                )
            )
        }
        said = (change.label, change.due_on) == (invoice.label, invoice.due_on)
        lines = all(now.get(line.rank) == (line.activity, line.amount) for line in change.lines)
        return said and lines and change.amount in {None, invoice.amount}

    def _record(self, invoice: Invoice, change: Corrected) -> InvoiceRecord:
        family = self._session.get_one(Family, (self._tenant, invoice.family_id))
        wanted = {line.rank: line for line in change.lines}
        lines = []
        for line, child in self._session.execute(
            select(InvoiceLine, Child)
            .outerjoin(
                Child,
                and_(Child.tenant_id == InvoiceLine.tenant_id, Child.id == InvoiceLine.child_id),
            )
            .where(InvoiceLine.tenant_id == self._tenant, InvoiceLine.invoice_id == invoice.id)
            .order_by(InvoiceLine.rank)
        ):
            new = wanted.get(line.rank, Line(line.rank, line.activity, line.amount))
            if new.amount is None:
                continue
            same = new.amount == line.amount
            lines.append(
                LineRecord(
                    rank=line.rank,
                    activity=new.activity,
                    tax_kind=TaxKind(line.tax_kind),
                    amount=new.amount,
                    child=_child(child),
                    # A quantity and a price that no longer make the amount would be untrue.
                    quantity=line.quantity if same else None,
                    unit_price=line.unit_price if same else None,
                )
            )
        if lines or wanted:
            amount = sum(line.amount for line in lines)
        else:
            amount = invoice.amount if change.amount is None else change.amount
        stated = {name: getattr(invoice, name) for name in stored.STATED}
        return InvoiceRecord(
            **stated
            | {
                "regie": invoice.regie,
                "number": invoice.number,
                "family_code": family.spelling or family.code,
                "debtor": family.name,
                "address": tuple(family.address),
                "kind": InvoiceKind(invoice.kind),
                "piece_keys": tuple(invoice.piece_keys),
                "refers_to": tuple(invoice.refers_to),
                "relation": _relation(invoice),
                "lines": tuple(lines),
                "label": change.label,
                "due_on": change.due_on,
                "amount": amount,
            }
        )


def _relation(invoice: Invoice) -> Relation:
    """Relation of an invoice to the piece it names; NONE if an agent said that it is alone."""
    return Relation(invoice.relation) if invoice.relation in set(Relation) else Relation.NONE


def _child(child: Child | None) -> str:
    if child is None:
        return ""
    return child.code if is_child_key(child.code) else child.label


class _One:
    """A source of one invoice that an agent typed."""

    key = "correction"
    label = "Correction"

    def __init__(self, record: InvoiceRecord) -> None:
        self._record = record

    def read(self, _file: SourceFile) -> Iterator[InvoiceRecord]:
        """Yield it."""
        yield self._record
