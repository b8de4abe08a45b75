"""Importing invoices from CSV, against reading with `csv` and a bare COPY of the same rows.

The portal's import checks every cell, finds duplicates, families and children, compares with what
is there, and writes invoices, lines and audit under row-level security, in one transaction.

The same rows are the families, children, invoices and lines that an import leaves, copied with
their numbers into the same tables: keys, indexes and triggers are work that no import is spared.
How the file's lines go as text into a table that has none of it is told beside, without an aim.

Memory is the process's highest resident set, when a file is ten times as long.
"""

from __future__ import annotations

import csv
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import psycopg
from sqlalchemy.engine import make_url

from benchmarks.measure import Aim, Result, compared, in_turns, main
from benchmarks.portal import running
from core.api.invoices import InvoiceRecord, LineRecord, SourceFile, TaxKind
from core.imports.format.csv import CsvSource
from core.imports.format.writing import flat_rows
from core.testing.portal import Portal

LINES_EACH = 4
BLOCK = 1 << 16
"""Bytes of a COPY that are sent together."""


def records(lines: int) -> Iterator[InvoiceRecord]:
    """Invoices of four lines, as a canteen writes them."""
    for number in range(lines // LINES_EACH):
        yield InvoiceRecord(
            regie="CANTINE",
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


def write(path: Path, lines: int) -> Path:
    with path.open("w", encoding="utf-8", newline="") as out:
        out.writelines(flat_rows(records(lines)))
    return path


WRITTEN = ("import_batch", "family", "child", "family_child", "invoice", "invoice_line")
"""What an import writes and a COPY can: tables in the order in which they need one another."""


def taken(dsn: str, folder: Path) -> dict[str, Path]:
    """What the import left, by the COPY that brings it back."""
    found = {}
    with psycopg.connect(dsn) as connection:
        for table in WRITTEN:
            (columns,) = connection.execute(
                "SELECT string_agg(quote_ident(column_name), ', ' ORDER BY ordinal_position)"
                " FROM information_schema.columns"
                " WHERE table_schema = 'public' AND table_name = %s AND is_generated = 'NEVER'",
                (table,),
            ).fetchone() or ("",)
            path = folder / f"{table}.copy"
            with (
                path.open("wb") as out,
                connection.cursor().copy(f"COPY {table} ({columns}) TO STDOUT") as copy,
            ):
                out.writelines(copy)
            found[f"COPY {table} ({columns}) FROM STDIN"] = path
    return found


def bare_copy(dsn: str, path: Path, rows: dict[str, Path]) -> None:
    """Read with `csv`, bring the rows back into their tables, and commit."""
    with psycopg.connect(dsn) as connection:
        with path.open(encoding="utf-8", newline="") as file:
            for _row in csv.reader(file, delimiter=";"):
                pass
        for statement, made in rows.items():
            with made.open("rb") as file, connection.cursor().copy(statement) as copy:
                while block := file.read(BLOCK):
                    copy.write(block)


def text_copy(dsn: str, path: Path) -> None:
    """Read with `csv`, write with COPY into a table of text, one row a line, and commit."""
    with psycopg.connect(dsn) as connection, path.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file, delimiter=";")
        columns = ", ".join(f"c{n} text" for n in range(len(next(rows))))
        connection.execute("DROP TABLE IF EXISTS bare_line")
        connection.execute(f"CREATE TABLE bare_line ({columns})")
        with connection.cursor().copy("COPY bare_line FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)


def our_import(portal: Portal, path: Path) -> None:
    """Import and take back, so that each round meets an empty town."""
    with portal.town() as town:
        report = town.imports.run(CsvSource(), SourceFile(path, path.name, path.stat().st_size))
        assert report.batch_id, report.problems


def empty(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        tables = "invoice, import_batch, family, child, outbox, document, audit_entry"
        connection.execute(f"TRUNCATE {tables} CASCADE")
        # Analysed too: else autovacuum may do it while a COPY is under way, see no row of it, and
        # let each foreign key be looked up in the wrong index.
        connection.execute("VACUUM ANALYZE")


def superuser(portal: Portal) -> str:
    url = make_url(portal.owner_url).set(drivername="postgresql", username="postgres")
    return url.render_as_string(hide_password=False)


def height(lines: int) -> float:
    """Megabytes that a process has at most when it imports a file of so many lines."""
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "benchmarks.csv_import",
        "--height",
        str(lines),
    ]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def show_height(lines: int) -> None:
    with running() as portal:
        our_import(portal, write(portal.scratch / "lines.csv", lines))
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def run(quick: bool) -> Iterator[Result]:
    sizes = ((2_000, 1),) if quick else ((100_000, 5), (1_000_000, 1))
    with running() as portal:
        dsn = superuser(portal)

        def timed(lines: int, work: Callable[[], None]) -> float:
            empty(dsn)
            started = time.perf_counter()
            work()
            return lines / (time.perf_counter() - started)

        for lines, rounds in sizes:
            path = write(portal.scratch / "lines.csv", lines)
            empty(dsn)
            our_import(portal, path)
            rows = taken(dsn, portal.scratch)
            took = in_turns(
                {
                    "ours": lambda: timed(lines, lambda: our_import(portal, path)),  # noqa: B023
                    "bare": lambda: timed(lines, lambda: bare_copy(dsn, path, rows)),  # noqa: B023
                    "text": lambda: timed(lines, lambda: text_copy(dsn, path)),  # noqa: B023
                },
                rounds,
            )
            name = f"CSV import, {lines:,} lines".replace(",", " ")
            told = {"lines": lines, "invoices": lines // LINES_EACH}
            yield compared(
                name, took["ours"], took["bare"], "lines/s", Aim("at least", 0.35), **told,
                baseline="csv.reader and one COPY of the same rows into each of the same tables",
            )  # fmt: skip
            yield compared(
                f"{name}: beside their text", took["ours"], took["text"], "lines/s", **told,
                baseline="csv.reader and one COPY of the lines as text into a table without keys",
            )  # fmt: skip
    few, many = (400, 2_000) if quick else (100_000, 1_000_000)
    yield Result(
        "CSV import, memory of ten times the lines", height(many), height(few), "MB",
        Aim("at most", 1.2), conditions={"lines": [few, many], "baseline": "a tenth of the lines"},
    )  # fmt: skip


if __name__ == "__main__":
    if "--height" in sys.argv:
        show_height(int(sys.argv[-1]))
    else:
        main(run, __doc__)
