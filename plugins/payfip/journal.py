"""PayFiP's journal against Préau's records: what the two tell differently.

Pure: reading gives lines and problems, comparing gives differences; nobody is paid by it.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

from core.plugin import AmountError, SourceProblem, parse_amount
from core.plugin import gettext as _
from plugins.payfip import fields

PAID = frozenset({"P", "V"})
_WORDS = {
    "P": "P", "PAYE": "P", "PAYEE": "P", "ACCEPTE": "P", "ACCEPTEE": "P", "CB": "P",
    "V": "V", "PRELEVEMENT": "V", "VIREMENT": "V",
    "R": "R", "REFUSE": "R", "REFUSEE": "R",
    "Z": "Z",
    "A": "A", "ANNULE": "A", "ANNULEE": "A", "ABANDON": "A",
}  # fmt: skip
_COLUMNS = {
    "date": ("date", "dattrans", "datedetransaction", "datepaiement", "dateoperation"),
    "refdet": ("refdet", "reference", "referencedette", "referencedeladette"),
    "amount": ("montant", "amount", "montantregle"),
    "result": ("resultat", "resultrans", "result", "statut", "etat"),
    "authorisation": (
        "numauto", "autorisation", "authorisation", "noautorisation", "nautorisation",
        "numeroautorisation", "ndautorisation", "numerodautorisation",
    ),
}  # fmt: skip
_REQUIRED = ("date", "refdet", "amount", "result")
_DATES = ("%d/%m/%Y", "%Y-%m-%d", "%d%m%Y", "%d/%m/%Y %H:%M", "%d/%m/%Y %H:%M:%S")


@dataclass(frozen=True, slots=True)
class JournalLine:
    """One line of PayFiP's journal. `amount` is in cents; `line` is where it stands, 1-based."""

    on: date
    refdet: str
    amount: int
    result: str
    authorisation: str = ""
    line: int = 0

    @property
    def paid(self) -> bool:
        """True if this line counts as money paid."""
        return self.result in PAID


@dataclass(frozen=True, slots=True)
class OurPayment:
    """A payment as Préau knows it. `settled` tells that it is in force now."""

    payment_id: int
    refdet: str
    amount: int
    settled: bool
    authorisation: str = ""
    on: date | None = None
    """Day of the payment, or of the request when nothing was paid."""
    reversed: bool = False
    """It was settled and then taken back."""


@dataclass(frozen=True, slots=True)
class Journal:
    """A journal that was read: its lines, and what could not be read of it."""

    lines: tuple[JournalLine, ...] = ()
    problems: tuple[SourceProblem, ...] = ()


