"""Items of an invoice source: anything else it does is its fault, and nothing is imported."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any, cast
from unicodedata import is_normalized, normalize

from core.api.errors import PreauError
from core.api.invoices import (
    Attachment,
    InvoiceKind,
    InvoiceRecord,
    InvoiceSource,
    LineRecord,
    SourceFile,
    SourceNotice,
    SourceProblem,
    TaxKind,
)
from core.domain.dates import YEARS
from core.platform.i18n import gettext as _
from core.platform.plugins.calls import ContractError, contain, report_fault
from core.platform.plugins.guests import HeldSource
from core.platform.plugins.rests import FaultError
from core.platform.plugins.streams import stream

SILENCE_SECONDS = 60.0
"""Seconds that a source may read without giving anything."""
MAX_PROBLEMS = 10_000
"""Problems of a file that are counted; who mends these sees the rest."""
MAX_ITEMS = 3_000_000
"""Items that a file may give: three times the largest town's year."""
PROBLEM_CHARACTERS, VALUE_CHARACTERS = 500, 100

_TEXTS = ("number", "label", "debtor", "origin_number")

Item = InvoiceRecord | SourceProblem | SourceNotice


def read(
    source: InvoiceSource, file: SourceFile, town: str, at_once_seconds: float | None = None
) -> Iterator[Item]:
    """The records, problems and notices of a file.

    It may take its time: a file has a million lines. The caller holds no lock meanwhile. A source
    of a plugin is read in a thread of its own, bounded by its silence.

    Raises:
        FaultError: the source raised, hung, or gave what is neither; logged and counted.
        NotNowError: it did not end within `at_once_seconds`, or cannot begin now.
    """
    items = _within_bounds(_items(source, file, town, at_once_seconds))
    problems = 0
    for item in items:
        if isinstance(item, SourceProblem):
            problems += 1
            if problems > MAX_PROBLEMS:
                words = _("Plus de %(limit)s problèmes : la suite du fichier n’a pas été lue.")
                yield SourceProblem(words % {"limit": MAX_PROBLEMS}, file.name)
                return
        yield item


def _within_bounds(items: Iterator[Item]) -> Iterator[Item]:
    for number, item in enumerate(items, 1):
        if number > MAX_ITEMS:
            yield SourceProblem(_("Ce fichier contient trop de factures : coupez-le en plusieurs."))
            return
        yield item


def _items(
    source: InvoiceSource, file: SourceFile, town: str, at_once_seconds: float | None
) -> Iterator[Item]:
    if isinstance(source, HeldSource) and not source.built_in:
        yield from stream(
            source.plugin,
            "read",
            lambda: map(_sound, source.read(file)),
            town=town,
            silence_seconds=SILENCE_SECONDS,
            whole_seconds=at_once_seconds,
        )
        return
    try:
        yield from map(_sound, source.read(file))
    except PreauError:
        raise
    except (Exception, SystemExit) as error:
        report_fault(source.key, "read", error)
        raise FaultError(f"source {source.key!r} failed: {type(error).__name__}") from error


def _sound(item: object) -> Item:
    """An item that is one; what is quoted of a file is shortened, accents are one letter each."""
    _look_at(item)
    if isinstance(item, InvoiceRecord):
        return composed(item)
    return quoted(item) if isinstance(item, SourceProblem) else cast("Item", item)


def quoted(problem: SourceProblem) -> SourceProblem:
    """A problem that quotes no more of the file than a page shows."""
    if len(problem.value) <= VALUE_CHARACTERS and len(problem.message) <= PROBLEM_CHARACTERS:
        return problem
    return replace(
        problem,
        value=problem.value[:VALUE_CHARACTERS],
        message=problem.message[:PROBLEM_CHARACTERS],
    )


def composed(record: InvoiceRecord) -> InvoiceRecord:
    """The same record in NFC: a Macintosh writes ``é`` as two characters, and others compare it."""
    texts = {name: value for name in _TEXTS if not is_composed(value := getattr(record, name))}
    changes: dict[str, Any] = {name: normalize("NFC", value) for name, value in texts.items()}
    if not all(map(is_composed, record.address)):
        changes["address"] = tuple(normalize("NFC", line) for line in record.address)
    if not all(is_composed(line.child) and is_composed(line.activity) for line in record.lines):
        changes["lines"] = tuple(
            replace(
                line,
                child=normalize("NFC", line.child),
                activity=normalize("NFC", line.activity),
            )
            for line in record.lines
        )
    return replace(record, **changes) if changes else record


def is_composed(text: str) -> bool:
    """True if `text` is in NFC."""
    return text.isascii() or is_normalized("NFC", text)


def document(source: InvoiceSource, attachment: Attachment) -> bytes:
    """The PDF that came with an invoice.

    Raises:
        FaultError: reading it failed.
    """

    def checked() -> bytes:
        content = attachment.read()
        if not isinstance(content, bytes):
            raise ContractError(f"gave a {type(content).__name__} for a document")
        return content

    return contain(source.key, "document", checked, passing=(PreauError,), here=True)


def _look_at(item: object) -> None:
    """Refuse what would break the statements that follow, or the accounts after them.

    Not by `Checked`, which takes longer than reading: a file has a million lines.
    """
    if isinstance(item, SourceProblem):
        texts = (item.message, item.file, item.column, item.value)
        if all(isinstance(text, str) for text in texts) and type(item.line) is int:
            return
    if isinstance(item, SourceNotice) and type(item.amount) is int:
        return
    if not (
        isinstance(item, InvoiceRecord)
        and type(item.amount) is int
        and type(item.fiscal_year) is int
        and isinstance(item.kind, InvoiceKind)
        and item.fiscal_year in YEARS
        and _is_day(item.issued_on)
        and _is_day(item.due_on)
        and (item.period_start is None or _is_day(item.period_start))
        and (item.period_end is None or _is_day(item.period_end))
        and isinstance(item.regie, str)
        and isinstance(item.number, str)
        and isinstance(item.family_code, str)
        and isinstance(item.label, str)
        and isinstance(item.payment_reference, str)
        and isinstance(item.debtor, str)
        and isinstance(item.origin_number, str)
        and isinstance(item.address, tuple)
        and all(isinstance(line, str) for line in item.address)
        and type(item.direct_debit) is bool
        and type(item.line_number) is int
        and (item.document is None or isinstance(item.document, Attachment))
        and isinstance(item.lines, tuple)
        and all(map(_is_line, item.lines))
    ):
        # Without what it holds: a log may not name a family.
        raise ContractError(f"gave a {type(item).__name__} that is no sound InvoiceRecord")


def _is_line(line: object) -> bool:
    return (
        isinstance(line, LineRecord)
        and type(line.amount) is int
        and type(line.rank) is int
        and 0 <= line.rank < MAX_ITEMS
        and isinstance(line.activity, str)
        and isinstance(line.tax_kind, TaxKind)
        and isinstance(line.child, str)
        and (line.quantity is None or isinstance(line.quantity, Decimal))
        and (line.unit_price is None or type(line.unit_price) is int)
    )


def _is_day(value: object) -> bool:
    return isinstance(value, date) and value.year in YEARS
