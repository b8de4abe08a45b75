"""Invoices from the portal's own CSV format (CHEQUES_AND_FORMATS 2.8; docs/import-format.md)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import chain
from operator import itemgetter

from core.api.context import RegieInfo, TenantContext
from core.api.invoices import (
    InvoiceRecord,
    InvoiceSource,
    LineRecord,
    SourceFile,
    SourceProblem,
)
from core.api.plugin import Plugin, PluginSettings, hookimpl
from core.domain.money import decimal_text
from core.imports.format import fields
from core.imports.format.bundle import LINES, READ_ERRORS, Bundle, open_bundle
from core.imports.format.columns import FLAT, INVOICE, LINE, LINE_AMOUNT, kind_of
from core.imports.format.records import (
    INVOICE_READERS,
    LINE_READERS,
    MAX_LINES,
    Cells,
    Readers,
    Reading,
    invoice_record,
    line_record,
)
from core.imports.format.scratch import Scratch
from core.platform.i18n import gettext as _
from core.platform.tabular.problems import RefusedError, problem, shown
from core.platform.tabular.sheet import Row, Sheet


class CsvSource:
    """Reads one CSV table, or a zip or folder of ``factures.csv``, ``lignes.csv`` and PDFs.

    With `regies`, a cash desk that is not among them is refused; without, any is taken as given.
    Memory stays flat whatever the size of the file: what has to be compared lies in a `Scratch`.
    """

    key = "csv"
    label = "CSV"

    def __init__(self, regies: Sequence[RegieInfo] = ()) -> None:
        self._regie = fields.regie(regies)

    def read(self, file: SourceFile) -> Iterator[InvoiceRecord | SourceProblem]:
        """Yield the invoices of `file` and its problems, each with what was expected."""
        with ExitStack() as stack:
            try:
                bundle = open_bundle(file)
                stack.callback(bundle.close)
                scratch = stack.enter_context(Scratch())
                yield from _Import(bundle, scratch, {"regie": self._regie}).run()
            except RefusedError as refused:
                yield from refused.problems
            except READ_ERRORS:
                yield problem(_("Ce fichier est illisible ou abîmé."), file.name)


_TOTAL = re.compile(r"\W*(sous[- _]?)?tota(l|ux)(?![^\W\d_])", re.IGNORECASE)
_NAMES_ONE = ("code_famille", "date_facture", "date_echeance")


@dataclass(slots=True)
class _Draft:
    """One invoice as far as its rows were read. `whole`: none of them was lost."""

    cells: Cells
    key: tuple[str, str]
    lines: list[LineRecord] = field(default_factory=list)
    whole: bool = True
    problems: list[SourceProblem] = field(default_factory=list)


class _Import:
    """One reading of one file."""

    def __init__(self, bundle: Bundle, scratch: Scratch, regie: Readers) -> None:
        self._bundle = bundle
        self._scratch = scratch
        self._regie = regie
        self._invoice_readers = {**regie, **INVOICE_READERS}
        self._lost_lines = self._lost_invoices = False

    def run(self) -> Iterator[InvoiceRecord | SourceProblem]:
        invoices = Sheet(*self._bundle.invoices, kind_of)
        flat = kind_of(invoices.header) is FLAT
        if self._bundle.lines is not None:
            if flat:
                message = _("Le détail des lignes est déjà dans %(name)s.")
                raise RefusedError(problem(message % {"name": invoices.name}, LINES))
            yield from self._keep_lines(Sheet(*self._bundle.lines, lambda _header: LINE))
        empty = True
        for draft in self._flat(invoices) if flat else self._plain(invoices):
            empty = False
            if isinstance(draft, SourceProblem):
                self._lost_invoices = True
                yield draft
            else:
                yield from self._finish(draft)
        if empty:
            raise RefusedError(problem(_("Ce fichier ne contient aucune facture."), invoices.name))
        yield from self._left_over()

    def _keep_lines(self, sheet: Sheet) -> Iterator[SourceProblem]:
        """Put ``lignes.csv`` aside; its order need not be that of the invoices."""
        own = {"numero": fields.reference, "montant": fields.money}
        reading = Reading(sheet, {**self._regie, **own, **LINE_READERS}, LINE)
        for row in sheet.rows():
            if isinstance(row, SourceProblem):
                self._lost_lines = True
                yield row
                continue
            cells = reading.read(row)
            record = line_record(cells, "montant")
            if "numero" in cells.values:
                regie, number = cells.values.get("regie", ""), cells.values["numero"]
                self._scratch.add_line(regie, number, row.line, record)
            else:
                self._lost_lines = True
            yield from cells.problems

    def _plain(self, sheet: Sheet) -> Iterator[_Draft | SourceProblem]:
        """One row an invoice; its lines, if any, were put aside."""
        reading = Reading(sheet, self._invoice_readers, INVOICE)
        total: int | None = 0
        above: Cells | None = None
        count = 0
        for row in sheet.rows():
            if isinstance(row, SourceProblem):
                total = None
                yield row
                continue
            cells = reading.read(row)
            if is_total(row):
                if not count:
                    above = cells  # Of all that follows.
                elif problem_ := _wrong_total(cells, total):
                    yield problem_
                continue
            count += 1
            total = None if total is None or cells.problems else total + cells.values["montant"]
            regie, number = cells.values.get("regie", ""), cells.values.get("numero", "")
            draft = _Draft(cells, (regie, number))
            if self._bundle.lines is not None:
                kept = self._scratch.lines(regie, number)
                draft.lines = [line for line in kept if line is not None]
                draft.whole = not self._lost_lines and len(draft.lines) == len(kept)
                if draft.whole and not kept and number:
                    cells.refuse(_("Aucune ligne de %(name)s.") % {"name": LINES}, "numero")
                if len(kept) > MAX_LINES:
                    cells.refuse(_too_many_lines(), "numero")
            yield draft
        if above is not None and (problem_ := _wrong_total(above, total)):
            yield problem_

    def _flat(self, sheet: Sheet) -> Iterator[_Draft | SourceProblem]:
        """One row a line; rows of one invoice follow one another."""
        draft: _Draft | None = None
        invoices = Reading(sheet, self._invoice_readers, FLAT)
        lines = Reading(sheet, {LINE_AMOUNT: fields.money, **LINE_READERS}, FLAT)
        key_of = itemgetter(sheet.header.index("regie"), sheet.header.index("numero"))
        shared = [position for position, name in enumerate(sheet.header) if name in INVOICE.all]
        shared_of = itemgetter(*shared)
        before: tuple[str, ...] = ()
        for row in sheet.rows():
            if isinstance(row, Row) and is_total(row):
                continue  # Its two amounts may be those of lines or of invoices.
            if isinstance(row, SourceProblem):
                if draft is not None:
                    draft.whole = False
                yield row
                continue
            key = key_of(row.cells)
            if draft is None or draft.key != key:
                if draft is not None:
                    yield draft
                draft = _Draft(invoices.read(row), key)
                before = shared_of(row.cells)
            elif shared_of(row.cells) != before:
                _check_repeated(draft, sheet.name, row, shared)
            cells = lines.read(row)
            record = line_record(cells, LINE_AMOUNT)
            if record is None:
                draft.whole = False
                draft.problems.extend(cells.problems)
            elif len(draft.lines) < MAX_LINES:
                draft.lines.append(record)
            elif draft.whole:
                draft.whole = False
                draft.cells.refuse(_too_many_lines(), "numero")
        if draft is not None:
            yield draft

    def _finish(self, draft: _Draft) -> Iterator[InvoiceRecord | SourceProblem]:
        cells = draft.cells
        regie, number = cells.values.get("regie"), cells.values.get("numero")
        if not (regie and number):
            self._lost_invoices = True
        elif self._bundle.lines is not None:
            self._scratch.add_invoice(regie, number)
        lines = draft.lines if draft.whole else None
        record = invoice_record(cells, lines, self._bundle, self._scratch)
        if record is not None and not draft.problems:
            yield record
        yield from sorted(chain(cells.problems, draft.problems), key=lambda found: found.line)

    def _left_over(self) -> Iterator[SourceProblem]:
        orphan = _("Aucune facture de ce numéro.")
        # An invoice that was refused may be the one that a line is looking for.
        for line, number in () if self._lost_invoices else self._scratch.orphans():
            yield problem(orphan, LINES, line, "numero", number)
        ambiguous = _("Deux régies ont une facture de ce numéro : ajoutez la colonne « regie ».")
        for line, number in self._scratch.ambiguous():
            yield problem(ambiguous, LINES, line, "numero", number)
        yield from self._bundle.left_over()


def _check_repeated(draft: _Draft, file: str, row: Row, shared: Sequence[int]) -> None:
    """An invoice's own columns say the same on each of its rows, or nothing."""
    first = draft.cells.row
    for position in shared:
        value = row.cells[position]
        if value and value != first.cells[position]:
            message = _("La ligne %(line)s de la même facture dit « %(value)s ».") % {
                "line": first.line,
                "value": shown(first.cells[position]),
            }
            draft.problems.append(problem(message, file, row.line, row.header[position], value))


