"""Words and figures of the papers that are printed for invoices whose source gave none."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.orm import Session

from core.api.context import InvoiceInfo
from core.api.invoices import InvoiceKind
from core.families.addressees import addressee
from core.families.models import Family
from core.invoices.bills import Bills
from core.invoices.lines import LineInfo
from core.invoices.models import Invoice
from core.platform.documents.letterhead import letterhead
from core.platform.documents.sheets import Coupon, InvoiceSheet, InvoiceSheetLine
from core.platform.tenancy.config import TenantConfig


class InvoiceSheets:
    """Contents of the papers of one town's invoices. `bills` gives their printed addresses."""

    def __init__(self, session: Session, town: TenantConfig, bills: Bills) -> None:
        self._session = session
        self._town = town
        self._tenant = town.slug
        self._bills = bills

    def of(
        self, invoice: Invoice, info: InvoiceInfo, lines: Sequence[LineInfo]
    ) -> InvoiceSheet:
        """All that an invoice says whose source gave no PDF, as it stands today."""
        regie = self._town.file.regies.get(invoice.regie)
        family = self._session.get_one(Family, (self._tenant, invoice.family_id))
        return InvoiceSheet(
            town=letterhead(self._town),
            language=family.language,
            regie=self._town.regie_label(invoice.regie),
            number=invoice.number,
            label=invoice.label,
            issued_on=invoice.issued_on,
            due_on=invoice.due_on,
            amount=invoice.amount,
            debtor=addressee(self._session, self._tenant, invoice.family_id),
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
            payment_url=self._bills.url(invoice.id) if info.payable else "",
            pay_otherwise=self._pay_otherwise(info),
            handed_over=info.handed_over,
            coupon=(
                Coupon(self._tenant, invoice.regie)
                if regie and regie.collects and not info.handed_over
                else None
            ),
        )

    def _pay_otherwise(self, info: InvoiceInfo) -> tuple[str, ...]:
        regie = self._town.file.regies.get(info.regie)
        if info.handed_over:
            return tuple(filter(None, (self._town.pay_tresorerie(info.regie),)))
        return tuple(filter(None, (regie.pay_to,))) if regie else ()
