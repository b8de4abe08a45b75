"""Invoices from a billing program's own list, by a layout that a régie made once and keeps.

The rows are written anew in the portal's own format and read as such: every rule of it holds, and
a problem is told with the file's own line and title.
"""

from __future__ import annotations

import csv
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from core.api.context import RegieInfo
from core.api.invoices import InvoiceRecord, SourceFile, SourceNotice, SourceProblem
from core.domain.dates import DateError, parse_day
from core.domain.money import AmountError, parse_amount
from core.domain.tabular.rows import Row, TableError, TableFault, read_tables, title
from core.imports.format.columns import FLAT, INVOICE, LINE_AMOUNT
from core.imports.format.csv import CsvSource
from core.platform.i18n import gettext as _
from core.platform.tabular.problems import problem

MAX_BYTES: Final = 64 * 1024 * 1024
HEADER_ROWS: Final = 60

COLUMNS: Final = tuple(name for name in FLAT.all if name != "pdf")
"""Columns that a layout may name; a list brings no PDF."""

NEVER_CONSTANT: Final = frozenset({"numero", "code_famille", "ref_tipi", "facture_origine"})
"""Columns that tell one invoice, or one family, from another: they stand in the file."""

AMOUNTS: Final = ("house", "thousands_dot", "thousands_comma", "cents")
DATES: Final = ("house", "short", "compact", "month_first")

_DOT = re.compile(r"-?\d{1,3}(?:\.\d{3})*(?:,\d{1,2})?(?: ?€)?", re.ASCII)
_COMMA = re.compile(r"-?\d{1,3}(?:,\d{3})*(?:\.\d{1,2})?(?: ?€)?", re.ASCII)
_CENTS = re.compile(r"-?\d{1,13}", re.ASCII)
_MONTH_FIRST = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})", re.ASCII)
_COMPACT = re.compile(r"(\d{4})(\d{2})(\d{2})", re.ASCII)
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_HOUR = re.compile(r"[ T]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?\Z", re.ASCII)
_DIGIT = re.compile(r"\d")
_MONEY = frozenset({"montant", "prix_unitaire", LINE_AMOUNT})
_DAYS = frozenset({"date_facture", "date_echeance", "periode_debut", "periode_fin"})


@dataclass(frozen=True, slots=True)
class InvoiceLayout:
    """Title or constant that stands for each column of the format."""

    titles: Mapping[str, str]
    """By column, the title as `title` writes it."""
    constants: Mapping[str, str] = field(default_factory=dict)
    amounts: str = "house"
    dates: str = "house"
    leave_out: tuple[str, ...] = ()
    """Rows one of whose cells begins with one of these words are left out."""

    @staticmethod
    def of(kept: Mapping[str, Any]) -> InvoiceLayout:
        """The layout as it was kept."""
        return InvoiceLayout(
            kept.get("titles", {}),
            kept.get("constants", {}),
            kept.get("amounts", "house"),
            kept.get("dates", "house"),
            tuple(kept.get("leave_out", ())),
        )

    @property
    def missing(self) -> list[str]:
        """The columns that the format wants and nothing gives."""
        given = {*self.titles, *self.constants}
        wanted = INVOICE if given.isdisjoint(set(FLAT.all) - set(INVOICE.all)) else FLAT
        return [name for name in wanted.required if name not in given]


