"""Columns of an export of payments, as a régie chooses them for its billing software."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from io import StringIO
from typing import Any, Final

from core.api.errors import UserError
from core.domain.money import decimal_text
from core.platform.i18n import gettext as _
from core.platform.tabular.writing import XLSX, Cell, Cents, Table

AMOUNTS: Final = ("comma", "point", "cents")
DATES: Final = ("slashes", "iso", "compact")
SEPARATORS: Final = {"semicolon": ";", "comma": ",", "tab": "\t", "pipe": "|"}
ENCODINGS: Final = {
    "utf-8-bom": "utf-8-sig", "utf-8": "utf-8", "windows-1252": "cp1252", "latin-9": "iso8859-15",
}  # fmt: skip
FIXED: Final = ("fixe_1", "fixe_2", "fixe_3")
"""Columns that hold the same text in each row: a code of the town, say."""
FIELDS: Final = (
    "ligne", "export", "mouvement", "date", "date_reglement", "facture", "reference", "exercice",
    "code_famille", "regie", "montant", "montant_sans_signe", "sens", "moyen", "recu",
    "transaction", *FIXED,
)  # fmt: skip
"""Names of the columns that there are, in the order that is proposed. They name no person."""
USUAL: Final = tuple(name for name in FIELDS if name not in {*FIXED, "montant_sans_signe", "sens"})
FORMATS: Final = ("csv", "xlsx")
MOVEMENTS: Final = {
    "paid": "R", "reversed": "A", "freed": "V", "freed_reversed": "AV", "corrected": "C",
}  # fmt: skip
"""Letters of the column ``mouvement``: *règlement*, *annulation*, *avoir*, *avoir annulé*, *moyen
corrigé*."""
CREDIT, DEBIT = "C", "D"
"""Words of the column ``sens``, unless the régie has its own."""


@dataclass(frozen=True, slots=True)
class Movement:
    """Signed cents that an invoice was paid, or paid less."""

    kind: str
    """A key of `MOVEMENTS`."""
    day: date
    paid_on: date
    invoice: str
    reference: str
    fiscal_year: int
    family: str
    amount: int
    means: str
    receipt: str
    transaction: str


@dataclass(frozen=True, slots=True)
class ExportLayout:
    """Columns, in order, with their titles, and the way that cells are written."""

    columns: tuple[tuple[str, str], ...] = tuple((name, name) for name in USUAL)
    amounts: str = "comma"
    dates: str = "slashes"
    separator: str = "semicolon"
    encoding: str = "utf-8-bom"
    has_titles: bool = True
    words: Mapping[str, str] = field(default_factory=dict)
    """The billing software's word of each means; another means is written by our own name of it."""
    fixed: Mapping[str, str] = field(default_factory=dict)
    signs: tuple[str, str] = (CREDIT, DEBIT)
    since: date | None = None
    """First day whose movements are exported; None: all that there are."""
    format: str = "csv"

    @staticmethod
    def of(kept: Mapping[str, Any] | None) -> ExportLayout:
        """The layout as it was kept; the usual one where none was."""
        if not kept:
            return ExportLayout()
        since = kept.get("since")
        return ExportLayout(
            tuple((name, words) for name, words in kept["columns"] if name in FIELDS),
            kept["amounts"], kept["dates"], kept["separator"], kept["encoding"],
            kept["has_titles"], kept["words"], kept["fixed"], tuple(kept["signs"]),
            date.fromisoformat(since) if since else None, kept.get("format", "csv"),
        )  # fmt: skip

    def kept(self) -> dict[str, Any]:
        """The layout as it is kept."""
        return {
            "columns": [list(column) for column in self.columns],
            "amounts": self.amounts,
            "dates": self.dates,
            "separator": self.separator,
            "encoding": self.encoding,
            "has_titles": self.has_titles,
            "words": dict(self.words),
            "fixed": dict(self.fixed),
            "signs": list(self.signs),
            "since": self.since.isoformat() if self.since else "",
            "format": self.format,
        }

    @property
    def media_type(self) -> str:
        """Media type of the file, with its encoding."""
        if self.format == "xlsx":
            return XLSX
        charset = ENCODINGS[self.encoding].replace("-sig", "").replace("cp", "windows-")
        return f"text/csv; charset={charset}"

    def write(self, regie: str, number: int, movements: Sequence[Movement]) -> bytes:
        """The file of these movements.

        Cells are exactly what the billing software wrote, its own numbers above all: nothing is put
        before what a spreadsheet might take for a formula.

        Raises:
            UserError: a cell has no place in the encoding that the régie chose.
        """
        if self.format == "xlsx":
            return self._workbook(regie, number, movements)
        out = StringIO()
        writer = csv.writer(out, delimiter=SEPARATORS[self.separator], lineterminator="\r\n")
        if self.has_titles:
            writer.writerow(words for _name, words in self.columns)
        for rank, movement in enumerate(movements, start=1):
            cells = self._cells(regie, number, rank, movement)
            writer.writerow(cells[name] for name, _words in self.columns)
        text = out.getvalue()
        try:
            return text.encode(ENCODINGS[self.encoding])
        except UnicodeEncodeError as error:
            raise UserError(
                _(
                    "Le caractère « %(sign)s » ne s’écrit pas dans cet encodage : choisissez "
                    "UTF-8 dans les colonnes de l’export."
                )
                % {"sign": text[error.start]}
            ) from None

    def _workbook(self, regie: str, number: int, movements: Sequence[Movement]) -> bytes:
        """A sheet in which amounts are numbers, days are days, and all else is text."""
        rows: list[list[Cell]] = []
        for rank, one in enumerate(movements, start=1):
            cells: dict[str, Cell] = {**self._cells(regie, number, rank, one)}
            cells |= {"date": one.day, "date_reglement": one.paid_on, "exercice": one.fiscal_year}
            for name, cents in (("montant", one.amount), ("montant_sans_signe", abs(one.amount))):
                cells[name] = cents if self.amounts == "cents" else Cents(cents)
            rows.append([cells[name] for name, _words in self.columns])
        titles = [words for _name, words in self.columns] if self.has_titles else ()
        return Table(f"export-{number}", f"{regie} {number}", titles, rows).xlsx().content

    def _cells(self, regie: str, number: int, rank: int, one: Movement) -> dict[str, str]:
        return {
            "ligne": f"{regie}-{number}-{rank}",
            "export": str(number),
            "mouvement": MOVEMENTS[one.kind],
            "date": self._day(one.day),
            "date_reglement": self._day(one.paid_on),
            "facture": one.invoice,
            "reference": one.reference,
            "exercice": str(one.fiscal_year),
            "code_famille": one.family,
            "regie": regie,
            "montant": self._amount(one.amount),
            "montant_sans_signe": self._amount(abs(one.amount)),
            "sens": self.signs[0] if one.amount > 0 else self.signs[1],
            "moyen": self.words.get(one.means) or one.means,
            "recu": one.receipt,
            "transaction": one.transaction,
            **{name: self.fixed.get(name, "") for name in FIXED},
        }

    def _day(self, day: date) -> str:
        forms = {"slashes": "%d/%m/%Y", "iso": "%Y-%m-%d", "compact": "%Y%m%d"}
        return day.strftime(forms[self.dates])

    def _amount(self, cents: int) -> str:
        if self.amounts == "cents":
            return str(cents)
        text = decimal_text(cents)
        return text.replace(",", ".") if self.amounts == "point" else text
