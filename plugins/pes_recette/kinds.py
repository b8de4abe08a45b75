"""The kinds of pieces that a recette file may hold, and what each is to a family.

A piece is of a kind by three codes together (annexe 2 of the dossier technique): the slip's
``TypBord``, its own ``TypPce`` and its ``NatPce``.
"""

from __future__ import annotations

from enum import Enum

from core.plugin import gettext as _

ORDINARY, CANCELLING, ORDERS, ORMC = "01", "02", "03", "06"
"""``TypBord``: titres, cancellations and reductions, orders of receipt, articles of an ORMC."""

ARTICLE = "15"
"""``TypPce`` of an ORMC; the format allows it one debtor only."""
CORRECTING = "02"
PIECES = {
    ORDINARY: frozenset(
        {"01", "02", "03", "04", "05", "06", "07", "09", "10", "11", "14"}
    ),
    CANCELLING: frozenset(
        {"01", "02", "03", "04", "05", "06", "07", "09", "10", "11", "12", "14", ARTICLE}
    ),
    ORDERS: frozenset({"01", "12"}),
    ORMC: frozenset({ARTICLE}),
}  # fmt: skip
"""``TypPce`` that each kind of slip may hold; 08 and 13 exist only in what Hélios sends back."""
NATURES = frozenset({"01", "02", "03", "04", "05", "06", "07", "08", "09", "10", "11", "18", ""})

COMPLEMENT, REISSUED, REDUCTION = "07", "08", "06"


class Kind(Enum):
    """Kind of a piece, for the family that the piece names."""

    INVOICE = "invoice"
    COMPLEMENT = "complement"
    """An invoice that adds to an earlier one."""
    REISSUED = "reissued"
    """An invoice in place of an earlier one."""
    CREDIT = "credit"
    """A cancellation or reduction of an earlier one."""
    REFUSED = "refused"
    """Nothing that the format knows."""


def kind_of(slip: str, piece: str, nature: str) -> Kind:
    """The kind of a piece, by its codes of two digits."""
    if piece not in PIECES.get(slip, ()) or nature not in NATURES:
        return Kind.REFUSED
    if slip == CANCELLING or nature == REDUCTION:
        return Kind.CREDIT
    if nature == REISSUED:
        return Kind.REISSUED
    if nature == COMPLEMENT or piece == CORRECTING:
        return Kind.COMPLEMENT
    return Kind.INVOICE


def reason_to_leave_out(piece: str, nature: str) -> str:
    """The reason for which a piece of these codes asks nothing of a family; "": it may."""
    if piece == "05":
        return _("Titres émis après encaissement : l’argent est déjà là")
    if piece in {"06", "07"}:
        return _("Titres récapitulatifs, sans débiteur nommé")
    if piece in {"03", "04", "11", "14"} or nature in {"03", "10", "18"}:
        return _("Opérations d’ordre, d’inventaire et de rattachement")
    if nature == "04":
        return _("Emprunts")
    if nature == "05":
        return _("Versements de régies")
    if nature == "09":
        return _("Annulations de mandats")
    return ""
