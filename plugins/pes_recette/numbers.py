"""The number of an invoice: one debt, one number, through the years."""

from __future__ import annotations

import re
from collections.abc import Sequence

from core.plugin import gettext as _
from plugins.pes_recette import kinds
from plugins.pes_recette.parties import Share, origin_of
from plugins.pes_recette.reader import Line, PesError, Piece
from plugins.pes_recette.values import without_zeros

MAIN_BUDGETS = frozenset({"", "0", "00"})
_SERIES = {kinds.ORDINARY: "", kinds.CANCELLING: "A", kinds.ORDERS: "R", kinds.ORMC: "O"}
"""Each kind of slip is numbered from 1."""


def number_of(piece: Piece, share: Share, budget: str, *, credit: bool) -> str:
    """The number of the invoice that a debtor's share of a piece is.

    A debt is *exercice*, period and ``NumDette`` together, and a titre is its exercice and place:
    both begin anew each year. The issuer's own number is kept where it names its exercice, else it
    is put behind it. A credit note has its place only: what else it says may be the number of the
    invoice that it corrects.

    Raises:
        PesError: nothing tells this piece from others.
    """
    parts = [*_budget(budget), *_own(piece, credit=credit)]
    if not share.alone:
        parts.append(f"L{share.lines[0].values.get('IdLigne') or share.lines[0].row}")
    year = _exercice(piece)
    if len(parts) == 1 and re.search(rf"(?<!\d){year}(?!\d)", parts[0]):
        return parts[0]
    return "-".join((year, *parts))


def former_numbers(piece: Piece, number: str) -> tuple[str, ...]:
    """The numbers that earlier versions gave this piece, but for `number` itself."""
    values, slip = piece.values, piece.slip.values
    given = values.get("NumeroFacture") or values.get("NumDette")
    place = (_exercice(piece), slip.get("IdBord", ""), values.get("IdPce", ""))
    former = given or "-".join(place)
    return (former,) if former != number else ()


def names_of(piece: Piece, budget: str) -> tuple[str, ...]:
    """The names by which a later piece may refer to this one.

    ``RattachPiece`` says *exercice* and number of a titre, or of an article within its role: two
    roles have the same ones. The debt and the issuer's own number then tell them apart.
    """
    said, year = piece.values, _exercice(piece)
    names = [_name("pièce", budget, year, said.get("IdPce", ""))]
    if debt := said.get("NumDette"):
        names.append(_name("dette", budget, year, said.get("Per", ""), debt))
    if given := said.get("NumeroFacture"):
        names.append(_name("facture", budget, year, given))
    return tuple(names)


def referred_to(piece: Piece, line: Line, budget: str) -> tuple[str, ...]:
    """The names of the piece that a line corrects, replaces or completes, the surest first."""
    year, origin = origin_of(line)
    said = piece.values
    names = [_name("pièce", budget, year, origin)] if year and origin else []
    year = year or _exercice(piece)
    if debt := said.get("NumDette"):
        names.append(_name("dette", budget, year, said.get("Per", ""), debt))
    if (given := said.get("NumeroFacture")) and not names:
        names.append(_name("facture", budget, year, given))
    return tuple(names)


def _name(kind: str, budget: str, *parts: str) -> str:
    return "/".join((kind, *_budget(budget), *map(without_zeros, parts)))


def _own(piece: Piece, *, credit: bool) -> Sequence[str]:
    values, slip = piece.values, piece.slip.values
    given, debt = values.get("NumeroFacture", ""), values.get("NumDette", "")
    if not credit:
        if given and without_zeros(given) != without_zeros(debt):
            return (given,)
        if debt:
            return (f"P{values.get('Per', '')}", without_zeros(debt))
    bord, rank = slip.get("IdBord", ""), values.get("IdPce", "")
    if not bord or not rank:
        raise PesError(_("Cette pièce n’a pas de numéro."), piece.row, "IdPce")
    return (f"{_SERIES[slip.get('TypBord', '').zfill(2)]}{bord}", rank)


def _budget(budget: str) -> Sequence[str]:
    """The town's other budgets number their titres from 1 too."""
    return () if budget in MAIN_BUDGETS else (f"B{budget}",)


def _exercice(piece: Piece) -> str:
    year = piece.slip.values.get("Exer", "")
    if not year:
        raise PesError(_("Cette pièce n’a pas de numéro."), piece.row, "Exer")
    return year
