"""From lines of JSON to invoices, one line at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta

from core.plugin import (
    AmountError,
    DateError,
    InvoiceRecord,
    LineRecord,
    SourceFile,
    SourceNotice,
    SourceProblem,
    TaxKind,
    parse_amount,
    parse_day,
)
from core.plugin import gettext as _

MAX_LINE_BYTES = 1 << 16
SHOWN_CHARACTERS = 80

Found = InvoiceRecord | SourceProblem | SourceNotice


class WrongValueError(Exception):
    """A value of a line is missing or wrong; the message is in the reader's language."""

    def __init__(self, message: str, name: str, value: object = "") -> None:
        super().__init__(message)
        self.name = name
        self.value = str(value)


class JsonSource:
    """Reads invoices from JSON lines."""

    key = "json_invoices"
    label = "Factures (JSON)"

    def __init__(self, regie: str, service: str, days_to_pay: int) -> None:
        self._regie = regie
        self._service = service
        self._days_to_pay = timedelta(days=days_to_pay)

    def read(self, file: SourceFile) -> Iterator[Found]:
        """Yield an invoice, a problem or a notice for each line."""
        try:
            with file.path.open("rb") as lines:
                yield from self._lines(lines, file.name)
        except OSError:
            yield SourceProblem(_("Le fichier ne peut pas être lu."), file.name)

    def _lines(self, lines: Iterator[bytes], name: str) -> Iterator[Found]:
        number = 0
        for number, line in enumerate(_bounded(lines), start=1):
            try:
                yield self._found(_parsed(line), number, name)
            except WrongValueError as error:
                shown = error.value[:SHOWN_CHARACTERS]
                yield SourceProblem(str(error), name, number, error.name, shown)
                if error.name == "":
                    return  # What is no JSON here is none further down.
        if not number:
            yield SourceProblem(_("Ce fichier est vide."), name)

    def _found(self, said: dict[str, object], number: int, name: str) -> Found:
        lines = said.get("lines")
        if not isinstance(lines, list) or not lines:
            raise WrongValueError(_("Cette donnée manque."), "lines")
        read = tuple(_line(rank, line) for rank, line in enumerate(lines, start=1))
        amount = sum(line.amount for line in read)
        if self._service and said.get("service") != self._service:
            reason = _("Factures d’autres services")
            return SourceNotice(reason, name, number, left_out=True, amount=amount)
        if amount <= 0:
            raise WrongValueError(_("Montant attendu, comme 41,60."), "lines", amount)
        try:
            day = parse_day(_text(said, "day"))
        except DateError:
            message = _("Date attendue, comme 2026-11-03.")
            raise WrongValueError(message, "day", said["day"]) from None
        return InvoiceRecord(
            regie=self._regie,
            number=_text(said, "number"),
            family_code=_text(said, "family"),
            label=_text(said, "label"),
            amount=amount,
            issued_on=day,
            due_on=day + self._days_to_pay,
            fiscal_year=day.year,
            debtor=_text(said, "name"),
            lines=read,
            line_number=number,
        )


def _bounded(lines: Iterator[bytes]) -> Iterator[bytes]:
    """The lines of a binary file, of which none is longer than memory can bear."""
    readline = lines.readline  # type: ignore[attr-defined]
    while line := readline(MAX_LINE_BYTES):
        yield line


def _parsed(line: bytes) -> dict[str, object]:
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise WrongValueError(_("Cette ligne n’est pas un objet JSON."), "")
    return said


def _line(rank: int, said: object) -> LineRecord:
    if not isinstance(said, dict):
        raise WrongValueError(_("Cette donnée manque."), "lines")
    try:
        return LineRecord(
            rank, _text(said, "label"), TaxKind(said.get("tax", TaxKind.OTHER)),
            parse_amount(_text(said, "amount")), child=str(said.get("child", ""))[:100],
        )  # fmt: skip
    except AmountError:
        message = _("Montant attendu, comme 41,60.")
        raise WrongValueError(message, "amount", said["amount"]) from None
    except ValueError:
        message = _("Nature fiscale attendue : garde, repas ou autre.")
        raise WrongValueError(message, "tax", said["tax"]) from None


def _text(said: dict[str, object], name: str) -> str:
    value = said.get(name)
    if not isinstance(value, str) or not value.strip():
        raise WrongValueError(_("Cette donnée manque."), name)
    return value.strip()
