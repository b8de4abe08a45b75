"""A régisseur's own spreadsheet (XLSX), read through a column mapping that the town saves."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

from core.plugin import gettext as _
from plugins.cheque_import.readers.table import FIELDS, MANDATORY, field_of, read_row, text_of
from plugins.cheque_import.records import ChequeProblem, ChequeRecord

_MAX_UNPACKED = 100 * 1024 * 1024
_MAX_ROWS = 50_000


def read(
    content: bytes,
    file: str,
    mapping: Mapping[str, str] | None = None,
    *,
    slip: str = "",
) -> Iterator[ChequeRecord | ChequeProblem]:
    """Yield the cheques of the first sheet.

    `mapping` gives, for each field of `FIELDS`, the heading that the town uses for it; a field left
    out is looked for under its own name. A list without slip or rank takes `slip` (the file's name
    by default) and the row's order.
    """
    import openpyxl  # noqa: PLC0415 - half a second that only this format pays

    problem = _archive_problem(content)
    if problem:
        yield ChequeProblem(problem, file)
        return
    try:
        book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
        rows = book.worksheets[0].iter_rows(values_only=True, max_row=_MAX_ROWS)
        header = [text_of(cell).strip().casefold() for cell in next(rows, ())]
    except Exception:  # noqa: BLE001 - the library raises whatever a damaged file makes it meet
        yield ChequeProblem(_("Le fichier n’est pas un classeur XLSX lisible."), file)
        return
    columns, problem = _columns(header, mapping or {})
    if problem:
        yield ChequeProblem(problem, file, 1)
        return
    yield from _rows(rows, columns, header, file, slip or file)


def _rows(
    rows: Iterator[tuple[Any, ...]],
    columns: dict[str, int],
    header: list[str],
    file: str,
    slip: str,
) -> Iterator[ChequeRecord | ChequeProblem]:
    rank = 0
    for line, row in enumerate(rows, 2):
        if not any(text_of(cell).strip() for cell in row):
            continue
        rank += 1
        cells = {field: text_of(row[at]) if at < len(row) else "" for field, at in columns.items()}
        cells.setdefault("remise", slip)
        cells.setdefault("rang", str(rank))
        found = read_row(cells, file=file, line=line)
        if isinstance(found, ChequeProblem):
            # The reader of the report knows the heading of the sheet, not our field.
            at = columns.get(found.column)
            heading = header[at] if at is not None else found.column
            found = ChequeProblem(found.message, file, line, heading, found.value)
        yield found
    if not rank:
        yield ChequeProblem(_("Le fichier ne contient aucun chèque."), file)


def _archive_problem(content: bytes) -> str:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if sum(info.file_size for info in archive.infolist()) > _MAX_UNPACKED:
                return _("Le classeur est trop gros.")
    except zipfile.BadZipFile:
        return _("Le fichier n’est pas un classeur XLSX.")
    return ""


def _columns(header: list[str], mapping: Mapping[str, str]) -> tuple[dict[str, int], str]:
    unknown = [field for field in mapping if field not in FIELDS]
    if unknown:
        return {}, _("La correspondance nomme un champ inconnu : « %s ».") % unknown[0]
    columns: dict[str, int] = {}
    for field in FIELDS:
        wanted = mapping.get(field, field).strip().casefold()
        places = [at for at, name in enumerate(header) if name == wanted]
        if not places and field not in mapping:
            places = [at for at, name in enumerate(header) if field_of(name) == field]
        if len(places) > 1:
            return {}, _("La colonne « %s » est présente deux fois.") % wanted
        if places:
            columns[field] = places[0]
        elif field in mapping:
            return {}, _("La colonne « %s » de la correspondance est absente.") % mapping[field]
    needed = [field for field in MANDATORY if field not in {"remise", "rang"}]
    missing = [field for field in needed if field not in columns]
    if not {"cheque", "cmc7"} & columns.keys():
        missing.append("cheque")
    if missing:
        return {}, _("Aucune colonne n’est associée au champ « %s ».") % missing[0]
    return columns, ""