def is_total(row: Row) -> bool:
    """True if a row gives the total of the others: no family, no day, and the word for it.

    Where the number stands, it may count them: « 12 factures ».
    """
    return not any(row.get(name) for name in _NAMES_ONE) and any(map(_TOTAL.match, row.cells))


def _wrong_total(cells: Cells, expected: int | None) -> SourceProblem | None:
    """Problem of a line of totals, or None; None too where a row above it could not be read."""
    said = cells.values.get("montant")
    if said is None or expected is None or said == expected or not _is_grand_total(cells.row):
        return None
    message = _("Cette ligne de total ne correspond pas aux factures du fichier : %(total)s.")
    return problem(
        message % {"total": decimal_text(expected)}, cells.file, cells.row.line, "montant",
        cells.row.get("montant"),
    )  # fmt: skip


def _is_grand_total(row: Row) -> bool:
    return not any(cell.casefold().startswith("sous") for cell in row.cells)


def _too_many_lines() -> str:
    return _("Plus de %(limit)s lignes pour une facture.") % {"limit": MAX_LINES}


class CsvSettings(PluginSettings):
    """The CSV source has nothing to set."""


class CsvPlugin(Plugin[CsvSettings]):
    """The portal's own invoice format, in every town."""

    name = "csv"
    label = "CSV"
    Settings = CsvSettings
    built_in = True

    @hookimpl
    def invoice_sources(self, ctx: TenantContext) -> Sequence[InvoiceSource]:
        """The CSV source, knowing the town's régies."""
        return [CsvSource(ctx.town.regies)]


plugin = CsvPlugin()
