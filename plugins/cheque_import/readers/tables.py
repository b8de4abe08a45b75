"""Tables of cheques, from any CSV or workbook, in the portal's columns or in a town's own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from core.plugin import TableError, TableFault, TableRow, money, read_tables
from core.plugin import gettext as _
from plugins.cheque_import.readers.table import FIELDS, MANDATORY, field_of, read_row
from plugins.cheque_import.records import ChequeProblem, ChequeRecord

_HEADER_ROWS = 60
"""Rows above the titles: the town's name, a date, a blank line."""
_PLACES = frozenset({"remise", "rang"})
"""Fields that a list may leave out: a list is one pile, in the order of its rows."""
_TOTAL = re.compile(r"\W*(sous[- _]?)?tota(l|ux)(?![^\W\d_])", re.IGNORECASE)


def read(
    content: bytes,
    file: str,
    mapping: Mapping[str, str] | None = None,
    *,
    slip: str = "",
    strict: bool = False,
) -> Iterator[ChequeRecord | ChequeProblem]:
    """Yield the cheques of the one table that holds some, and its problems where they occur.

    `mapping` gives, for each field of `FIELDS`, the heading that the town uses for it; a field left
    out is looked for under its own name. A list without slip or rank takes `slip` (the file's name
    by default) and the row's order. `strict`: a column that nobody knows is refused, and a row of
    another width: in a text, a separator may stand inside a value.
    """
    try:
        tables = read_tables(content)
    except TableError as error:
        yield ChequeProblem(_unreadable(error.fault), file, error.line)
        return
    rows = tables[0]
    fitting = [one for one in tables if not _header(one, mapping or {}, strict=strict)[2]]
    if len(fitting) > 1:
        yield ChequeProblem(_unreadable(TableFault.SHEETS), file)
        return
    rows = fitting[0] if fitting else rows
    if any("\x00" in cell for row in rows[:_HEADER_ROWS] for cell in row.cells):
        yield ChequeProblem(_("Le fichier n’est pas un fichier CSV."), file)
        return
    at, columns, problem = _header(rows, mapping or {}, strict=strict)
    if problem:
        yield ChequeProblem(problem, file, rows[at].line)
        return
    yield from _cheques(rows[at], rows[at + 1 :], columns, file, slip or file, strict=strict)


def _cheques(
    header: TableRow,
    rows: Sequence[TableRow],
    columns: Mapping[str, int],
    file: str,
    slip: str,
    *,
    strict: bool,
) -> Iterator[ChequeRecord | ChequeProblem]:
    rank, total, whole = 0, 0, True
    for row in rows:
        if row.cells == header.cells:
            continue  # Printed again on each page.
        cells = {field: " ".join(row.cell(at).split()) for field, at in columns.items()}
        if not (cells.get("cheque") or cells.get("cmc7")) and any(map(_TOTAL.match, row.cells)):
            if whole and (wrong := _wrong_total(row, cells, total, file)):
                yield wrong
            continue
        rank += 1
        if strict and len(row.cells) != len(header.cells):
            whole = False
            words = _("La ligne compte %(got)s cellules au lieu de %(want)s.")
            counts = {"got": len(row.cells), "want": len(header.cells)}
            yield ChequeProblem(words % counts, file, row.line)
            continue
        cells.setdefault("remise", slip)
        cells.setdefault("rang", str(rank))
        found = read_row(cells, file=file, line=row.line)
        if isinstance(found, ChequeProblem):
            whole = False
            place = columns.get(found.column)
            if place is not None and not strict:
                # The reader of the report knows the heading of the sheet, not our field.
                found = replace(found, column=header.cell(place).casefold())
        else:
            total += found.amount
        yield found
    if not rank:
        yield ChequeProblem(_("Le fichier ne contient aucun chèque."), file)


def _wrong_total(
    row: TableRow, cells: Mapping[str, str], total: int, file: str
) -> ChequeProblem | None:
    """Problem of a line of totals that contradicts the cheques; its amount may be in any column."""
    if any(cell.casefold().startswith("sous") for cell in row.cells):
        return None
    one = read_row(
        {"remise": "x", "rang": "1", "cheque": "0000000", "montant": cells["montant"]},
        file=file, line=row.line,
    )  # fmt: skip
    if isinstance(one, ChequeProblem) or one.amount == total:
        return None
    words = _("Cette ligne de total ne correspond pas aux chèques du fichier : %s.")
    return ChequeProblem(words % money(total), file, row.line, "montant", cells["montant"])


def _header(
    rows: Sequence[TableRow], mapping: Mapping[str, str], *, strict: bool
) -> tuple[int, dict[str, int], str]:
    """The row of titles, the place of each field, and what is wrong with them."""
    unknown = [field for field in mapping if field not in FIELDS]
    if unknown:
        return 0, {}, _("La correspondance nomme un champ inconnu : « %s ».") % unknown[0]
    tried = [mapping, {}] if strict and mapping else [mapping]
    for chosen in tried:
        # In a text, the portal's own columns are read as well as the town's.
        for at, row in enumerate(rows[:_HEADER_ROWS]):
            columns, problem = _columns(row, chosen)
            if not problem and not (strict and not chosen and _stranger(row)):
                return at, columns, ""
    at = max(range(len(rows[:_HEADER_ROWS])), key=lambda at: (_known(rows[at], mapping), -at))
    _columns_found, problem = _columns(rows[at], tried[-1])
    if strict and (stranger := _stranger(rows[at])):
        problem = _("Colonne inconnue : « %(name)s ». Colonnes admises : %(fields)s.") % {
            "name": stranger[:40],
            "fields": ", ".join(FIELDS),
        }
    return at, {}, problem


def _known(row: TableRow, mapping: Mapping[str, str]) -> int:
    own = {heading.strip().casefold() for heading in mapping.values()}
    return sum(field_of(cell) in FIELDS or cell.casefold() in own for cell in row.cells)


def _stranger(row: TableRow) -> str:
    return next((cell for cell in row.cells if field_of(cell) not in FIELDS), "")


def _columns(row: TableRow, mapping: Mapping[str, str]) -> tuple[dict[str, int], str]:
    header = [cell.casefold() for cell in row.cells]
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
    missing = [field for field in MANDATORY if field not in {*_PLACES, *columns}]
    if not {"cheque", "cmc7"} & columns.keys():
        missing.append("cheque")
    if missing:
        return {}, _("Colonne manquante : « %s ».") % missing[0]
    return columns, ""


def _unreadable(fault: TableFault) -> str:
    return {
        TableFault.EMPTY: _("Le fichier est vide."),
        TableFault.ENCODING: _(
            "Le fichier mélange deux encodages, ou n’est pas un texte. Refaites l’export en UTF-8."
        ),
        TableFault.QUOTES: _("Un guillemet n’est pas refermé, ou est mal placé."),
        TableFault.CELL: _("La ligne est trop longue."),
        TableFault.SHEETS: _(
            "Plusieurs feuilles portent des chèques : faites un fichier de chacune."
        ),
        TableFault.WORKBOOK: _(
            "Le classeur (XLSX, ODS ou XLS) ne s’ouvre pas : il est abîmé, trop gros, ou protégé "
            "par un mot de passe."
        ),
    }[fault]
