"""From rows to invoices: every cell read, then what the cells have to say to one another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import lru_cache
from typing import Any

from core.api.invoices import (
    Attachment,
    InvoiceKind,
    InvoiceRecord,
    LineRecord,
    SourceProblem,
)
from core.domain.money import decimal_text
from core.domain.references import bare
from core.imports.format import fields
from core.imports.format.bundle import Bundle
from core.imports.format.scratch import Scratch
from core.platform.i18n import gettext as _
from core.platform.tabular.header import Columns
from core.platform.tabular.problems import CellError, problem
from core.platform.tabular.sheet import Row, Sheet

MAX_LINES = 500
"""Lines of one invoice. Kept in memory together, so there has to be an end of them."""

Readers = Mapping[str, Callable[[str], Any]]

INVOICE_READERS: Readers = {
    "numero": fields.reference,
    "code_famille": fields.reference,
    "libelle": fields.text(200),
    "date_facture": fields.day,
    "date_echeance": fields.day,
    "montant": fields.money,
    "ref_tipi": fields.reference,
    "exercice": fields.year,
    "debiteur": fields.text(120),
    "adresse1": fields.text(80),
    "adresse2": fields.text(80),
    "adresse3": fields.text(80),
    "code_postal": fields.text(10),
    "ville": fields.text(80),
    "periode_debut": fields.day,
    "periode_fin": fields.day,
    "prelevement": fields.yes_no,
    "pdf": fields.file_name,
    "type": fields.invoice_kind,
    "facture_origine": fields.reference,
}
_UNIQUE = frozenset({"numero", "ref_tipi", "pdf"})
LINE_READERS: Readers = {
    "rang": fields.rank,
    "enfant": fields.text(80),
    "activite": fields.text(200),
    "nature_fiscale": fields.tax_kind,
    "quantite": fields.quantity,
    "prix_unitaire": fields.money,
}


@dataclass(slots=True)
class Cells:
    """The values of one row: those that could be read, and why the others could not."""

    file: str
    row: Row
    values: dict[str, Any] = field(default_factory=dict)
    problems: list[SourceProblem] = field(default_factory=list)

    def refuse(self, message: str, column: str) -> None:
        """Add a problem of this row."""
        value = self.row.get(column)
        self.problems.append(problem(message, self.file, self.row.line, column, value))


class Reading:
    """Reader of the rows of one sheet: its columns that `readers` know, by position.

    Readers are asked once for each value that comes again and again, as dates and prices do.
    """

    def __init__(self, sheet: Sheet, readers: Readers, columns: Columns) -> None:
        self._file = sheet.name
        self._steps = [
            (
                sheet.header.index(column),
                column,
                reader if column in _UNIQUE else lru_cache(1024)(reader),
                column in columns.required,
            )
            for column, reader in readers.items()
            if column in sheet.header
        ]

    def read(self, row: Row) -> Cells:
        """Read a row; an empty cell is no value, and refused where one must be."""
        read = Cells(self._file, row)
        values, cells = read.values, row.cells
        for position, column, reader, required in self._steps:
            raw = cells[position]
            if raw:
                try:
                    values[column] = reader(raw)
                except CellError as error:
                    read.refuse(str(error), column)
            elif required:
                read.refuse(_("Valeur obligatoire."), column)
        return read


def line_record(cells: Cells, amount_column: str) -> LineRecord | None:
    """The line that these cells hold, of rank 0 if they give none; None if they have problems."""
    values = cells.values
    quantity, unit_price = values.get("quantite"), values.get("prix_unitaire")
    if quantity is not None and unit_price is not None and amount_column in values:
        product = quantity * unit_price
        # A cent of grace: software rounds halves in both ways.
        if abs(product - values[amount_column]) > 1:
            message = _("quantite × prix_unitaire donne %(product)s.")
            cells.refuse(message % {"product": decimal_text(round(product))}, amount_column)
    if cells.problems:
        return None
    return LineRecord(
        values.get("rang", 0),
        values["activite"],
        values["nature_fiscale"],
        values[amount_column],
        values.get("enfant", ""),
        quantity,
        unit_price,
    )


def invoice_record(
    cells: Cells,
    lines: Sequence[LineRecord] | None,
    bundle: Bundle,
    scratch: Scratch,
) -> InvoiceRecord | None:
    """The invoice that these cells hold; None if they have problems, which are then complete.

    `lines` is None when some of them could not be read: that has been said, and what depends on
    all of them is not judged.
    """
    get = cells.values.get
    kind: InvoiceKind = get("type", InvoiceKind.INVOICE)
    if _is_repeated(cells, kind, scratch):
        return None  # What else is wrong with it was said the first time.
    _check_dates(cells)
    _check_amount(cells, kind)
    if lines is None:
        ranked: tuple[LineRecord, ...] | None = None
    else:
        ranked = _ranked(cells, lines)
        _check_sum(cells, lines)
    document = _document(cells, bundle, scratch)
    if cells.problems or ranked is None:
        return None
    issued_on: date = cells.values["date_facture"]
    return InvoiceRecord(
        regie=cells.values["regie"],
        number=cells.values["numero"],
        family_code=cells.values["code_famille"],
        label=cells.values["libelle"],
        amount=cells.values["montant"],
        issued_on=issued_on,
        due_on=cells.values["date_echeance"],
        fiscal_year=get("exercice", issued_on.year),
        payment_reference=get("ref_tipi", ""),
        debtor=get("debiteur", ""),
        address=_address(cells.values),
        period_start=get("periode_debut"),
        period_end=get("periode_fin"),
        direct_debit=get("prelevement", False),
        kind=kind,
        origin_number=get("facture_origine", ""),
        document=document,
        lines=ranked,
        line_number=cells.row.line,
    )


def _address(values: Mapping[str, Any]) -> tuple[str, ...]:
    town = " ".join(values[part] for part in ("code_postal", "ville") if part in values)
    streets = (values.get(part, "") for part in ("adresse1", "adresse2", "adresse3"))
    return tuple(line for line in (*streets, town) if line)


def _check_dates(cells: Cells) -> None:
    get = cells.values.get
    if _before(get("date_echeance"), get("date_facture")):
        cells.refuse(_("L’échéance précède la date de facture."), "date_echeance")
    if _before(get("periode_fin"), get("periode_debut")):
        cells.refuse(_("La période finit avant de commencer."), "periode_fin")


def _before(end: date | None, start: date | None) -> bool:
    return end is not None and start is not None and end < start


def _check_amount(cells: Cells, kind: InvoiceKind) -> None:
    amount = cells.values.get("montant")
    if amount is None:
        return
    if kind is InvoiceKind.INVOICE and amount <= 0:
        cells.refuse(
            _("Montant supérieur à zéro attendu. Pour un avoir, mettez « avoir » dans « type »."),
            "montant",
        )
    if kind is InvoiceKind.CREDIT_NOTE and amount > 0:
        cells.refuse(_("Un avoir s’écrit avec un montant négatif : -12,50."), "montant")
    if kind is InvoiceKind.INVOICE and cells.values.get("facture_origine"):
        cells.refuse(_("Seul un avoir renvoie à une facture d’origine."), "facture_origine")


def _is_repeated(cells: Cells, kind: InvoiceKind, scratch: Scratch) -> bool:
    regie, number = cells.values.get("regie"), cells.values.get("numero")
    issued_on = cells.values.get("date_facture")
    if not (regie and number):
        return False
    if _stands_already(cells, scratch, "numero", f"{regie} {number}"):
        return True
    reference = cells.values.get("ref_tipi")
    # The reference is what the bank's file gives back: two debts under one cannot be told apart.
    if reference and issued_on and kind is InvoiceKind.INVOICE:
        year = cells.values.get("exercice", issued_on.year)
        return _stands_already(cells, scratch, "ref_tipi", f"{regie} {year} {bare(reference)}")
    return False


def _stands_already(cells: Cells, scratch: Scratch, column: str, key: str) -> bool:
    before = scratch.first_seen(column, key, cells.row.line)
    if before:
        message = _("Déjà présent à la ligne %(line)s.") % {"line": before}
        if column == "numero":
            message += " " + _("Les lignes d’une même facture se suivent.")
        cells.refuse(message, column)
    return bool(before)


def _ranked(cells: Cells, lines: Sequence[LineRecord]) -> tuple[LineRecord, ...]:
    """The lines by rank; numbered in their order if none has one."""
    if not any(line.rank for line in lines):
        return tuple(replace(line, rank=rank) for rank, line in enumerate(lines, 1))
    ranks = {line.rank for line in lines}
    if 0 in ranks:
        cells.refuse(_("Donnez un rang à toutes les lignes de la facture, ou à aucune."), "rang")
    elif len(ranks) < len(lines):
        cells.refuse(_("Deux lignes de la facture ont le même rang."), "rang")
    return tuple(sorted(lines, key=lambda line: line.rank))


def _check_sum(cells: Cells, lines: Sequence[LineRecord]) -> None:
    amount = cells.values.get("montant")
    total = sum(line.amount for line in lines)
    if lines and amount is not None and total != amount:
        message = _("Le total des lignes est de %(total)s.") % {"total": decimal_text(total)}
        cells.refuse(message, "montant")


def _document(cells: Cells, bundle: Bundle, scratch: Scratch) -> Attachment | None:
    cited, number = cells.values.get("pdf"), cells.values.get("numero")
    if cited is None:
        if not bundle.pdfs or not number or cells.row.get("pdf"):
            return None  # Nothing to find, or a name that was refused already.
        if "/" in number:
            return None  # No file is called so, and what follows the stroke is another's number.
    name = cited or f"{number}.pdf"
    try:
        document = bundle.document(name, cited=cited is not None)
    except CellError as error:
        cells.refuse(str(error), "pdf")
        return None
    if document and scratch.first_seen("pdf", document.name.casefold(), cells.row.line):
        # Else a family would be shown what another one owes.
        cells.refuse(_("Ce PDF est déjà celui d’une autre facture."), "pdf")
    return document
