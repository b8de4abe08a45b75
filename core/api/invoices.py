"""Invoices as a source reads them from a file, before they are stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Protocol


class TaxKind(StrEnum):
    """Kind of a line for the income tax (CGI art. 200 quater B): only care earns the credit."""

    CARE = "garde"
    MEAL = "repas"
    OTHER = "autre"


class InvoiceKind(StrEnum):
    """An invoice asks for money; a credit note (*avoir*) takes some of it back."""

    INVOICE = "facture"
    CREDIT_NOTE = "avoir"


class Relation(StrEnum):
    """Relation of an invoice to the earlier piece that it refers to."""

    NONE = ""
    REPLACES = "replaces"
    """It is asked for in place of it: both must not be paid."""
    COMPLETES = "completes"
    """It is asked for beside it."""


@dataclass(frozen=True, slots=True)
class LineRecord:
    """One line of an invoice. `amount` and `unit_price` are cents; the child is a key or a name."""

    rank: int
    activity: str
    tax_kind: TaxKind
    amount: int
    child: str = ""
    quantity: Decimal | None = None
    unit_price: int | None = None


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that came with the invoices; `read` loads it only when it is wanted."""

    name: str
    read: Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class InvoiceRecord:
    """One invoice as its issuer states it (CHEQUES_AND_FORMATS 2.8). `amount` is in cents.

    `number` and `payment_reference` are kept as given: neither is ever derived from the other.
    """

    regie: str
    number: str
    family_code: str
    label: str
    amount: int
    issued_on: date
    due_on: date
    fiscal_year: int
    payment_reference: str = ""
    debtor: str = ""
    address: tuple[str, ...] = ()
    period_start: date | None = None
    period_end: date | None = None
    direct_debit: bool = False
    kind: InvoiceKind = InvoiceKind.INVOICE
    origin_number: str = ""
    """The invoice of the same régie that a credit note corrects; it then owes that much less."""
    document: Attachment | None = None
    lines: tuple[LineRecord, ...] = field(default=())
    line_number: int = 0
    """Line of the record in its file, 1-based; 0 when the format has no lines."""
    piece_keys: tuple[str, ...] = ()
    """Names by which later files of the issuer may refer to this invoice, where they are other than
    its number. They need not be unique: what a name stands for is looked for in the same régie and
    family, and more than one answer is none."""
    refers_to: tuple[str, ...] = ()
    """Such names of the earlier piece that this one corrects, replaces or completes: the first must
    be one of its, the others help where several have it. A credit note that says `origin_number`
    needs none."""
    relation: Relation = Relation.NONE
    """Relation of the invoice to the piece that it refers to; a credit note always corrects it."""
    former_numbers: tuple[str, ...] = ()
    """Numbers that earlier versions of the source gave this very invoice. One that is stored under
    such a number, for the same family, *exercice* and day of issue, keeps it."""


@dataclass(frozen=True, slots=True)
class SourceProblem:
    """Reason why a part of a file was refused, in words that let its author correct it.

    `message` is in the reader's language; `line` and `column` say where (0 and "" when the whole
    file is meant), `value` is what stood there, shortened.
    """

    message: str
    file: str = ""
    line: int = 0
    column: str = ""
    value: str = ""


@dataclass(frozen=True, slots=True)
class SourceNotice:
    """A fact about a file that an agent must know, and that does not stop its import.

    With `left_out`, a part of the file was passed over on purpose and `amount` is what it comes to,
    in cents: such notices are counted and added up by `message`, which therefore names the reason
    and nothing of the part. The other fields are those of a `SourceProblem`.
    """

    message: str
    file: str = ""
    line: int = 0
    column: str = ""
    value: str = ""
    left_out: bool = False
    amount: int = 0


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file to import: where it lies, what it was called, and how large it is, in bytes."""

    path: Path
    name: str
    size: int


class InvoiceSource(Protocol):
    """Reads one format of invoice file.

    `read` is lazy, does not keep the whole file in memory, never guesses an amount, and yields a
    `SourceProblem` in place of every record it cannot read; it raises nothing for bad content. A
    record that is not meant for the town's régies is passed over with a `SourceNotice`.
    """

    key: str
    label: str

    def read(self, file: SourceFile) -> Iterator[InvoiceRecord | SourceProblem | SourceNotice]:
        """Yield the records of `file` in its order, its problems and notices where they occur."""
        ...