class DifferenceKind(StrEnum):
    """Kinds of difference between the journal and Préau, gravest first."""

    PAID_NOT_HERE = "paid_not_here"
    """PayFiP has the money, Préau knows the reference but has not settled it."""
    UNKNOWN_HERE = "unknown_here"
    """PayFiP has the money for a reference that Préau does not know."""
    SETTLED_NOT_THERE = "settled_not_there"
    """Préau settled what the journal does not show as paid."""
    AMOUNT = "amount"
    AUTHORISATION = "authorisation"
    PAID_TWICE = "paid_twice"
    """PayFiP took the money more often than Préau settled it."""
    REVERSED_HERE = "reversed_here"
    """Préau took the payment back, the journal still has it: a refund to make, a returned debit."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference, with what each side says."""

    kind: DifferenceKind
    refdet: str
    line: JournalLine | None = None
    payment: OurPayment | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Result of a comparison. `agreed` counts the payments that both sides report alike."""

    agreed: int = 0
    agreed_amount: int = 0
    differences: tuple[Difference, ...] = field(default=())


def read(content: bytes, name: str = "") -> Journal:
    """Read a journal: CSV with a header, UTF-8 or Windows-1252, ``;`` ``,`` or tabs.

    A line that cannot be read becomes a problem with its number and column; no amount is guessed.
    """
    text = _decode(content)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text))
    lines: list[JournalLine] = []
    problems: list[SourceProblem] = []
    columns: dict[str, int] = {}
    try:
        for row in rows:
            if not any(cell.strip() for cell in row):
                continue
            if not columns:
                # A title or a period may stand above the header.
                columns = _header(row)
                continue
            parsed = _line(row, columns, rows.line_num, name)
            if isinstance(parsed, JournalLine):
                lines.append(parsed)
            else:
                problems.append(parsed)
    except csv.Error as error:
        problems.append(SourceProblem(str(error), file=name, line=rows.line_num))
    if not columns:
        wanted = ", ".join(_COLUMNS[key][0] for key in _REQUIRED)
        problems.append(SourceProblem(_("Aucune ligne de titres avec : %s.") % wanted, file=name))
    return Journal(tuple(lines), tuple(problems))


def compare(lines: Iterable[JournalLine], payments: Sequence[OurPayment]) -> Comparison:
    """Compare a journal with Préau's payments of the same régie and period.

    Lines and payments meet by reference; under one reference by authorisation number first, then
    by amount, then by what is left, so that a doubled payment shows as exactly one difference.
    """
    theirs: defaultdict[str, list[JournalLine]] = defaultdict(list)
    ours: defaultdict[str, list[OurPayment]] = defaultdict(list)
    for line in lines:
        if line.paid:
            theirs[_key(line.refdet)].append(line)
    for payment in payments:
        ours[_key(payment.refdet)].append(payment)

    agreed: list[OurPayment] = []
    found: list[Difference] = []
    for reference in sorted({*theirs, *ours}):
        _compare_one(theirs[reference], ours[reference], agreed, found)
    order = list(DifferenceKind)
    found.sort(key=lambda one: (order.index(one.kind), one.refdet))
    return Comparison(len(agreed), sum(payment.amount for payment in agreed), tuple(found))


def _compare_one(
    lines: list[JournalLine],
    payments: list[OurPayment],
    agreed: list[OurPayment],
    found: list[Difference],
) -> None:
    settled = [payment for payment in payments if payment.settled]
    for line, payment in _pairs(lines, settled):
        if line.amount != payment.amount:
            found.append(Difference(DifferenceKind.AMOUNT, line.refdet, line, payment))
        elif line.authorisation and payment.authorisation not in {"", line.authorisation}:
            found.append(Difference(DifferenceKind.AUTHORISATION, line.refdet, line, payment))
        else:
            agreed.append(payment)
    found.extend(
        Difference(DifferenceKind.SETTLED_NOT_THERE, payment.refdet, payment=payment)
        for payment in settled
    )
    reversed_here = [payment for payment in payments if payment.reversed]
    for line, payment in _pairs(lines, reversed_here):
        found.append(Difference(DifferenceKind.REVERSED_HERE, line.refdet, line, payment))
    unsettled = [one for one in payments if not one.settled and not one.reversed]
    known = bool(payments)
    doubled = any(payment.settled for payment in payments)
    for line in lines:
        match = next((one for one in unsettled if one.amount == line.amount), None)
        if match is not None:
            unsettled.remove(match)
            kind = DifferenceKind.PAID_NOT_HERE
        elif doubled:
            kind = DifferenceKind.PAID_TWICE
        elif known:
            kind = DifferenceKind.PAID_NOT_HERE
            match = unsettled.pop(0) if unsettled else None
        else:
            kind = DifferenceKind.UNKNOWN_HERE
        found.append(Difference(kind, line.refdet, line, match))


def _pairs(
    lines: list[JournalLine], payments: list[OurPayment]
) -> list[tuple[JournalLine, OurPayment]]:
    """Take out of both lists what belongs together, surest sign first."""
    signs = (
        lambda line, ours: (
            bool(line.authorisation)
            and line.authorisation == ours.authorisation
            and line.amount == ours.amount
        ),
        lambda line, ours: bool(line.authorisation) and line.authorisation == ours.authorisation,
        lambda line, ours: line.amount == ours.amount,
        lambda _line, _ours: True,
    )
    pairs = []
    for sign in signs:
        for line in list(lines):
            match = next((ours for ours in payments if sign(line, ours)), None)
            if match is not None:
                lines.remove(line)
                payments.remove(match)
                pairs.append((line, match))
    return pairs


def _decode(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")


def _delimiter(text: str) -> str:
    """The separator that the densest of the first lines uses most."""
    head = text.splitlines()[:10]
    return max(";,\t", key=lambda char: max((line.count(char) for line in head), default=0))


def _header(row: list[str]) -> dict[str, int]:
    titles = [_plain(cell).lower() for cell in row]
    columns = {
        key: titles.index(next(name for name in names if name in titles))
        for key, names in _COLUMNS.items()
        if any(name in titles for name in names)
    }
    return columns if all(key in columns for key in _REQUIRED) else {}


def _line(
    row: list[str], columns: dict[str, int], number: int, name: str
) -> JournalLine | SourceProblem:
    cells = {key: row[index].strip() if index < len(row) else "" for key, index in columns.items()}

    def problem(message: str, column: str) -> SourceProblem:
        return SourceProblem(
            message, file=name, line=number, column=column, value=cells.get(column, "")[:60]
        )

    on = _date(cells["date"])
    if on is None:
        return problem(_("date illisible"), "date")
    # Of any length: the journal also holds what other programs sent, under other rules.
    refdet = fields.bare_reference(cells["refdet"])
    if not re.fullmatch(r"[A-Za-z0-9]+", refdet):
        return problem(_("référence illisible"), "refdet")
    try:
        amount = parse_amount(cells["amount"])
    except AmountError:
        return problem(_("montant illisible"), "amount")
    result = _WORDS.get(_plain(cells["result"]).upper())
    if result is None:
        return problem(_("résultat inconnu"), "result")
    return JournalLine(on, refdet, amount, result, cells.get("authorisation", ""), number)


def _date(text: str) -> date | None:
    for pattern in _DATES:
        try:
            return datetime.strptime(text, pattern).date()  # noqa: DTZ007 - a day, not a moment
        except ValueError:
            continue
    return None


def _plain(text: str) -> str:
    """Letters and digits without accents: how titles and words are compared."""
    return re.sub(r"[^A-Za-z0-9]", "", unicodedata.normalize("NFKD", text))


def _key(refdet: str) -> str:
    return _plain(refdet).upper()


def describe(kind: DifferenceKind) -> str:
    """Meaning of a difference and the action to take, for the régisseur."""
    return {
        DifferenceKind.PAID_NOT_HERE: _(
            "Payé chez PayFiP, non soldé ici. Interrogez de nouveau le paiement."
        ),
        DifferenceKind.UNKNOWN_HERE: _(
            "Payé chez PayFiP sous une référence inconnue ici. Cherchez la facture."
        ),
        DifferenceKind.SETTLED_NOT_THERE: _(
            "Soldé ici, absent du journal. Vérifiez la période du journal, puis le paiement."
        ),
        DifferenceKind.AMOUNT: _("Les deux montants diffèrent."),
        DifferenceKind.AUTHORISATION: _("Les deux numéros d’autorisation diffèrent."),
        DifferenceKind.PAID_TWICE: _(
            "Payé plus d’une fois chez PayFiP. Remboursez ou inscrivez un avoir."
        ),
        DifferenceKind.REVERSED_HERE: _(
            "Annulé ici, payé selon le journal. Prélèvement rejeté, ou remboursement à faire."
        ),
    }[kind]
