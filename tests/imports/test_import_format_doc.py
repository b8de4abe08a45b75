"""What docs/import-format.md promises."""

import re
from pathlib import Path

import pytest
from test_csv_archives import PDF

from core.api.invoices import InvoiceRecord
from core.imports.format.columns import FLAT, INVOICE, LINE

TEXT = (Path(__file__).parents[2] / "docs" / "import-format.md").read_text("utf-8")
INVOICES_EXAMPLE, LINES_EXAMPLE, FLAT_EXAMPLE = [
    block for block in re.findall(r"```\n(.*?)```", TEXT, re.DOTALL) if ";" in block
]


@pytest.mark.parametrize("column", sorted({*INVOICE.all, *LINE.all, *FLAT.all}))
def test_every_column_is_documented(column):
    assert f"`{column}`" in TEXT


def test_the_examples_import(read, tmp_path):
    folder = tmp_path / "octobre"
    folder.mkdir()
    (folder / "factures.csv").write_text(INVOICES_EXAMPLE, "utf-8")
    (folder / "lignes.csv").write_text(LINES_EXAMPLE, "utf-8")
    (folder / "2025-010-000314.pdf").write_bytes(PDF)
    (apart,) = read(folder, "octobre")
    (together,) = read(FLAT_EXAMPLE.encode())
    assert isinstance(apart, InvoiceRecord)
    assert apart.document
    assert apart.lines == together.lines
