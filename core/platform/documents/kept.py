"""Papers: gathering what they say, and keeping receipts as they were first given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import Protocol

import structlog
from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from core.api.context import InvoiceInfo
from core.api.invoices import InvoiceKind
from core.api.messages import Document as FinishedDocument
from core.domain.figures import Report
from core.families.models import Family
from core.invoices.lines import LineInfo
from core.invoices.models import Invoice
from core.payments.models import Allocation, Credit, Payment, in_same_visit
from core.platform import i18n
from core.platform.clock import today
from core.platform.documents.render import render_mandate, render_receipt, render_report
from core.platform.documents.sheets import (
    Addressee,
    Coupon,
    InvoiceSheet,
    InvoiceSheetLine,
    Letterhead,
    Logo,
    MandateSheet,
    ReceiptShare,
    ReceiptSheet,
    Reversal,
    Together,
)
from core.platform.errors import PaperLostError
from core.platform.i18n import gettext as _
from core.platform.tenancy.config import TenantConfig

_LOGO_TYPES = {".svg": "image/svg+xml", ".png": "image/png", ".jpg": "image/jpeg"}


log = structlog.get_logger(__name__)


class Filed(Protocol):
    """A file that was kept."""

    @property
    def id(self) -> int:
        """Number of its row."""
        ...


class Files(Protocol):
    """The finished files of a town: `core.invoices.files`."""

    def add(self, name: str, media_type: str, content: bytes) -> Filed:
        """Keep a file."""
        ...

    def get(self, document_id: int) -> FinishedDocument:
        """A file as it was kept.

        Raises:
            PaperAwayError: it cannot be read now.
            PaperLostError: it is not there.
        """
        ...


class Documents:
    """The papers of one town."""

    def __init__(
        self,
        session: Session,
        town: TenantConfig,
        bill_url: Callable[[int], str],
        files: Files,
    ) -> None:
        """`bill_url` gives the address that a paper bill carries, by the invoice's id."""
        self._session = session
        self._files = files
        self._town = town
        self._tenant = town.slug
        self._bill_url = bill_url

    def letterhead(self) -> Letterhead:
        """The head of the town's papers."""
        file = self._town.file
        logo = None
        if file.look.logo:
            path = self._town.folder / file.look.logo
            logo = Logo(path.read_bytes(), _LOGO_TYPES[path.suffix.lower()])
        contact = tuple(
            filter(None, (file.contact.phone, file.contact.email, file.contact.hours))
        )
        return Letterhead(
            self._town.name, tuple(file.contact.address), contact, logo, file.look.accent
        )

    def addressee(self, family_id: int | None, name: str = "") -> Addressee:
        """The family as it stands in an envelope's window; a payer may have another `name`."""
        if family_id is None:
            return Addressee(name or "–")
        family = self._session.get_one(Family, (self._tenant, family_id))
        if name and name != family.name:
            return Addressee(name)
        return Addressee(family.name or family.code, tuple(family.address))

    def invoice_sheet(
        self, invoice: Invoice, info: InvoiceInfo, lines: Sequence[LineInfo]
    ) -> InvoiceSheet:
        """All that an invoice says whose source gave no PDF, as it stands today."""
        regie = self._town.file.regies.get(invoice.regie)
        family = self._session.get_one(Family, (self._tenant, invoice.family_id))
        # The paper is in the family's language, whoever reads it in whichever.
        with i18n.use(family.language):
            pay_otherwise = self._pay_otherwise(info)
        return InvoiceSheet(
            town=self.letterhead(),
            language=family.language,
            regie=self._town.regie_label(invoice.regie),
            number=invoice.number,
            label=invoice.label,
            issued_on=invoice.issued_on,
            due_on=invoice.due_on,
            amount=invoice.amount,
            debtor=self.addressee(invoice.family_id),
            payment_reference=invoice.payment_reference,
            family_code=family.code,
            period_start=invoice.period_start,
            period_end=invoice.period_end,
            lines=tuple(
                InvoiceSheetLine(
                    line.activity, line.amount, line.child, line.quantity, line.unit_price
                )
                for line in lines
            ),
            paid=invoice.paid,
            credited=invoice.credited,
            kind=InvoiceKind(invoice.kind),
            origin_number=invoice.origin_number,
            debited_on=info.debited_on,
            payment_url=self._bill_url(invoice.id) if info.payable else "",
            pay_otherwise=pay_otherwise,
            coupon=(
                Coupon(self._tenant, invoice.regie)
                if regie and regie.collects and not info.handed_over
                else None
            ),
        )

    def _pay_otherwise(self, info: InvoiceInfo) -> tuple[str, ...]:
        regie = self._town.file.regies.get(info.regie)
        if info.handed_over:
            return (
                self._town.pay_tresorerie(info.regie)
                or _("À la trésorerie, comme l’indique l’avis qu’elle vous envoie."),
            )
        return tuple(filter(None, (regie.pay_to,))) if regie else ()

    def mandate(
        self,
        *,
        language: str,
        regie: str,
        creditor: str,
        ics: str,
        address: tuple[str, ...],
        family_id: int | None,
        on: date,
    ) -> FinishedDocument:
        """Print a mandate for a family, or one for nobody yet."""
        family = (
            self._session.get_one(Family, (self._tenant, family_id)) if family_id else None
        )
        return render_mandate(
            MandateSheet(
                town=self.letterhead(),
                language=language,
                regie=regie,
                creditor=creditor,
                ics=ics,
                address=address,
                debtor=Addressee(
                    family.name if family else "", tuple(family.address) if family else ()
                ),
                family_code=family.code if family else "",
                printed_on=on,
            )
        )

    def report(self, report: Report, month: date, language: str) -> FinishedDocument:
        """The dashboard of a month."""
        return render_report(self.letterhead(), report, month, language)

    def kept(self, document_id: int) -> FinishedDocument:
        """A paper as it was kept.

        Raises:
            PaperAwayError: it cannot be read now.
            PaperLostError: it is not there.
        """
        return self._files.get(document_id)

    def receipt(self, payment: Payment) -> FinishedDocument:
        """The receipt of a settled payment: kept as first given, and marked once it came back."""
        if payment.receipt_id is not None and payment.reversed_at is None:
            try:
                return self.kept(payment.receipt_id)
            except PaperLostError:
                # All that it said is in the database: it is given, and kept, once more.
                log.warning("documents.receipt_made_again", payment=payment.id)
        finished = render_receipt(self._receipt_sheet(payment))
        if payment.reversed_at is None:
            self._keep(payment, finished)
        return finished

    def _receipt_sheet(self, payment: Payment) -> ReceiptSheet:
        rows = self._session.execute(
            select(Invoice, Allocation.amount, Allocation.left_due)
            .join(
                Allocation,
                (Allocation.tenant_id == Invoice.tenant_id) & (Allocation.invoice_id == Invoice.id),
            )
            .where(
                Allocation.tenant_id == self._tenant,
                Allocation.payment_id == payment.id,
                # As it was given: what the excess paid later is not part of it.
                or_(
                    Allocation.credit_use_id.is_(None),
                    Allocation.created_at == payment.classified_at,
                ),
            )
            .order_by(Allocation.id)
        ).all()
        excess = self._session.scalar(
            select(Credit.amount).where(
                Credit.tenant_id == self._tenant,
                Credit.payment_id == payment.id,
                Credit.invoice_id.is_(None),
            )
        )
        classified = sum(row.amount for row in rows)
        together = self._session.scalars(
            select(Payment).where(in_same_visit(payment)).order_by(Payment.id)
        ).all()
        left = self._left_after([other.id for other in together])
        return ReceiptSheet(
            town=self.letterhead(),
            language=payment.language,
            regie=self._town.regie_label(payment.regie),
            number=payment.receipt_number,
            payer=self.addressee(payment.family_id, payment.payer),
            amount=payment.amount,
            means=payment.means,
            paid_at=payment.paid_at or payment.created_at,
            shares=tuple(
                ReceiptShare(
                    row.Invoice.number, row.Invoice.label, row.amount, row.Invoice.amount,
                    row.Invoice.payment_reference,
                    row.left_due
                    if row.left_due is None
                    else min(row.left_due, left.get(row.Invoice.id, row.left_due)),
                )
                for row in rows
            ),
            together=tuple(
                Together(other.amount, other.means, other.receipt_number) for other in together
            ),
            excess=(excess or 0) - (classified if payment.classified_at else 0),
            authorisation=payment.authorisation,
            payer_reference=payment.payer_reference,
            reversal=(
                Reversal(today(payment.reversed_at), payment.reversal_reason)
                if payment.reversed_at
                else None
            ),
        )  # fmt: skip

    def _left_after(self, payment_ids: Sequence[int]) -> dict[int, int]:
        """Cents that invoices owed after the last of these payments."""
        if not payment_ids:
            return {}
        rows = self._session.execute(
            select(Allocation.invoice_id, func.min(Allocation.left_due).label("left"))
            .where(
                Allocation.tenant_id == self._tenant,
                Allocation.payment_id.in_(payment_ids),
                Allocation.left_due.is_not(None),
            )
            .group_by(Allocation.invoice_id)
        )
        return {row.invoice_id: row.left for row in rows}

    def _keep(self, payment: Payment, finished: FinishedDocument) -> None:
        document = self._files.add(finished.name, finished.media_type, finished.content)
        # Two first readers at once each render the same bytes; the later one is kept.
        self._session.execute(
            update(Payment)
            .where(Payment.tenant_id == self._tenant, Payment.id == payment.id)
            .values(receipt_id=document.id)
        )
