"""The debtor of a line, the family's code, and the invoices that one piece is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from core.plugin import gettext as _
from plugins.pes_recette.reader import Line, PesError, Piece, Values
from plugins.pes_recette.values import code, without_zeros

PRINCIPAL = "01"
"""``TypTiers`` of the one who owes; 03 and 04 answer for the debt beside him."""
ALONE = frozenset({"", "01", "02", "03", "04"})
"""``TypTiers`` of a debtor who stands alone; the others are no debtors (insured, housing...)."""
SOCIAL_SECURITY = "04"
"""``NatIdTiers`` of a social security number (*NIR*)."""
NATURAL_PERSON = "01"
"""``CatTiers`` of an individual."""
NAMES = ("Nom", "ComplNom", "Prenom")

_NIR = re.compile(
    r"([1-478]\d{2}(?:0[1-9]|1[0-2]|[23]\d|4[0-2]|[5-9]\d)(?:\d{2}|2[AB])\d{6})(\d{2})?", re.ASCII
)


@dataclass(slots=True)
class Share:
    """The lines of a piece that one debtor owes: one invoice. Collective titres have several."""

    debtor: Values
    family_code: str
    lines: list[Line] = field(default_factory=list)
    alone: bool = True
    """True if the share is all of its piece."""


def debtor_of(line: Line) -> Values:
    """The principal debtor of a line.

    Raises:
        PesError: the line names nobody, or several of whom it cannot be said who owes.
    """
    named = [tiers for tiers in line.tiers if tiers]
    principal = [tiers for tiers in named if code(tiers.get("TypTiers")) == PRINCIPAL]
    if not principal and len(named) == 1 and code(named[0].get("TypTiers")) in ALONE:
        principal = named
    if not named:
        raise PesError(_("Cette donnée manque."), line.row, "Tiers")
    if len({_identity(tiers) for tiers in principal}) != 1:
        raise PesError(
            _("Le débiteur principal de cette ligne n’est pas certain."), line.row, "TypTiers",
            ", ".join(tiers.get("TypTiers", "") for tiers in named),
        )  # fmt: skip
    return principal[0]


def family_code(debtor: Values, row: int) -> str:
    """The code by which the town knows the family.

    Raises:
        PesError: there is none. A social security number is none, and is not quoted.
    """
    reference, number = debtor.get("RefTiers", ""), debtor.get("IdTiers", "")
    is_nir = code(debtor.get("NatIdTiers")) == SOCIAL_SECURITY
    if reference and not (_has_key_of_nir(reference) or (is_nir and reference == number)):
        return reference
    if number and not is_nir and not looks_like_nir(number):
        return number
    if reference or number:
        raise PesError(
            _("Le code de la famille manque : un numéro de sécurité sociale n’en tient pas lieu."),
            row, "RefTiers",
        )  # fmt: skip
    raise PesError(_("Cette donnée manque."), row, "RefTiers")


def looks_like_nir(text: str) -> bool:
    """True if a text may be a social security number, of 13 characters or with its key of two."""
    match = _NIR.fullmatch(re.sub(r"[\s.-]", "", text.upper()))
    return match is not None and (match[2] is None or _key_is_right(match))


def _has_key_of_nir(text: str) -> bool:
    match = _NIR.fullmatch(re.sub(r"[\s.-]", "", text.upper()))
    return match is not None and match[2] is not None and _key_is_right(match)


def _key_is_right(match: re.Match[str]) -> bool:
    number = match[1].replace("2A", "19").replace("2B", "18")
    return 97 - int(number) % 97 == int(match[2])


def by_debtor(piece: Piece) -> Sequence[Sequence[Line]]:
    """The lines of a piece, apart for each debtor, as far as the file tells them apart."""
    found: dict[tuple[str, ...], list[Line]] = {}
    for line in piece.lines:
        try:
            debtor = debtor_of(line)
        except PesError:
            debtor = {"row": str(line.row)}
        known = debtor.get("RefTiers") or debtor.get("IdTiers")
        key = (known,) if known else tuple(f"{name}={value}" for name, value in debtor.items())
        found.setdefault(key, []).append(line)
    return list(found.values())


def share_of(lines: Sequence[Line]) -> Share:
    """The invoice that lines of one debtor are.

    Raises:
        PesError: who owes is not certain, or has no code.
    """
    debtor = debtor_of(lines[0])
    for line in lines[1:]:
        other = debtor_of(line)
        for name in ("RefTiers", *NAMES):
            if other.get(name, "") != debtor.get(name, ""):
                raise PesError(
                    _("Les lignes d’une même pièce ont des débiteurs différents."), line.row, name,
                    other.get(name, ""),
                )  # fmt: skip
    return Share(debtor, family_code(debtor, lines[0].row), list(lines))


def by_origin(lines: Sequence[Line]) -> Sequence[Sequence[Line]]:
    """Lines apart for each piece that they correct."""
    found: dict[tuple[str, str], list[Line]] = {}
    for line in lines:
        found.setdefault(origin_of(line), []).append(line)
    return list(found.values())


def party(line: Line) -> str:
    """Whom the attachments of a line are for; "": that is not certain."""
    try:
        debtor = debtor_of(line)
        return family_code(debtor, line.row)
    except PesError:
        return ""


def is_natural_person(debtor: Values) -> bool:
    """True if the debtor is an individual, as far as the file says."""
    return code(debtor.get("CatTiers")) in {"", NATURAL_PERSON}


def name_of(debtor: Values) -> str:
    """The debtor as envelopes name him."""
    return " ".join(filter(None, map(debtor.get, NAMES)))


def address_of(debtor: Values) -> tuple[str, ...]:
    """The lines of his address."""
    lines = [debtor.get(name, "") for name in ("Adr1", "Adr2", "Adr3")]
    lines.append(" ".join(filter(None, (debtor.get("CP", ""), debtor.get("Ville", "")))))
    return tuple(filter(None, lines))


def origin_of(line: Line) -> tuple[str, str]:
    """The *exercice* and number of the piece that a line corrects; empty where it names none."""
    return line.corrects.get("ExerRat", ""), without_zeros(line.corrects.get("IdPceOrig", ""))


def _identity(tiers: Values) -> tuple[str, ...]:
    return (
        tiers.get("RefTiers", ""), tiers.get("IdTiers", ""),
        *(tiers.get(name, "") for name in NAMES),
    )  # fmt: skip
