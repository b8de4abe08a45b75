"""From pieces to invoices: what PES says, checked, in the portal's terms."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from core.plugin import (
    Attachment,
    InvoiceKind,
    InvoiceRecord,
    LineRecord,
    Relation,
    SourceFile,
    SourceNotice,
    SourceProblem,
    TaxKind,
)
from core.plugin import gettext as _
from plugins.pes_recette import kinds, numbers, parties, values
from plugins.pes_recette.attachments import Attachments
from plugins.pes_recette.kinds import Kind
from plugins.pes_recette.parties import Share
from plugins.pes_recette.reader import Closed, Line, Opened, PesError, Piece, Slip, read

if TYPE_CHECKING:
    from plugins.pes_recette import PesSettings

Found = InvoiceRecord | SourceProblem | SourceNotice
_RELATIONS = {Kind.REISSUED: Relation.REPLACES, Kind.COMPLEMENT: Relation.COMPLETES}
_SHOWN = 80


class PesSource:
    """Reads PES V2 recette: titres and ORMC, credit notes, PDFs that came with them."""

    key = "pes_recette"
    label = "PES V2 recette (XML)"

    def __init__(self, settings: PesSettings) -> None:
        self._settings = settings

    def read(self, file: SourceFile) -> Iterator[Found]:
        """Yield the invoices of each piece, and problems and notices where they were found."""
        return _Reading(self._settings, file).items()


class _Reading:
    """One reading of one file."""

    def __init__(self, settings: PesSettings, file: SourceFile) -> None:
        self._settings = settings
        self._file = file
        self._attachments: Attachments | None = None
        self._budget = ""
        self._sums: dict[str, int] = defaultdict(int)

    def items(self) -> Iterator[Found]:
        try:
            for found in read(self._file.path):
                if isinstance(found, Piece) and self._attachments is None and found.has_attachments:
                    self._attachments = Attachments(self._file.path)
                try:
                    match found:
                        case Opened():
                            self._budget = found.budget
                            self._check_town(found.town)
                        case Piece():
                            yield from self._piece(found)
                        case Closed(slip):
                            self._check_sums(slip)
                except PesError as error:
                    yield self._problem(error)
        except PesError as error:
            yield self._problem(error)

    def _problem(self, error: PesError) -> SourceProblem:
        return SourceProblem(
            str(error), self._file.name, error.line, error.column, _shown(error.value)
        )

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
            as_number = values.whole if name == "NbrPce" else values.cents
            if as_number(said, name, slip.row) != value:
                shown = value if name == "NbrPce" else f"{value / 100:.2f}"
                message = _("Le bordereau annonce « %(said)s », ses pièces font « %(seen)s ».") % {
                    "said": said,
                    "seen": shown,
                }
                raise PesError(message, slip.row, name, said or "")

    # --- One piece -----------------------------------------------------------------------------

    def _piece(self, piece: Piece) -> Iterator[InvoiceRecord | SourceNotice]:
        # Counted first: a piece that is refused or left out is no wrong sum besides.
        for line in piece.lines:
            line.amount = self._amount(line)
        kind_, nature = (values.code(piece.values.get(name)) for name in ("TypPce", "NatPce"))
        kind = kinds.kind_of(values.code(piece.slip.values.get("TypBord")), kind_, nature)
        if kind is Kind.REFUSED:
            raise PesError(
                _("Ce type de pièce n’est pas repris dans ce type de bordereau."), piece.row,
                "TypPce", f"{piece.slip.values.get('TypBord', '')}/{kind_}/{nature}",
            )  # fmt: skip
        if not piece.lines:
            raise PesError(_("Cette pièce n’a aucune ligne."), piece.row, "LigneDePiece")
        if reason := kinds.reason_to_leave_out(kind_, nature):
            yield self._left_out(reason, piece, piece.lines)
            return
        groups = parties.by_debtor(piece)
        own = []
        for lines in groups:
            if reason := self._reason_to_leave_out(lines):
                yield self._left_out(reason, piece, lines)
            else:
                own.append(lines)
        if own and len(groups) > 1 and kind_ == kinds.ARTICLE:
            first, other = (parties.debtor_of(lines[0]) for lines in groups[:2])
            name = next(
                name for name in ("RefTiers", "IdTiers", *parties.NAMES)
                if first.get(name) != other.get(name)
            )  # fmt: skip
            raise PesError(
                _("Les lignes d’une même pièce ont des débiteurs différents."), groups[1][0].row,
                name, other.get(name, ""),
            )  # fmt: skip
        if kind is Kind.CREDIT:
            own = [part for lines in own for part in parties.by_origin(lines)]
        for lines in own:
            share = parties.share_of(lines)
            share.alone = len(lines) == len(piece.lines)
            yield self._invoice(piece, share, kind)

    def _amount(self, line: Line) -> int:
        """Amount of a line with its VAT, in cents; net and VAT are added to the slip's sums."""
        cents = {}
        for name in ("MtHT", "MtTVA"):
            said = line.values.get(name)
            if said is None and name == "MtTVA":
                said = "0"
            cents[name] = values.cents(said, name, line.row)
        for name, value in cents.items():
            self._sums[name] += value
        return sum(cents.values())

    # --- What is not for families ----------------------------------------------------------------

    def _reason_to_leave_out(self, lines: Sequence[Line]) -> str:
        """The reason for which a debtor's lines are no invoice of a régie here; "": they are."""
        if any(_is_collected(line) for line in lines):
            return _("Titres dont le recouvrement est déjà constaté")
        if any(_product(line) in self._settings.products for line in lines):
            return ""
        if not self._settings.regie or self._settings.only_listed:
            return _("Produits d’autres services")
        if not all(parties.is_natural_person(one) for line in lines for one in line.tiers[:1]):
            # Where the town lists no product of theirs: companies and associations pay rents.
            return _("Débiteurs qui ne sont pas des particuliers")
        return ""

    def _left_out(self, reason: str, piece: Piece, lines: Sequence[Line]) -> SourceNotice:
        label = piece.values.get("ObjPce") or _label(lines[0])
        named = filter(None, (piece.values.get("IdPce"), _product(lines[0]), label))
        return SourceNotice(
            reason, self._file.name, piece.row, "CodProdLoc", _shown(" – ".join(named)),
            left_out=True, amount=sum(line.amount for line in lines),
        )  # fmt: skip

    def _regie(self, lines: Sequence[Line]) -> str:
        """The régie of the first line that has one, by its product."""
        settings = self._settings
        for line in lines:
            product = settings.products.get(_product(line))
            if product is not None:
                return product.regie or settings.regie
            if settings.regie and not settings.only_listed:
                break
        return settings.regie

    def _tax(self, line: Line) -> TaxKind:
        product = self._settings.products.get(_product(line))
        return product.tax if product else TaxKind.OTHER

    # --- One invoice -----------------------------------------------------------------------------

    def _invoice(self, piece: Piece, share: Share, kind: Kind) -> InvoiceRecord:
        said, slip = piece.values, piece.slip.values
        total = sum(line.amount for line in share.lines)
        credit = kind is Kind.CREDIT or total <= 0
        # A cancellation is written with or without its sign: it takes money back either way.
        sign = -1 if kind is Kind.CREDIT and total > 0 else 1
        issued = values.day(slip.get("DteBordEm"), "DteBordEm", piece.slip.row)
        number = numbers.number_of(piece, share, self._budget, credit=credit)
        notice = said.get("DteAsp") or slip.get("DteAsp")
        told = values.day(notice, "DteAsp", piece.row) if notice else issued
        return InvoiceRecord(
            regie=self._regie(share.lines),
            number=number,
            family_code=share.family_code,
            label=said.get("ObjPce") or _label(share.lines[0]),
            amount=sign * total,
            issued_on=issued,
            due_on=told + timedelta(days=self._settings.days_to_pay),
            fiscal_year=values.year(slip.get("Exer"), piece.slip.row),
            payment_reference="" if credit else self._reference(piece, share),
            debtor=parties.name_of(share.debtor),
            address=parties.address_of(share.debtor),
            period_start=values.day_or_none(said.get("DebFact"), "DebFact", piece.row),
            period_end=values.day_or_none(said.get("FinFact"), "FinFact", piece.row),
            direct_debit=any(line.by_debit for line in share.lines),
            kind=InvoiceKind.CREDIT_NOTE if credit else InvoiceKind.INVOICE,
            piece_keys=() if credit else numbers.names_of(piece, self._budget),
            refers_to=(
                numbers.referred_to(piece, share.lines[0], self._budget)
                if credit or kind in _RELATIONS else ()
            ),
            relation=Relation.NONE if credit else _RELATIONS.get(kind, Relation.NONE),
            former_numbers=numbers.former_numbers(piece, number) if share.alone else (),
            document=self._document(piece, share),
            lines=tuple(
                LineRecord(rank, _label(line), self._tax(line), sign * line.amount)
                for rank, line in enumerate(share.lines, start=1)
            ),
            line_number=share.lines[0].row if len(share.lines) < len(piece.lines) else piece.row,
        )

    def _reference(self, piece: Piece, share: Share) -> str:
        """PayFiP's reference of a titre, as far as the town said how it prints it."""
        debt, code = piece.values.get("NumDette", ""), self._settings.income_code
        if not code or not share.alone or not (debt.isascii() and debt.isdecimal()):
            return ""
        period = piece.values.get("Per", "")
        return f"{piece.slip.values.get('Exer', '')}-{code}-00-{period}{int(debt):06d}"

    def _document(self, piece: Piece, share: Share) -> Attachment | None:
        """The PDF of the invoice among what is attached to the piece and to the debtor's lines."""
        keys = [*piece.attached, *(key for line in share.lines for key in line.attached)]
        attachments = self._attachments
        if not keys or attachments is None:
            return None
        stored = attachments.invoice(keys)
        if stored is None:
            return None
        name = stored.name or f"{piece.values.get('IdPce', 'facture')}.pdf"
        return Attachment(name, partial(attachments.content, stored))


def _product(line: Line) -> str:
    return line.values.get("CodProdLoc", "")


def _label(line: Line) -> str:
    return line.values.get("ObjLignePce") or _product(line) or _("Prestation")


def _is_collected(line: Line) -> bool:
    """True if the file says that the money of a line came in before the line was billed."""
    amount = line.collected.get("MtReco", "")
    if not amount:
        return bool(line.collected.get("IdEncaissement"))
    return values.cents(amount, "MtReco", line.row) != 0


def _shown(value: str) -> str:
    return "".join(c if c.isprintable() else "�" for c in value[:_SHOWN])
