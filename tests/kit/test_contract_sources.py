"""The sources of this repository keep the contract of sources."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from io import BytesIO
from pathlib import Path

import pytest
from pypdf import PdfWriter

from core.api.invoices import Attachment, InvoiceRecord, LineRecord, TaxKind
from core.imports.format.csv import CsvSource
from core.imports.format.writing import flat_rows, write_zip
from core.testing.conformance import InvoiceSourceContract

PAGE = BytesIO()
_writer = PdfWriter()
_writer.add_blank_page(100, 100)
_writer.write(PAGE)
PDF = PAGE.getvalue()


def records(count: int, *, pdf: bool) -> Iterator[InvoiceRecord]:
    for number in range(1, count + 1):
        yield InvoiceRecord(
            regie="CANTINE", number=f"2026-010-{number:06d}", family_code=f"F{number:05d}",
            label="CANTINE OCTOBRE", amount=5687, issued_on=date(2026, 11, 3),
            due_on=date(2026, 11, 25), fiscal_year=2026, debtor="LEFÈVRE Œdipe",
            document=Attachment(f"{number}.pdf", lambda: PDF) if pdf else None,
            lines=(
                LineRecord(1, "REPAS", TaxKind.MEAL, 4160, "E0001", Decimal(16), 260),
                LineRecord(2, "GARDERIE", TaxKind.CARE, 1527, "Léa"),
            ),
        )  # fmt: skip


class TestCsvTable(InvoiceSourceContract):
    """One table, a row a line."""

    @pytest.fixture
    def source(self):
        return CsvSource()

    def write(self, folder: Path, count: int) -> Path:
        path = folder / "factures.csv"
        path.write_text("".join(flat_rows(records(count, pdf=False))), "utf-8")
        return path


class TestCsvArchive(InvoiceSourceContract):
    """A zip of two tables and PDFs."""

    @pytest.fixture
    def source(self):
        return CsvSource()

    def write(self, folder: Path, count: int) -> Path:
        path = folder / "factures.zip"
        write_zip(path, records(count, pdf=count < 20))
        return path
