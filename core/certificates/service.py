"""The yearly tax certificate: what a family paid for care, by child and payer."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from core.api.context import CertificateYear, Clock
from core.api.messages import Document
from core.domain.tax import CareRow, TaxInvoice, TaxLine, TaxShare, care_paid
from core.families.addressees import addressee
from core.families.models import Child, Family
from core.invoices.credit_notes import notes_on, tax_line
from core.invoices.models import Invoice, InvoiceLine
from core.payments.models import Allocation, Payment, released
from core.platform.clock import today
from core.platform.documents.letterhead import letterhead
from core.platform.documents.render import render_certificate
from core.platform.documents.sheets import CertificateRow, CertificateSheet, CertifiedPayer
from core.platform.i18n import gettext as _
from core.platform.tenancy.config import TenantConfig


class Certificates:
    """The tax certificates of one town's families."""

    def __init__(self, session: Session, town: TenantConfig, clock: Clock) -> None:
        self._session = session
        self._town = town
        self._tenant = town.slug
        self._clock = clock

    def years(self, family_id: int) -> list[CertificateYear]:
        """The years that have a certificate, newest first."""
        invoices, shares = self._paid(family_id)
        this_year = today(self._clock.now()).year
        found = []
        for year in sorted({share.paid_on.year for share in shares}, reverse=True):
            total = sum(row.amount for row in care_paid(year, invoices, shares))
            if total:
                found.append(CertificateYear(year, total, year < this_year))
        return found

    def document(self, family_id: int, year: int) -> Document | None:
        """The certificate of a year; None when nothing was paid for care in it."""
        invoices, shares = self._paid(family_id)
        rows = care_paid(year, invoices, shares)
        if not rows:
            return None
        family = self._session.get_one(Family, (self._tenant, family_id))
        issued_on = today(self._clock.now())
        return render_certificate(
            CertificateSheet(
                town=letterhead(self._town),
                language=family.language,
                year=year,
                issued_on=issued_on,
                family_code=family.code,
                final=year < issued_on.year,
                payers=self._payers(family_id, rows),
            )
        )

    def _payers(self, family_id: int, rows: Sequence[CareRow]) -> tuple[CertifiedPayer, ...]:
        """What each payer of a family paid, in words."""
        by_payer: dict[str, list[CareRow]] = {}
        for row in rows:
            by_payer.setdefault(row.payer, []).append(row)
        children = self._words(Child, Child.label, {row.child for row in rows if row.child})
        numbers = self._words(Invoice, Invoice.number, {row.invoice for row in rows})
        return tuple(
            CertifiedPayer(
                addressee(self._session, self._tenant, family_id, payer),
                tuple(
                    CertificateRow(
                        children.get(row.child or 0) or _("Sans nom d’enfant"),
                        row.paid_on,
                        numbers[row.invoice],
                        row.activity,
                        row.amount,
                    )
                    for row in mine
                ),
            )
            for payer, mine in by_payer.items()
        )

    def _words(
        self,
        model: type[Child | Invoice],
        column: InstrumentedAttribute[str],
        ids: Collection[int],
    ) -> dict[int, str]:
        """A column of some rows, by their number."""
        rows = self._session.execute(
            select(model.id, column).where(model.tenant_id == self._tenant, model.id.in_(ids))
        )
        return dict(rows.all())

    def _paid(self, family_id: int) -> tuple[list[TaxInvoice], list[TaxShare]]:
        shares = self._shares(family_id)
        return self._invoices({share.invoice for share in shares}), shares

    def _shares(self, family_id: int) -> list[TaxShare]:
        """The part of each payment that each invoice of a family kept."""
        # What an invoice gave back after a credit note is not paid any more.
        back = released(self._tenant, Allocation.payment_id, Allocation.invoice_id)
        return [
            TaxShare(
                payment=row.payment_id,
                invoice=row.invoice_id,
                paid_on=today(row.paid_at),
                payer=row.payer,
                amount=int(row.amount),
            )
            for row in self._session.execute(
                select(
                    Allocation.payment_id,
                    Allocation.invoice_id,
                    (func.sum(Allocation.amount) - back).label("amount"),
                    Payment.paid_at,
                    Payment.payer,
                )
                .join(
                    Payment,
                    (Payment.tenant_id == Allocation.tenant_id)
                    & (Payment.id == Allocation.payment_id),
                )
                .join(
                    Invoice,
                    (Invoice.tenant_id == Allocation.tenant_id)
                    & (Invoice.id == Allocation.invoice_id),
                )
                .where(
                    Allocation.tenant_id == self._tenant,
                    Invoice.family_id == family_id,
                    Allocation.reversed_at.is_(None),
                )
                .group_by(
                    Allocation.tenant_id,
                    Allocation.payment_id,
                    Allocation.invoice_id,
                    Payment.paid_at,
                    Payment.payer,
                )
            )
            if row.amount
        ]

    def _invoices(self, invoice_ids: Collection[int]) -> list[TaxInvoice]:
        """Invoices by their lines, less their credit notes."""
        lines: dict[tuple[int, int], list[TaxLine]] = {}
        credited: set[int] = set()
        for row in self._session.execute(
            select(Invoice.id, Invoice.amount, Invoice.credited, InvoiceLine)
            .join(
                InvoiceLine,
                (InvoiceLine.tenant_id == Invoice.tenant_id)
                & (InvoiceLine.invoice_id == Invoice.id),
            )
            .where(
                Invoice.tenant_id == self._tenant,
                Invoice.id.in_(invoice_ids),
            )
            .order_by(Invoice.id, InvoiceLine.rank)
        ):
            lines.setdefault((row.id, row.amount), []).append(tax_line(row.InvoiceLine))
            if row.credited:
                credited.add(row.id)
        notes = notes_on(self._session, self._tenant, credited)
        return [
            TaxInvoice(invoice_id, amount, tuple(found)).less(
                [note.what for note in notes.get(invoice_id, ())]
            )
            for (invoice_id, amount), found in lines.items()
        ]