class MappedSource:
    """Reads the list of one billing program: any CSV, XLSX, ODS or XLS."""

    def __init__(
        self, key: str, label: str, layout: InvoiceLayout, regies: Sequence[RegieInfo]
    ) -> None:
        self.key = key
        self.label = label
        self._layout = layout
        self._house = CsvSource(regies)

    def read(self, file: SourceFile) -> Iterator[InvoiceRecord | SourceProblem | SourceNotice]:
        """Yield the invoices of `file`, its problems, and what the layout leaves out of it."""
        if file.path.is_dir() or file.path.stat().st_size > MAX_BYTES:
            yield problem(_("Ce fichier est trop grand."), file.name)
            return
        try:
            header, rows = find_header(file.path.read_bytes(), self._layout.titles.values())
        except TableError as error:
            message = (
                _("Plusieurs feuilles portent ces titres : faites un fichier de chacune.")
                if error.fault is TableFault.SHEETS
                else _("Ce fichier est illisible ou abîmé.")
            )
            yield problem(message, file.name, error.line)
            return
        if header is None:
            names = ", ".join(sorted(set(self._layout.titles.values())))
            message = _("Aucune ligne ne porte tous les titres de ce modèle : %(names)s.")
            yield problem(message % {"names": names}, file.name)
            return
        places = {title(cell): place for place, cell in reversed(list(enumerate(header.cells)))}
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "factures.csv"
            lines, left_out = self._write(path, places, rows)
            house = SourceFile(path, "", path.stat().st_size)
            for item in self._house.read(house):
                at = item.line_number if isinstance(item, InvoiceRecord) else item.line
                at = lines[at - 1] if 0 < at <= len(lines) else 0
                if isinstance(item, InvoiceRecord):
                    yield replace(item, line_number=at)
                else:
                    place = places.get(self._layout.titles.get(item.column, ""))
                    named = header.cells[place] if place is not None else item.column
                    yield replace(item, file=file.name, line=at, column=named)
        for row in left_out:
            # Told with what they come to: a word that begins so may be an invoice's own.
            yield SourceNotice(
                _("Lignes laissées de côté par le modèle"),
                file.name,
                row.line,
                left_out=True,
                amount=self._cents(places, row),
            )

    def _write(
        self, path: Path, places: Mapping[str, int], rows: Sequence[Row]
    ) -> tuple[list[int], list[Row]]:
        """Write the rows in the portal's format.

        Return the line of the file behind each line of it, and the rows that the layout leaves out.
        """
        layout = self._layout
        names = [name for name in COLUMNS if name in layout.titles or name in layout.constants]
        lines = [0]
        left_out = []
        with path.open("w", encoding="utf-8", newline="") as out:
            writer = csv.writer(out, delimiter=";", lineterminator="\n", quoting=csv.QUOTE_ALL)
            writer.writerow(names)
            for row in rows:
                if self._is_left_out(row):
                    left_out.append(row)
                    continue
                writer.writerow([self._cell(name, places, row) for name in names])
                lines.append(row.line)
        return lines, left_out

    def _cents(self, places: Mapping[str, int], row: Row) -> int:
        wanted = self._layout.titles.get("montant")
        try:
            return parse_amount(self._cell("montant", places, row)) if wanted else 0
        except AmountError:
            return 0

    def _is_left_out(self, row: Row) -> bool:
        words = tuple(word.casefold() for word in self._layout.leave_out)
        return bool(words) and any(cell.casefold().startswith(words) for cell in row.cells)

    def _cell(self, name: str, places: Mapping[str, int], row: Row) -> str:
        wanted = self._layout.titles.get(name)
        if wanted is None:
            return self._layout.constants[name]
        value = " ".join(row.cell(places[wanted]).split())
        if name in _MONEY:
            return amount(value, self._layout.amounts)
        if name in _DAYS:
            return day(value, self._layout.dates)
        if name == "code_famille" and value and not _DIGIT.search(value):
            # A name is no code: two families may share it. No code has this sign, so it is refused.
            return f"?{value}"
        return value


def find_header(content: bytes, wanted: Any) -> tuple[Row | None, list[Row]]:
    """The first row that has all the titles `wanted`, and the rows below it.

    Raises:
        TableError: the file is no table, or several sheets have these titles.
    """
    names = set(wanted)
    found: list[tuple[Row, list[Row]]] = []
    for rows in read_tables(content):
        for place, row in enumerate(rows[:HEADER_ROWS]):
            if names <= {title(cell) for cell in row.cells}:
                found.append((row, rows[place + 1 :]))
                break
    filled = [one for one in found if one[1]] or found
    if len(filled) > 1:
        raise TableError(TableFault.SHEETS)
    return filled[0] if filled else (None, [])


def titles_of(content: bytes) -> list[str]:
    """The titles of a file among which a régie chooses: the first row that is nearly full.

    Raises:
        TableError: the file is no table.
    """
    rows = max(read_tables(content), key=len)[:HEADER_ROWS]
    filled = [sum(1 for cell in row.cells if cell) for row in rows]
    best = next(n for n, count in enumerate(filled) if count >= 0.8 * max(filled))
    return [cell for cell in rows[best].cells if title(cell)]


def amount(text: str, form: str) -> str:
    """An amount of a form that the régie named, in the house's; as it is where it does not fit."""
    if form == "thousands_dot" and _DOT.fullmatch(text):
        return text.replace(".", "")
    if form == "thousands_comma" and _COMMA.fullmatch(text):
        return text.replace(",", "")
    if form == "cents":
        if not _CENTS.fullmatch(text):
            return f"{text}?" if text else text  # A comma in cents is no amount of euros either.
        sign, digits = ("-", text[1:]) if text.startswith("-") else ("", text)
        return f"{sign}{digits.rjust(3, '0')[:-2]},{digits.rjust(2, '0')[-2:]}"
    return text


def day(text: str, form: str) -> str:
    """A day of a form that the régie named, in the house's; as it is where it does not fit."""
    text = _HOUR.sub("", text)
    if _ISO.fullmatch(text):
        return text  # As a workbook's own dates come: it has one reading.
    if form == "month_first":
        found = _MONTH_FIRST.fullmatch(text)
        # Never as it is: the house reads the day first.
        return f"{found[2]}/{found[1]}/{found[3]}" if found else (text and f"{text}?")
    if form == "compact" and (found := _COMPACT.fullmatch(text)):
        return "-".join(found.groups())
    if form == "short":
        try:
            return parse_day(text, marks="/.-", short_years=True).isoformat()
        except DateError:
            return text
    return text
