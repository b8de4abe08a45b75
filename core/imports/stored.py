"""The columns of an invoice and of its lines: one list, from which all that stores them is made.

Staging, COPY, merging, undoing and correcting name their columns from here. A column that is added
to the tables has to be listed, or named as one that no import writes; a test holds that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from core.api.invoices import InvoiceRecord, LineRecord
from core.domain import access_codes


class Column(NamedTuple):
    """A column as an import brings it."""

    name: str
    sql: str
    """Its type in the staging table."""
    value: Callable[..., Any]
    """Of a record what goes into it."""


class Staged(NamedTuple):
    """An invoice on its way into the staging table."""

    record: InvoiceRecord
    document_id: int | None
    content_hash: str
    former_hashes: list[str]
    """The fingerprints that it had under its former numbers."""
    spelling: str | None
    """The family's code as it was written; None where nobody wrote it."""


def _of(name: str) -> Callable[[Staged], Any]:
    return lambda staged: getattr(staged.record, name)


INVOICE: Final = (
    Column("regie", "text", _of("regie")),
    Column("number", "text", _of("number")),
    Column("payment_reference", "text", _of("payment_reference")),
    Column("fiscal_year", "int", _of("fiscal_year")),
    Column("label", "text", _of("label")),
    Column("kind", "text", lambda staged: str(staged.record.kind)),
    Column("origin_number", "text", _of("origin_number")),
    Column("piece_keys", "text[]", lambda staged: list(staged.record.piece_keys)),
    Column("refers_to", "text[]", lambda staged: list(staged.record.refers_to)),
    Column("relation", "text", lambda staged: str(staged.record.relation)),
    Column("amount", "bigint", _of("amount")),
    Column("issued_on", "date", _of("issued_on")),
    Column("due_on", "date", _of("due_on")),
    Column("period_start", "date", _of("period_start")),
    Column("period_end", "date", _of("period_end")),
    Column("direct_debit", "boolean", _of("direct_debit")),
    Column("document_id", "bigint", lambda staged: staged.document_id),
    Column("content_hash", "text", lambda staged: staged.content_hash),
)
"""Columns that an import brings to the table ``invoice``."""

KEYS: Final = ("regie", "number")
"""By these an invoice is known again; an import never changes them."""

KEPT: Final = tuple(column.name for column in INVOICE if column.name not in KEYS)
"""Columns of an invoice that an import may change, and its undoing brings back."""

STATED: Final = tuple(name for name in KEPT if name not in {"document_id", "content_hash"})
"""Columns that an invoice states, under the names of `InvoiceRecord`."""

NOT_IMPORTED: Final = frozenset(
    {"tenant_id", "id", "family_id", "batch_id", "paid", "credited", "state", "published_at",
     "closes_on", "debit_on", "debit_rejected_on"}
)  # fmt: skip
"""Columns of ``invoice`` that statements of imports set by themselves, or never."""

FAMILY: Final = (
    Column("family_code", "text", lambda s: access_codes.normalise(s.record.family_code)),
    Column("family_spelling", "text", lambda staged: staged.spelling),
    Column("debtor", "text", _of("debtor")),
    Column("address", "text[]", lambda staged: list(staged.record.address)),
    Column("line_number", "int", _of("line_number")),
    Column("former_numbers", "text[]", lambda staged: list(staged.record.former_numbers)),
    Column("former_hashes", "text[]", lambda staged: staged.former_hashes),
)
"""Other staged columns: of the family, for the report, and to find a known invoice."""

LINE: Final = (
    Column("rank", "int", lambda line: line.rank),
    Column("activity", "text", lambda line: line.activity),
    Column("tax_kind", "text", lambda line: str(line.tax_kind)),
    Column("quantity", "numeric", lambda line: line.quantity),
    Column("unit_price", "bigint", lambda line: line.unit_price),
    Column("amount", "bigint", lambda line: line.amount),
)
"""Columns that an import brings to the table ``invoice_line``, beside the child."""

LINE_NOT_IMPORTED: Final = frozenset({"tenant_id", "id", "invoice_id", "child_id"})

STAGED_INVOICE: Final = (*INVOICE, *FAMILY)
STAGED_LINE: Final = tuple(column.name for column in LINE)


def invoice_row(staged: Staged) -> tuple[Any, ...]:
    """The row of ``staged_invoice``, in the order of `STAGED_INVOICE`."""
    return tuple(column.value(staged) for column in STAGED_INVOICE)


def line_row(line: LineRecord) -> tuple[Any, ...]:
    """The part of a row of ``staged_line`` that the line itself says, in the order of `LINE`."""
    return tuple(column.value(line) for column in LINE)


def names() -> dict[str, str]:
    """Lists of columns that the statements below ``sql`` name in braces."""
    lines = [column.name for column in LINE]
    return {
        "staged_invoice": _list(f"{column.name} {column.sql}" for column in STAGED_INVOICE),
        "staged_line": _list(f"{column.name} {column.sql}" for column in LINE),
        "invoice": _list(column.name for column in INVOICE),
        "s.invoice": _list(f"s.{column.name}" for column in INVOICE),
        "kept": _list(KEPT),
        "kept = s.kept": _list(f"{name} = s.{name}" for name in KEPT if name != "piece_keys"),
        "o.kept": _list(f"o.{name}" for name in KEPT),
        "line": _list(lines),
        "l.line": _list(f"l.{name}" for name in lines),
        "o.line": _list(f"o.{name}" for name in lines),
    }


def _list(parts: Any) -> str:
    return ", ".join(parts)
