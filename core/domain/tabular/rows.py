"""From a file to rows of cells: CSV of any separator, or sheets of a workbook (XLSX, ODS, XLS)."""

from __future__ import annotations

import csv
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from io import BytesIO, StringIO
from typing import Final
from zipfile import BadZipFile, ZipFile

from core.domain.tabular.decoding import DecodeError, decode

SEPARATORS: Final = ";\t|,"
MAX_CELL: Final = 64 * 1024
"""Characters. No label is so long: the quote that should end it is missing."""

MAX_UNPACKED_BYTES: Final = 100 * 1024 * 1024
MAX_ROWS: Final = 200_000
SNIFFED_ROWS: Final = 200

_WORKBOOKS: Final = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
_NOT_WORD = re.compile(r"[^a-z0-9]+")


class TableFault(StrEnum):
    """Reason why a file is no table."""

    EMPTY = "empty"
    ENCODING = "encoding"
    """It is no text, or text in two encodings."""
    QUOTES = "quotes"
    CELL = "cell"
    """A cell is longer than any can be."""
    WORKBOOK = "workbook"
    """It is a workbook that cannot be opened: damaged, locked by a password, or too large."""
    SHEETS = "sheets"
    """Several sheets could be meant. Said by who knows the columns, not by `read_tables`."""


class TableError(ValueError):
    """The file cannot be read as a table; `line` is the first wrong one (0: all are)."""

    def __init__(self, fault: TableFault, line: int = 0) -> None:
        super().__init__(f"{fault}, line {line}")
        self.fault = fault
        self.line = line


@dataclass(frozen=True, slots=True)
class Row:
    """A row that is not blank: the line on which it begins, and its cells without spaces around."""

    line: int
    cells: tuple[str, ...]

    def cell(self, place: int | None) -> str:
        """One cell; "" where the row is too short or nothing was asked for."""
        return self.cells[place] if place is not None and place < len(self.cells) else ""


def is_workbook(content: bytes) -> bool:
    """True if a file is a workbook, or another archive."""
    return content.startswith(_WORKBOOKS)


def read_tables(content: bytes) -> list[list[Row]]:
    """The tables of a file: the sheets of a workbook that hold something, or the one of a CSV.

    Raises:
        TableError: it cannot be read as either.
    """
    if is_workbook(content):
        tables = _sheets(content)
    else:
        try:
            tables = [_delimited(decode(content))]
        except DecodeError as error:
            raise TableError(TableFault.ENCODING, error.line) from None
    tables = [table for table in tables if table]
    if not tables:
        raise TableError(TableFault.EMPTY)
    return tables


def title(cell: str) -> str:
    """A column's title however it was typed: ``Date d’opération`` is ``date_d_operation``."""
    letters = unicodedata.normalize("NFKD", cell.casefold().replace("œ", "oe"))
    plain = letters.encode("ascii", "ignore").decode()
    return _NOT_WORD.sub("_", plain).strip("_")


def _delimited(text: str) -> list[Row]:
    if text[:4].lower() == "sep=":
        text = text.partition("\n")[2]
    best: list[Row] | TableError | None = None
    best_score = -1
    for separator in SEPARATORS:
        if separator not in text:
            continue
        found: list[Row] | TableError
        try:
            found = list(_split(text, separator))
        except TableError as error:
            found = error
        if isinstance(found, TableError):
            # It may part the text best all the same: then its fault is the file's.
            lines = text.splitlines()[:SNIFFED_ROWS]
            score = _evenness([Row(0, tuple(line.split(separator))) for line in lines])
        else:
            score = _evenness(found)
        if score > best_score:
            best, best_score = found, score
    if best is None:
        return list(_split(text, ";"))
    if isinstance(best, TableError):
        raise best
    return best


def _split(text: str, separator: str) -> Iterator[Row]:
    reader = csv.reader(StringIO(text, newline=""), delimiter=separator, strict=True)
    end = 0
    try:
        for cells in reader:
            line, end = end + 1, reader.line_num
            stripped = tuple(cell.strip() for cell in cells)
            if any(stripped):
                if max(map(len, stripped)) > MAX_CELL:
                    raise TableError(TableFault.CELL, line)
                yield Row(line, stripped)
    except csv.Error as error:
        fault = TableFault.CELL if "limit" in str(error) else TableFault.QUOTES
        raise TableError(fault, end + 1) from None


def _evenness(rows: Sequence[Row]) -> int:
    """Quality of a separator for a text: many rows of one width, and the wider the better."""
    widths = Counter(len(row.cells) for row in rows[:SNIFFED_ROWS])
    return max(((width - 1) * count for width, count in widths.items()), default=0)


def _sheets(content: bytes) -> list[list[Row]]:
    # Loaded with the first workbook: few processes of a portal ever read one.
    from python_calamine import (  # noqa: PLC0415
        CalamineError,
        CalamineWorkbook,
        SheetTypeEnum,
        SheetVisibleEnum,
    )

    try:
        if content.startswith(b"PK"):
            with ZipFile(BytesIO(content)) as archive:
                if sum(member.file_size for member in archive.infolist()) > MAX_UNPACKED_BYTES:
                    raise TableError(TableFault.WORKBOOK)
        with CalamineWorkbook.from_filelike(BytesIO(content)) as book:
            return [
                _rows_of_sheet(book.get_sheet_by_name(sheet.name).iter_rows())
                for sheet in book.sheets_metadata
                if sheet.visible == SheetVisibleEnum.Visible
                and sheet.typ == SheetTypeEnum.WorkSheet
            ]
    except (CalamineError, BadZipFile, OSError, ValueError) as error:
        if isinstance(error, TableError):
            raise
        raise TableError(TableFault.WORKBOOK) from None


def _rows_of_sheet(rows: Iterable[Sequence[object]]) -> list[Row]:
    found = []
    for line, cells in enumerate(rows, start=1):
        if line > MAX_ROWS:
            raise TableError(TableFault.WORKBOOK, line)
        row = Row(line, tuple(text_of(cell).strip() for cell in cells))
        if any(row.cells):
            if max(map(len, row.cells)) > MAX_CELL:
                raise TableError(TableFault.CELL, line)
            found.append(row)
    return found


def text_of(cell: object) -> str:
    """A workbook's cell as the text that a spreadsheet would show.

    Numbers have the fifteen digits that spreadsheets keep, so that what they compute as
    ``56.870000000000005`` is ``56.87``; one that has more digits is written with an exponent, which
    no reader of numbers takes.
    """
    if cell is None:
        return ""
    if isinstance(cell, datetime):
        return cell.date().isoformat() if cell.time() == time() else cell.isoformat(" ")
    if isinstance(cell, date | time):
        return cell.isoformat()
    if isinstance(cell, timedelta):
        return str(cell)
    if isinstance(cell, bool):
        return "oui" if cell else "non"
    if isinstance(cell, float):
        return f"{cell:.15g}"
    return str(cell)
