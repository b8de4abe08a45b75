"""How fast the CSV source reads: ``python benchmarks/csv_source.py [--lines 100000] [--json]``.

Reported as ratios to a bare ``csv.reader`` over the same file, alternating in the same run, so that
they compare between machines. CPU time of this process; the median of the rounds.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1]))

from core.api.invoices import InvoiceRecord, LineRecord, SourceFile, TaxKind
from core.sources.csv import CsvSource
from core.sources.writing import flat_rows, write_zip

LINES_EACH = 4


def records(lines: int) -> Iterator[InvoiceRecord]:
    """Invoices of four lines, as a canteen writes them."""
    for number in range(lines // LINES_EACH):
        yield InvoiceRecord(
            regie="PERISCOLAIRE",
            number=f"2026-010-{number:06d}",
            family_code=f"F{number % 5000:05d}",
            label="CANTINE ET GARDERIE OCTOBRE 2026",
            amount=8320 + 2 * number % 1000,
            issued_on=date(2026, 11, 3),
            due_on=date(2026, 11, 25),
            fiscal_year=2026,
            payment_reference=f"2026870110{number:010d}",
            debtor="MARTIN Céline",
            address=("1 rue du Lavoir", "99120 VILLE DE DÉMO"),
            lines=(
                LineRecord(1, "REPAS", TaxKind.MEAL, 4160, "E0001", Decimal(16), 260),
                LineRecord(2, "REPAS", TaxKind.MEAL, 4160, "E0002", Decimal(16), 260),
                LineRecord(3, "GARDERIE SOIR", TaxKind.CARE, 2 * number % 1000, "E0001"),
                LineRecord(4, "REMISE", TaxKind.OTHER, 0, "E0002"),
            ),
        )


def seconds(work: Callable[[], int]) -> tuple[float, int]:
    """CPU seconds of `work`, and what it counted."""
    start = time.process_time()
    count = work()
    return time.process_time() - start, count


def bare(path: Path) -> int:
    """What Python's own reader costs, doing nothing with the rows."""
    with path.open(encoding="utf-8", newline="") as file:
        return sum(1 for _row in csv.reader(file, delimiter=";"))


def ours(path: Path) -> int:
    """The invoices read; anything refused is a fault of this benchmark."""
    count = 0
    for item in CsvSource().read(SourceFile(path, path.name, path.stat().st_size)):
        assert isinstance(item, InvoiceRecord), item
        count += 1
    return count


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        table, packed = Path(folder, "factures.csv"), Path(folder, "factures.zip")
        with table.open("w", encoding="utf-8", newline="") as out:
            out.writelines(flat_rows(records(options.lines)))
        write_zip(packed, records(options.lines))
        rounds = [
            (
                seconds(lambda: bare(table)),
                seconds(lambda: ours(table)),
                seconds(lambda: ours(packed)),
            )
            for _ in range(options.rounds)
        ]
    base, flat, joined = (median(each[i][0] for each in rounds) for i in range(3))
    result = {
        "lines": options.lines,
        "invoices": rounds[0][1][1],
        "one_table_times_bare": round(flat / base, 1),
        "zip_times_bare": round(joined / base, 1),
        "one_table_lines_per_second": round(options.lines / flat),
        "zip_lines_per_second": round(options.lines / joined),
    }
    print(json.dumps(result, indent=1) if options.json else _table(result))


def _table(result: dict[str, float]) -> str:
    return "\n".join(f"{name.replace('_', ' '):28} {value:>10}" for name, value in result.items())


if __name__ == "__main__":
    main()
