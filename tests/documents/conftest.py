"""Papers as they come: a canteen's invoice, its payment, a year of care."""

import logging
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from core.api.payments import Means
from core.platform.documents.sheets import (
    Addressee,
    CertificateRow,
    CertificateSheet,
    CertifiedPayer,
    Coupon,
    InvoiceSheet,
    InvoiceSheetLine,
    Letterhead,
    Logo,
    ReceiptShare,
    ReceiptSheet,
)

SVG = (
    b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64">'
    b'<path d="M6 30 32 10l26 20v26H6z" fill="none" stroke="#8a3b12" stroke-width="4"/></svg>'
)
TOWN = Letterhead(
    name="Ville de Démo",
    address=("1 place de la Mairie", "99000 Démoville"),
    contact=("Tél. 01 99 00 00 00", "regie@demo.example"),
    logo=Logo(SVG, "image/svg+xml"),
    accent="#8a3b12",
)
FAMILY = Addressee("Mme MARTIN Céline", ("1 rue du Lavoir", "99000 DÉMOVILLE"))


@pytest.fixture(autouse=True)
def quiet_weasyprint(caplog):
    """Whatever WeasyPrint has to say of our HTML, CSS, fonts or tags is a defect of ours."""
    caplog.set_level(logging.WARNING, logger="weasyprint")
    yield caplog
    # fontTools' own remark where libharfbuzz-subset is not installed is no defect.
    said = [r.getMessage() for r in caplog.get_records("call") if r.name.startswith("weasyprint")]
    assert [line for line in said if "arf" not in line] == []


@pytest.fixture
def invoice_sheet():
    return InvoiceSheet(
        town=TOWN,
        language="fr",
        regie="RÉGIE PÉRISCOLAIRE",
        number="2025-010-000314",
        label="CANTINE ET GARDERIE OCTOBRE 2025",
        issued_on=date(2025, 11, 3),
        due_on=date(2025, 11, 25),
        amount=123456,
        debtor=FAMILY,
        payment_reference="2025-TS-00-1000314",
        family_code="F01207",
        period_start=date(2025, 10, 1),
        period_end=date(2025, 10, 31),
        lines=(
            InvoiceSheetLine("REPAS MATERNELLE", 4160, "Léa", Decimal("16.000"), 260),
            InvoiceSheetLine("GARDERIE SOIR", 1527, "Léa"),
        ),
        payment_url="https://demo.example/ville-de-demo/payer/314",
        pay_otherwise=("Par chèque à l’ordre de la régie périscolaire.",),
        coupon=Coupon("ville-de-demo", "PERISCOLAIRE"),
        legal=("Régie prolongée de recettes.",),
    )


@pytest.fixture
def receipt_sheet():
    return ReceiptSheet(
        town=TOWN,
        language="fr",
        regie="RÉGIE PÉRISCOLAIRE",
        number="PERISCOLAIRE-2025-000042",
        payer=Addressee("Jamie BOND"),
        amount=14000,
        means=Means.CARD,
        paid_at=datetime(2025, 7, 31, 22, 45, tzinfo=UTC),
        authorisation="A12345",
        payer_reference="PAYFIP000000002882215",
        shares=(
            ReceiptShare("2025-010-000314", "CANTINE OCTOBRE", 9287, 11287, "2025-TS-00-1000314"),
            ReceiptShare("2025-010-000315", "GARDERIE", 4000, 4000),
        ),
        excess=713,
    )


@pytest.fixture
def certificate_sheet():
    rows = tuple(
        CertificateRow(child, date(2025, month, 10), f"2025-{month:03d}-000001", "GARDERIE", 1000)
        for child in ("Léa", "Noé")
        for month in (1, 2, 3)
    )
    return CertificateSheet(
        town=TOWN,
        language="fr",
        year=2025,
        issued_on=date(2026, 4, 2),
        payers=(CertifiedPayer(FAMILY, rows),),
        family_code="F01207",
        place="Démoville",
        signatory="Mme DURAND, régisseuse",
    )
