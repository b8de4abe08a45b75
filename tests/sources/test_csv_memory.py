"""Memory does not grow with the file."""

import tracemalloc

import pytest
from csv_building import FLAT_HEADER, HEADER, flat_row, row

from core.api.invoices import InvoiceRecord, SourceFile
from core.sources.csv import CsvSource

MEBIBYTE = 1 << 20


def test_reading_is_lazy(tmp_path):
    path = tmp_path / "f.csv"
    path.write_text("\n".join((HEADER, row(), *["x"] * 1000)))
    items = CsvSource().read(SourceFile(path, "f.csv", 1))
    assert isinstance(next(items), InvoiceRecord)
    items.close()
    path.unlink()


@pytest.mark.parametrize("shape", ["one row an invoice", "one row a line", "lines apart"])
def test_a_hundred_thousand_lines_stay_flat(tmp_path, shape):
    with (tmp_path / "factures.csv").open("w") as out:
        if shape == "one row a line":
            out.write(FLAT_HEADER + "\n")
            for number in range(25_000):
                for rank in range(1, 5):
                    line = flat_row(str(rank), number=number, total="166,40")
                    out.write(line + "\n")
        else:
            out.write(HEADER + "\n")
            count = 100_000 if shape == "one row an invoice" else 50_000
            for number in range(count):
                out.write(row(numero=str(number), ref_tipi="", montant="2,60") + "\n")
    if shape == "lines apart":
        with (tmp_path / "lignes.csv").open("w") as out:
            out.write("numero;activite;nature_fiscale;montant\n")
            out.writelines(f"{number};REPAS;repas;2,60\n" for number in range(50_000))
    folder = shape == "lines apart"
    path = tmp_path if folder else tmp_path / "factures.csv"
    file = SourceFile(path, path.name, 1)

    # The first tenth warms caches; from then on nothing may pile up.
    items = CsvSource().read(file)
    count = wrong = 0
    tracemalloc.start(1)
    try:
        for item in items:
            count += 1
            wrong += not isinstance(item, InvoiceRecord)
            if count == 2500:
                tracemalloc.reset_peak()
                before = tracemalloc.get_traced_memory()[0]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (count, wrong) == (
        {"one row an invoice": 100_000, "one row a line": 25_000}.get(shape, 50_000),
        0,
    )
    assert peak - before < 2 * MEBIBYTE
