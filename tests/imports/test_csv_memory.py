"""Memory does not grow with the file."""

import gc
import tracemalloc

import pytest
from csv_building import FLAT_HEADER, HEADER, flat_row, row

from core.api.invoices import InvoiceRecord, SourceFile
from core.imports.format.csv import CsvSource

LINES = 100_000


def _one_row_an_invoice(folder):
    with (folder / "factures.csv").open("w") as out:
        out.write(HEADER + "\n")
        for number in range(LINES // 4):
            out.write(row(numero=str(number), ref_tipi=str(number)) + "\n")
    return folder / "factures.csv", LINES // 4


def _one_row_a_line(folder):
    rows = [flat_row(str(rank), number="{0}", total="166,40") + "\n" for rank in range(1, 5)]
    with (folder / "factures.csv").open("w") as out:
        out.write(FLAT_HEADER + "\n")
        for number in range(LINES // 4):
            out.write("".join(rows).format(number))
    return folder / "factures.csv", LINES // 4


def _lines_apart(folder):
    with (folder / "factures.csv").open("w") as out:
        out.write(HEADER + "\n")
        for number in range(LINES // 10):
            out.write(row(numero=str(number), ref_tipi="", montant="7,80") + "\n")
    with (folder / "lignes.csv").open("w") as out:
        out.write("numero;activite;nature_fiscale;montant\n")
        for number in range(LINES // 10):
            out.write(f"{number};REPAS;repas;2,60\n" * 3)
    return folder, LINES // 10


@pytest.mark.parametrize("make", [_one_row_an_invoice, _one_row_a_line, _lines_apart])
def test_reading_leaves_nothing_behind(tmp_path, make):
    path, count = make(tmp_path)
    items = iter(CsvSource().read(SourceFile(path, path.name, 1)))
    # Tracing makes Python ten times slower: it starts when caches are warm, for the last tenth.
    for _ in range(count - count // 10):
        assert isinstance(next(items), InvoiceRecord)
    gc.collect()  # What earlier tests left in circles is none of its own.
    tracemalloc.start(1)
    try:
        left = sum(isinstance(item, InvoiceRecord) for item in items)
        gc.collect()
        grown, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert left == count // 10
    assert grown < 64 * 1024
    assert peak < 512 * 1024


def test_reading_is_lazy(tmp_path):
    path = tmp_path / "f.csv"
    path.write_text("\n".join((HEADER, row(), *["x"] * 1000)))
    items = CsvSource().read(SourceFile(path, "f.csv", 1))
    assert isinstance(next(items), InvoiceRecord)
    items.close()
    path.unlink()
