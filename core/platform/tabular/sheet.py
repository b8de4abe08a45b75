"""One CSV table: its separator, its header, and its rows by column name."""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import StringIO
from itertools import islice

from core.api.invoices import SourceProblem
from core.platform.i18n import gettext as _
from core.platform.tabular.decoding import MAX_LINE, Opener, encoding_of, numbered_lines
from core.platform.tabular.header import (
    Columns,
    another_program,
    header_problems,
    normalise,
)
from core.platform.tabular.problems import RefusedError, problem

SEPARATORS = ";,\t|"

HEADER_LINES = 60
"""Lines among which the titles stand: above them a list has its own title, a date, a town."""
MAX_LINES_OF_ROW = 20
"""Lines that one row may take, its cells written over several."""

_UTF8_TAILS = "".join(
    {chr(byte) for byte in range(0x80, 0xC0)}
    | {bytes([byte]).decode("cp1252", "ignore") for byte in range(0x80, 0xC0)}
)
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]"
)
_TRACE = re.compile("[ÃÂâ‚†‡ˆŽ\ufffd]")
"""Characters of which each match of `_GARBLED` holds one; looked for first: that is much faster."""
_GARBLED = re.compile(
    # UTF-8 read as Windows-1252 (é becomes Ã©), then DOS and Macintosh read so (é becomes ‚, Ž).
    f"Ã[{re.escape(_UTF8_TAILS)}]|Â[\xa0-\xbf]|â€|[^\\W\\d_][‚†‡ˆ]|[‚†‡ˆ][^\\W\\d_]|[a-z]Ž|[^\\W\\d_]Ž(?=[a-z])|\ufffd"
)


@dataclass(slots=True)
class Row:
    """A row: where it stands, and its cells in the order of `header`, without spaces around."""

    line: int
    cells: list[str]
    header: tuple[str, ...]

    def get(self, column: str) -> str:
        """The cell of `column`; "" if it is empty or the table has no such column."""
        return self.cells[self.header.index(column)] if column in self.header else ""


