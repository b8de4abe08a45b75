"""From pieces to invoices: what PES says, checked, in the portal's terms."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from datetime import date, timedelta
from functools import partial
from typing import TYPE_CHECKING

from core.plugin import (
    Attachment,
    InvoiceKind,
    InvoiceRecord,
    LineRecord,
    SourceFile,
    SourceProblem,
    TaxKind,
)
from core.plugin import gettext as _
from preau_pes_recette.reader import (
    Attachments,
    Closed,
    Line,
    Opened,
    PesError,
    Piece,
    Slip,
    Values,
    read,
)

if TYPE_CHECKING:
    from preau_pes_recette import PesSettings

ORDINARY, CANCELLING, ORMC = "01", "02", "06"
"""``TypBord``: ordinary titres, cancellations and reductions, invoices of an ORMC."""
PIECES = {ORDINARY: {"01"}, CANCELLING: {"02"}, ORMC: {"15"}}
"""``TypPce`` that each kind of slip may hold."""

PREFERRED = ("010", "007", "006", "011", "002")
"""``TypePJ`` in the order in which one of several PDFs is the invoice: ORMC's own first."""

_AMOUNT = re.compile(r"-?\d{1,12}(\.\d{1,2})?\Z")
_SHOWN = 80


class PesSource:
    """Reads PES V2 recette: titres and ORMC, credit notes, PDFs that came with them."""

    key = "pes_recette"
    label = "PES V2 recette (XML)"

    def __init__(self, settings: PesSettings) -> None:
        self._settings = settings

    def read(self, file: SourceFile) -> Iterator[InvoiceRecord | SourceProblem]:
        """Yield an invoice for each piece, and what is wrong where it was found."""
        return _Reading(self._settings, file).items()


class _Reading:
    """One reading of one file."""

    def __init__(self, settings: PesSettings, file: SourceFile) -> None:
        self._settings = settings
        self._file = file
        self._attachments: Attachments | None = None
        self._sums: dict[str, int] = defaultdict(int)

    def items(self) -> Iterator[InvoiceRecord | SourceProblem]:
        try:
            for found in read(self._file.path):
                try:
                    match found:
                        case Opened(town):
                            self._check_town(town)
                        case Piece():
                            yield self._invoice(found)
                        case Closed(slip):
                            self._check_sums(slip)
                except PesError as error:
                    yield self._problem(error)
        except PesError as error:
            yield self._problem(error)

    def _problem(self, error: PesError) -> SourceProblem:
        value = "".join(c if c.isprintable() else "�" for c in error.value[:_SHOWN])
        return SourceProblem(str(error), self._file.name, error.line, error.column, value)

    # --- What is checked -----------------------------------------------------------------------

    def _check_town(self, siret: str) -> None:
        if self._settings.siret and siret != self._settings.siret:
            raise PesError(_("Ce fichier est celui d’une autre collectivité."), 0, "IdColl", siret)

    def _check_sums(self, slip: Slip) -> None:
        """A slip says how many pieces it has and what they come to."""
        sums, self._sums = self._sums, defaultdict(int)
        seen = {"NbrPce": slip.pieces, "MtBordHt": sums["MtHT"], "MtBordTVA": sums["MtTVA"]}
        for name, value in seen.items():
            said = slip.values.get(name)
            if said is None and name == "MtBordTVA":
                continue
            known = _cents(said, name, slip.row) if name != "NbrPce" else _whole(said, slip.row)
            if known != value:
                shown = value if name == "NbrPce" else f"{value / 100:.2f}"
                message = _("Le bordereau annonce « %(said)s », ses pièces font « %(seen)s ».") % {
                    "said": said,
                    "seen": shown,
                }
                raise PesError(message, slip.row, name, said or "")

    # --- One invoice ---------------------------------------------------------------------------

    def _invoice(self, piece: Piece) -> InvoiceRecord:
        # Counted first: a piece that is refused for something else is no wrong sum besides.
        amounts = [self._amount(line) for line in piece.lines]
        values, slip = piece.values, piece.slip.values
        kind = slip.get("TypBord", "")
        if values.get("TypPce", "") not in PIECES.get(kind, ()):
            raise PesError(
                _("Ce type de pièce n’est pas repris dans ce type de bordereau."),
                piece.row, "TypPce", f"{kind}/{values.get('TypPce', '')}",
            )  # fmt: skip
        if not piece.lines:
            raise PesError(_("Cette pièce n’a aucune ligne."), piece.row, "LigneDePiece")
        total = sum(amounts)
        credit = kind == CANCELLING or total <= 0
        # A cancellation is written with or without its sign: it takes money back either way.
        sign = -1 if kind == CANCELLING and total > 0 else 1
        debtor = _debtor(piece)
        issued = _day(slip.get("DteBordEm"), "DteBordEm", piece.slip.row)
        notice = values.get("DteAsp") or slip.get("DteAsp")
        told = _day(notice, "DteAsp", piece.row) if notice else issued
        number = _number(piece)
        try:
            due = told + timedelta(days=self._settings.days_to_pay)
        except OverflowError:
            raise PesError(
                _("Date attendue, comme 2026-11-03."), piece.row, "DteAsp", str(told)
            ) from None
        return InvoiceRecord(
            regie=self._regie(piece),
            number=number,
            family_code=_said(debtor.get("RefTiers") or debtor.get("IdTiers"), "RefTiers", piece),
            label=values.get("ObjPce") or _label(piece),
            amount=sign * total,
            issued_on=issued,
            due_on=due,
            fiscal_year=_year(slip.get("Exer"), piece.slip.row),
            payment_reference=self._reference(piece),
            debtor=" ".join(filter(None, map(debtor.get, ("Nom", "ComplNom", "Prenom")))),
            address=_address(debtor),
            period_start=_day_or_none(values.get("DebFact"), "DebFact", piece.row),
            period_end=_day_or_none(values.get("FinFact"), "FinFact", piece.row),
            direct_debit=any(line.by_debit for line in piece.lines),
            kind=InvoiceKind.CREDIT_NOTE if credit else InvoiceKind.INVOICE,
            origin_number=piece.lines[0].corrects.get("IdPceOrig", "") if credit else "",
            document=self._document(piece),
            lines=tuple(
                LineRecord(rank, _label_of(line), self._tax(line), sign * cents)
                for rank, (line, cents) in enumerate(
                    zip(piece.lines, amounts, strict=True), start=1
                )
            ),
            line_number=piece.row,
        )

    def _amount(self, line: Line) -> int:
        """What a line comes to with its VAT, in cents; both are added to the slip's sums."""
        cents = {}
        for name in ("MtHT", "MtTVA"):
            said = line.values.get(name)
            if said is None and name == "MtTVA":
                said = "0"
            cents[name] = _cents(said, name, line.row)
        for name, value in cents.items():
            self._sums[name] += value
        return sum(cents.values())

    def _regie(self, piece: Piece) -> str:
        code = piece.lines[0].values.get("CodProdLoc", "")
        product = self._settings.products.get(code)
        regie = product.regie if product else self._settings.regie
        if not regie:
            raise PesError(
                _("Ce code produit n’a pas de régie dans les réglages."), piece.row, "CodProdLoc",
                code,
            )  # fmt: skip
        return regie

    def _tax(self, line: Line) -> TaxKind:
        product = self._settings.products.get(line.values.get("CodProdLoc", ""))
        return product.tax if product else TaxKind.OTHER

    def _reference(self, piece: Piece) -> str:
        """PayFiP's reference of a titre, as far as the town said how it prints it."""
        debt, code = piece.values.get("NumDette", ""), self._settings.income_code
        if not code or not debt.isdecimal():
            return ""
        period = piece.values.get("Per", "")
        return f"{piece.slip.values.get('Exer', '')}-{code}-00-{period}{int(debt):06d}"

    def _document(self, piece: Piece) -> Attachment | None:
        """The PDF of the invoice among what is attached to the piece."""
        if not piece.attached:
            return None
        if self._attachments is None:
            self._attachments = Attachments(self._file.path)
        attachments = self._attachments
        found = [stored for stored in map(attachments.find, piece.attached) if stored]
        ranks = {kind: rank for rank, kind in enumerate(PREFERRED)}
        for stored in sorted(found, key=lambda one: ranks.get(one.kind, len(ranks))):
            if attachments.content(stored).startswith(b"%PDF-"):
                name = stored.name or f"{_number(piece)}.pdf"
                return Attachment(name, partial(attachments.content, stored))
        return None


