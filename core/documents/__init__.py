"""Papers as PDF: invoices with their coupon, receipts, tax certificates, codes.

Pure rendering: the sheets hold all that is printed; no database, no request, no network.
"""

from core.documents.codes import coupon_code
from core.documents.pdf import render_pdf
from core.documents.render import (
    means_label,
    payment_slip,
    render_certificate,
    render_codes,
    render_invoice,
    render_receipt,
    render_report,
    signatures,
)
from core.documents.sheets import (
    Addressee,
    CertificateRow,
    CertificateSheet,
    CertifiedPayer,
    CodesLetter,
    CodesSheet,
    Coupon,
    InvoiceSheet,
    InvoiceSheetLine,
    Letterhead,
    Logo,
    ReceiptShare,
    ReceiptSheet,
    Reversal,
)

__all__ = [
    "Addressee", "CertificateRow", "CertificateSheet", "CertifiedPayer", "CodesLetter",
    "CodesSheet", "Coupon", "InvoiceSheet", "InvoiceSheetLine", "Letterhead", "Logo",
    "ReceiptShare", "ReceiptSheet", "Reversal", "coupon_code", "means_label", "payment_slip",
    "render_certificate",
    "render_codes", "render_invoice", "render_pdf", "render_receipt", "render_report",
    "signatures",
]  # fmt: skip
