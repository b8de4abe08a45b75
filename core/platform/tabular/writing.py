"""Tables for the accountant's own tools: CSV, XLSX and PDF from the same rows.

Cells are text, integer counts, `Cents`, dates or moments. A text that a spreadsheet would take for
a formula is written so that it is not: names come from files and from people.
"""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from io import BytesIO, StringIO
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from core.api.messages import Document
from core.domain.money import decimal_text
from core.domain.tabular.spreadsheets import csv_text
from core.platform.clock import PARIS
from core.platform.documents.pdf import render_pdf
from core.platform.templating import money, quantity

if TYPE_CHECKING:
    from openpyxl.styles import Font

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_BREAK = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
_IN_XML = {"Zs": " ", "Cc": "", "Cs": ""}
"""Replacements for characters, by category; a character of another category stays."""


class Cents(int):
    """An amount in a table, in cents."""


class Number(int):
    """A number that is no count: its thousands are not parted on a page."""


Cell = str | int | Cents | date | datetime | None
Opens = tuple[str, int | str]
PORTRAIT = 6
"""Columns that fit a page held upright."""


@dataclass(frozen=True, slots=True)
class Table:
    """A titled table. `foot` are its totals, a row that the rows add up to; `notes` stand below.

    `brief` are the columns that a page has room for (all, when empty); files have every one.
    `opens` says, row by row, what a row leads to on a page (``("payment", 12)``; None: nothing).
    `paper` is trusted HTML that only the PDF has, below the table.
    """

    name: str
    """Of the file, without its ending."""
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    foot: Sequence[Cell] = ()
    notes: Sequence[str] = ()
    opens: Sequence[Opens | None] = ()
    paper: str = ""
    brief: Sequence[int] = ()

    def csv(self) -> Document:
        """UTF-8 with a mark, semicolons, decimal commas: what French spreadsheets open rightly."""
        out = StringIO()
        writer = csv.writer(out, delimiter=";", lineterminator="\r\n")
        writer.writerow(map(csv_text, self.columns))
        for row in (*self.rows, *([self.foot] if self.foot else [])):
            writer.writerow(map(_plain, row))
        return Document(f"{self.name}.csv", "text/csv", out.getvalue().encode("utf-8-sig"))

    def xlsx(self) -> Document:
        """A workbook of one sheet, with numbers as numbers and dates as dates."""
        # Loaded when the first is asked for: it would be a sixth of every process's start.
        from openpyxl import Workbook  # noqa: PLC0415
        from openpyxl.styles import Font  # noqa: PLC0415
        from openpyxl.utils import get_column_letter  # noqa: PLC0415

        book = Workbook(write_only=True)
        sheet = book.create_sheet(self.title[:31].translate(str.maketrans("[]:*?/\\", "       ")))
        sheet.freeze_panes = "A2"
        bold = Font(bold=True)
        for at, width in enumerate(self._widths(), 1):
            sheet.column_dimensions[get_column_letter(at)].width = width
        if self.columns:
            sheet.append([_typed(sheet, column, bold) for column in self.columns])
        for row in self.rows:
            sheet.append([_typed(sheet, value) for value in row])
        if self.foot:
            sheet.append([_typed(sheet, value, bold) for value in self.foot])
        for note in self.notes:
            sheet.append([_typed(sheet, note)])
        out = BytesIO()
        book.save(out)
        return Document(f"{self.name}.xlsx", XLSX, out.getvalue())

    def pdf(self, town: str, *, language: str) -> Document:
        """The table on paper, to be signed and kept."""
        content = render_pdf(
            _PAPER.format(
                page="" if len(self.columns) <= PORTRAIT else _LANDSCAPE,
                town=town,
                title=self.title,
                head=_row("th", self.columns, self.figures()),
                body=Markup().join(_row("td", row) for row in self.rows),
                foot=_foot(self.foot),
                notes=Markup().join(Markup("<p>{}</p>").format(note) for note in self.notes),
                more=Markup(self.paper),  # noqa: S704 - trusted by contract
            ),
            title=f"{self.title} – {town}",
            language=language,
            author=town,
        )
        return Document(f"{self.name}.pdf", "application/pdf", content)

    @property
    def lines(self) -> list[tuple[Sequence[Cell], Opens | None]]:
        """The rows, each with what it leads to."""
        return list(zip(self.rows, self.opens or [None] * len(self.rows), strict=True))

    @property
    def on_page(self) -> Sequence[int]:
        """The columns of a page."""
        return self.brief or range(len(self.columns))

    def shown(self, row: Sequence[Cell]) -> list[tuple[str, str, bool]]:
        """A row for a page: each cell's column, text, and whether it is a figure."""
        figures = self.figures()
        return [(self.columns[at], _shown(row[at]), figures[at]) for at in self.on_page]

    def figures(self) -> list[bool]:
        """True for each column that holds figures."""
        sample = self.foot or self._sample()
        return [_is_figure(a) or _is_figure(b) for a, b in zip(self._sample(), sample, strict=True)]

    def _widths(self) -> list[float]:
        """Widths of a workbook's columns, in digits: a figure that does not fit reads ``###``."""
        rows = [self.columns, *self.rows, *([self.foot] if self.foot else [])]
        return [
            min(max(max(map(len, _in_workbook(row[at]).split("\n"))) for row in rows) + 2.0, WIDEST)
            for at in range(len(self.columns))
        ]

    def _sample(self) -> Sequence[Cell]:
        return self.rows[0] if self.rows else [""] * len(self.columns)