def _debtor(piece: Piece) -> Values:
    """The debtor, who stands in each line: all lines of a piece must name the same."""
    first = piece.lines[0].debtor
    for line in piece.lines[1:]:
        for name in first.keys() | line.debtor.keys():
            if line.debtor.get(name, "") != first.get(name, ""):
                raise PesError(
                    _("Les lignes d’une même pièce ont des débiteurs différents."), line.row, name,
                    line.debtor.get(name, ""),
                )  # fmt: skip
    return first


def _address(debtor: Values) -> tuple[str, ...]:
    lines = [debtor.get(name, "") for name in ("Adr1", "Adr2", "Adr3")]
    lines.append(" ".join(filter(None, (debtor.get("CP", ""), debtor.get("Ville", "")))))
    return tuple(filter(None, lines))


def _number(piece: Piece) -> str:
    """The invoice's number as its issuer gave it, else the debt's, else the piece's own place."""
    values, slip = piece.values, piece.slip.values
    given = values.get("NumeroFacture") or values.get("NumDette")
    if given:
        return given
    place = (slip.get("Exer", ""), slip.get("IdBord", ""), values.get("IdPce", ""))
    if not all(place):
        raise PesError(_("Cette pièce n’a pas de numéro."), piece.row, "IdPce")
    return "-".join(place)


def _label(piece: Piece) -> str:
    return _label_of(piece.lines[0])


def _label_of(line: Line) -> str:
    return line.values.get("ObjLignePce") or line.values.get("CodProdLoc") or _("Prestation")


def _said(value: str | None, column: str, piece: Piece) -> str:
    if not value:
        raise PesError(_("Cette donnée manque."), piece.row, column)
    return value


def _cents(value: str | None, column: str, row: int) -> int:
    """Euros with a point, as PES writes them, in cents."""
    if value is None or not _AMOUNT.match(value) or not value.isascii():
        raise PesError(_("Montant attendu, comme 41.60."), row, column, value or "")
    euros, _point, fraction = value.lstrip("-").partition(".")
    cents = int(euros) * 100 + int(fraction.ljust(2, "0"))
    return -cents if value.startswith("-") else cents


def _whole(value: str | None, row: int) -> int:
    if value is None or not value.isascii() or not value.isdecimal() or len(value) > 9:
        raise PesError(_("Nombre attendu."), row, "NbrPce", value or "")
    return int(value)


def _year(value: str | None, row: int) -> int:
    if value is None or not re.fullmatch(r"(19|20)[0-9]{2}", value):
        raise PesError(_("Exercice attendu, comme 2026."), row, "Exer", value or "")
    return int(value)


def _day(value: str | None, column: str, row: int) -> date:
    if value is not None and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        with suppress(ValueError):
            return date.fromisoformat(value)
    raise PesError(_("Date attendue, comme 2026-11-03."), row, column, value or "")


def _day_or_none(value: str | None, column: str, row: int) -> date | None:
    return _day(value, column, row) if value else None