class Sheet:
    """One table of the format, read as it is asked for.

    Raises:
        RefusedError: when it is made, if encoding, separator or header make no sense; while rows
            are read, if the rest of the file cannot be.
    """

    def __init__(
        self, name: str, opener: Opener, choose: Callable[[Sequence[str]], Columns]
    ) -> None:
        self.name = name
        self._opener = opener
        self._encoding = encoding_of(name, opener)
        self._header_cells: list[str] | None = None
        self._header_line, self._separator, self.header = self._read_header(choose)

    def _lines(self) -> Iterator[tuple[int, str]]:
        return numbered_lines(self.name, self._opener, self._encoding)

    def _read_header(
        self, choose: Callable[[Sequence[str]], Columns]
    ) -> tuple[int, str, tuple[str, ...]]:
        best: tuple[int, str, tuple[str, ...], str] | None = None
        most, first = 0, (0, "")
        for number, line in islice(self._lines(), HEADER_LINES):
            # Excel writes "sep=;" on a first line of its own.
            if not line.strip(" \t;,\xa0") or line.lower().startswith("sep="):
                continue
            first = first if first[0] else (number, line)
            header, separator = _split_header(line, choose)
            known = len(set(header) & set(choose(header).all))
            if known > most:
                most, best = known, (number, separator, header, line)
        if not first[0]:
            raise RefusedError(problem(_("Ce fichier est vide."), self.name))
        if broken := self._broken(*((best[0], best[3]) if best else first)):
            raise RefusedError(broken)
        if best is None:
            message = _(
                "En-tête attendu en première ligne, séparé par des points-virgules : %(names)s."
            )
            names = ";".join(choose(()).required)
            said = f"{message % {'names': names}} {another_program()}"
            raise RefusedError(problem(said, self.name, first[0], value=first[1]))
        number, separator, header, line = best
        problems = header_problems(header, choose(header), self.name, number)
        if problems:
            raise RefusedError(*problems)
        self._header_cells = _split(line, separator)
        return number, separator, header

    def rows(self) -> Iterator[Row | SourceProblem]:
        """The rows below the header, blank ones left out; a problem for each that is damaged."""
        waiting: deque[tuple[int, str]] = deque()
        lines = self._lines()
        while True:
            number, line = waiting.popleft() if waiting else next(lines, (0, ""))
            if not number:
                return
            if number <= self._header_line:
                continue
            broken = self._broken(number, line)
            if broken:
                yield broken
                continue
            cells = _split(line, self._separator)
            if cells is None:
                cells = self._split_over_lines(line, lines, waiting)
            if cells is None:
                message = _(
                    "Guillemets mal fermés : une cellule commence et finit par un guillemet, et "
                    "double ses guillemets intérieurs."
                )
                yield problem(message, self.name, number, value=line)
            elif any(cells) and cells != self._header_cells:  # Printed again on each page.
                yield self._row(number, cells)

    def _split_over_lines(
        self, line: str, lines: Iterator[tuple[int, str]], waiting: deque[tuple[int, str]]
    ) -> list[str] | None:
        """The cells of a row one of which goes on in the lines that follow; None if none does so.

        An open quote costs its own row and not the rest of the file: unless the lines end with as
        many cells as the header has, they are given back to `waiting`, to be read for themselves.
        """
        taken: list[tuple[int, str]] = []
        while line.count('"') % 2 and len(taken) < MAX_LINES_OF_ROW and len(line) < MAX_LINE:
            number, more = waiting.popleft() if waiting else next(lines, (0, ""))
            if not number:
                break
            taken.append((number, more))
            if self._broken(number, more):
                break
            line += f"\n{more}"
        cells = _split(line, self._separator)
        if taken and cells is not None and len(cells) == len(self.header):
            return cells
        waiting.extendleft(reversed(taken))
        return None

    def _row(self, number: int, cells: list[str]) -> Row | SourceProblem:
        header = self.header
        # Not even empty cells too many: they may be the trace of a value that was cut in two.
        if len(cells) != len(header):
            message = _(
                "%(found)s cellules au lieu de %(wanted)s. Une valeur qui contient le "
                "séparateur s’écrit entre guillemets."
            ) % {"found": len(cells), "wanted": len(header)}
            return problem(message, self.name, number, value=self._separator.join(cells))
        if "" in header:
            stray = next((c for h, c in zip(header, cells, strict=True) if c and not h), "")
            if stray:
                message = _("Cette valeur est dans une colonne sans titre.")
                return problem(message, self.name, number, value=stray)
        return Row(number, cells, header)

    def _broken(self, number: int, line: str) -> SourceProblem | None:
        # isprintable is C code and true of nearly every line; it is false of no-break spaces too.
        if not line.isprintable() and _INVISIBLE.search(line):
            return problem(
                _("Caractère invisible ou de commande : le fichier est abîmé."),
                self.name,
                number,
                value=line,
            )
        garbled = _TRACE.search(line) and _GARBLED.search(line)
        if garbled:
            return problem(
                _(
                    "Lettres accentuées abîmées : le fichier mélange des encodages. "
                    "Enregistrez-le en « CSV UTF-8 »."
                ),
                self.name,
                number,
                value=line[max(garbled.start() - 15, 0) : garbled.end() + 15],
            )
        return None


def _split(line: str, separator: str) -> list[str] | None:
    if '"' not in line:  # What csv.reader would do, without making one for each line.
        return [cell.strip() for cell in line.split(separator)]
    try:
        cells = next(csv.reader(StringIO(line, newline=""), delimiter=separator, strict=True), [])
    except csv.Error:
        return None
    return [cell.strip() for cell in cells]


def _split_header(
    line: str, choose: Callable[[Sequence[str]], Columns]
) -> tuple[tuple[str, ...], str]:
    """The header as the separator reads it that gives most known names."""

    def known(candidate: tuple[tuple[str, ...], str]) -> int:
        header = candidate[0]
        return len(set(header) & set(choose(header).all))

    return max(
        (
            (tuple(normalise(cell) for cell in _split(line, separator) or ()), separator)
            for separator in SEPARATORS
        ),
        key=known,
    )
