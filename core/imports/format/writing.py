"""Writing the CSV format: what `core.imports.format.csv` reads back as the same records."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from datetime import date
from io import StringIO
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from core.api.invoices import InvoiceRecord, LineRecord
from core.domain.money import decimal_text
from core.imports.format.bundle import INVOICES, LINES
from core.imports.format.columns import FLAT, INVOICE, LINE, LINE_AMOUNT

_EPOCH = (1980, 1, 1, 0, 0, 0)
"""A zip's first moment: the same records give the same bytes, hence the same import."""

_POSTCODE = re.compile(r"(\d{5}) (.+)")


def write_zip(path: Path, records: Iterable[InvoiceRecord]) -> None:
    """Write `records` as ``factures.csv``, ``lignes.csv`` and their PDFs in one zip."""
    invoices, lines = StringIO(), StringIO()
    invoice_rows = csv.DictWriter(invoices, INVOICE.all, delimiter=";")
    line_rows = csv.DictWriter(lines, LINE.all, delimiter=";")
    invoice_rows.writeheader()
    line_rows.writeheader()
    some_lines = False
    with ZipFile(path, "w") as archive:
        for record in records:
            invoice_rows.writerow(_invoice(record))
            for line in record.lines:
                some_lines = True
                keys = {"regie": record.regie, "numero": record.number}
                line_rows.writerow({**keys, **_line(line), "montant": decimal_text(line.amount)})
            if record.document:
                _add(archive, f"pdf/{record.document.name}", record.document.read())
        _add(archive, INVOICES, invoices.getvalue().encode())
        if some_lines:
            _add(archive, LINES, lines.getvalue().encode())


def flat_rows(records: Iterable[InvoiceRecord]) -> Iterator[str]:
    """Write `records` as one table, header first, one row a line, without their PDFs."""
    row = StringIO()
    writer = csv.DictWriter(row, FLAT.all, delimiter=";")

    def written() -> str:
        text = row.getvalue()
        row.seek(0)
        row.truncate()
        return text

    writer.writeheader()
    yield written()
    for record in records:
        invoice = {**_invoice(record), "pdf": ""}
        for line in record.lines:
            writer.writerow({**invoice, **_line(line), LINE_AMOUNT: decimal_text(line.amount)})
            yield written()


def _invoice(record: InvoiceRecord) -> dict[str, Any]:
    streets, postcode, town = list(record.address), "", ""
    match = _POSTCODE.fullmatch(streets[-1]) if streets else None
    if match:
        postcode, town = match.groups()
        streets.pop()
    elif len(streets) > 3:
        town = streets.pop()
    one, two, three = [*streets, "", "", ""][:3]
    return {
        "regie": record.regie,
        "numero": record.number,
        "ref_tipi": record.payment_reference,
        "exercice": record.fiscal_year,
        "code_famille": record.family_code,
        "debiteur": record.debtor,
        "adresse1": one,
        "adresse2": two,
        "adresse3": three,
        "code_postal": postcode,
        "ville": town,
        "libelle": record.label,
        "periode_debut": _day(record.period_start),
        "periode_fin": _day(record.period_end),
        "date_facture": _day(record.issued_on),
        "date_echeance": _day(record.due_on),
        "montant": decimal_text(record.amount),
        "prelevement": "O" if record.direct_debit else "N",
        "pdf": record.document.name if record.document else "",
        "type": str(record.kind),
        "facture_origine": record.origin_number,
    }


def _line(line: LineRecord) -> dict[str, Any]:
    return {
        "rang": line.rank,
        "enfant": line.child,
        "activite": line.activity,
        "nature_fiscale": str(line.tax_kind),
        "quantite": "" if line.quantity is None else f"{line.quantity:f}".replace(".", ","),
        "prix_unitaire": "" if line.unit_price is None else decimal_text(line.unit_price),
    }


def _day(value: date | None) -> str:
    return "" if value is None else value.strftime("%d/%m/%Y")


def _add(archive: ZipFile, name: str, content: bytes) -> None:
    info = ZipInfo(name, _EPOCH)
    info.compress_type = ZIP_DEFLATED
    archive.writestr(info, content)
