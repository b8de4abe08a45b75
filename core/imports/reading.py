"""What an invoice source reads: whatever else it does is its fault, and nothing is imported."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

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
)
from core.domain.dates import YEARS
from core.platform.plugins.calls import FaultError, NonsenseError, contain, report_fault


def read(
    source: InvoiceSource, file: SourceFile
) -> Iterator[InvoiceRecord | SourceProblem | SourceNotice]:
    """The records, problems and notices of a file.

    It may take its time: a file has a million lines. The caller holds no lock meanwhile.

    Raises:
        FaultError: the source raised, or gave what is neither; logged and counted.
    """
    try:
        for item in source.read(file):
            _look_at(item)
            yield item
    except PreauError:
        raise
    except (Exception, SystemExit) as error:
        report_fault(source.key, "read", error)
        raise FaultError(f"source {source.key!r} failed: {type(error).__name__}") from error


def document(source: InvoiceSource, attachment: Attachment) -> bytes:
    """The PDF that came with an invoice.

    Raises:
        FaultError: reading it failed.
    """
    return contain(source.key, "document", attachment.read, passing=(PreauError,), here=True)


def _look_at(item: object) -> None:
    """Refuse what would break the statements that follow, or the accounts after them.

    Not by `Checked`, which takes longer than reading: a file has a million lines.
    """
    if isinstance(item, SourceProblem):
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
        and all(isinstance(line, LineRecord) and type(line.amount) is int for line in item.lines)
    ):
        # Without what it holds: a log may not name a family.
        raise NonsenseError(f"gave a {type(item).__name__} that is no sound InvoiceRecord")


def _is_day(value: object) -> bool:
    return isinstance(value, date) and value.year in YEARS