WIDEST = 60.0
"""Of a workbook's column: longer texts run on, and figures are never that long."""

SHORT = 16
"""Characters of a text that stays on one line: dates, codes, small words."""

_LANDSCAPE = Markup(
    "<style>@page { size: A4 landscape; margin-left: 14mm; margin-right: 14mm }"
    " .statement, .statement th { font-size: 7.5pt }</style>"
)
_PAPER = Markup(
    "{page}"
    '<p>{town}</p><h1>{title}</h1><table class="statement"><thead>{head}</thead>'
    '<tbody>{body}</tbody><tbody class="sums">{foot}</tbody></table>{notes}{more}'
)


def _row(tag: str, values: Sequence[Cell], figures: Sequence[bool] = ()) -> Markup:
    cells = []
    for index, value in enumerate(values):
        figure = figures[index] if figures else _is_figure(value)
        text = _shown(value)
        kind = "figure" if figure else "nowrap" if tag == "td" and len(text) <= SHORT else ""
        cells.append(
            Markup('<{tag}{scope} class="{kind}">{text}</{tag}>').format(
                tag=Markup(tag),  # noqa: S704 - ours
                scope=Markup(' scope="col"') if tag == "th" else "",
                kind=kind,
                text=text,
            )
        )
    return Markup("<tr>{}</tr>").format(Markup().join(cells))


def _foot(values: Sequence[Cell]) -> Markup:
    return _row("td", values) if values else Markup()


def _is_figure(value: Cell) -> bool:
    return isinstance(value, int)


def _shown(value: Cell) -> str:
    """For people."""
    if isinstance(value, Cents):
        return money(value)
    if isinstance(value, datetime):
        return value.astimezone(PARIS).strftime("%d/%m/%Y %H:%M")
    if isinstance(value, date):
        return value.strftime("%d/%m/%Y")
    if isinstance(value, int) and not isinstance(value, Number):
        return quantity(value)
    return "" if value is None else str(value)


def _plain(value: Cell) -> str:
    """For a CSV: amounts as ``1234,56``, counts as ``1234``."""
    if isinstance(value, Cents):
        return decimal_text(value)
    if isinstance(value, int):
        return str(value)
    return csv_text(value) if isinstance(value, str) else _shown(value)


def _in_workbook(value: Any) -> str:
    """A cell as a workbook shows it, for its length."""
    if isinstance(value, Cents):
        return f"{int(value) / 100:,.2f} €"
    if isinstance(value, datetime):
        return "00/00/0000 00:00"
    return "00/00/0000" if isinstance(value, date) else str(value)


def _typed(sheet: Any, value: Any, font: Font | None = None) -> Any:
    """For a workbook."""
    from openpyxl.cell import WriteOnlyCell  # noqa: PLC0415

    cell: Any
    if isinstance(value, Cents):
        cell = WriteOnlyCell(sheet, int(value) / 100)  # What a workbook holds is a float anyway.
        cell.number_format = "#,##0.00 [$€-40C]"
    elif isinstance(value, datetime):
        cell = WriteOnlyCell(sheet, value.astimezone(PARIS).replace(tzinfo=None))
        cell.number_format = "dd/mm/yyyy hh:mm"
    elif isinstance(value, date):
        cell = WriteOnlyCell(sheet, datetime.combine(value, time()))
        cell.number_format = "dd/mm/yyyy"
    elif isinstance(value, str):
        cell = WriteOnlyCell(sheet, _printable(value))
        cell.data_type = "s"  # Else a text that starts with "=" would be a formula.
    else:
        cell = WriteOnlyCell(sheet, value)
    if font is not None:
        cell.font = font
    return cell


def _printable(text: str) -> str:
    """XML has no place for control characters; a space of any width is a space, a break is one."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        c if c in "\t\n" else _IN_XML.get(unicodedata.category(c), c)
        for c in _BREAK.sub("\n", text)
        if c not in "\ufffe\uffff"
    )
