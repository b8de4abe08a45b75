"""A row of named cells becomes a cheque: shared by the CSV and the spreadsheet readers."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from datetime import date

from core.plugin import AmountError, parse_amount
from core.plugin import gettext as _
from plugins.cheque_import.cmc7 import Cmc7Error, KeyState, Line, read_line, read_zones
from plugins.cheque_import.records import ChequeProblem, ChequeRecord, split_references

FIELDS = (
    "remise", "date_remise", "rang", "cheque", "z3", "z2", "cle", "cmc7", "montant", "emetteur",
    "banque", "ref", "code_famille", "date_cheque", "observations", "moyen",
)  # fmt: skip
"""The columns of the neutral file (CHEQUES_AND_FORMATS 1.2), plus a raw line and the date drawn."""

_SYNONYMS = {
    "numero": "cheque", "numero_cheque": "cheque", "numero_de_cheque": "cheque",
    "numero_du_cheque": "cheque", "n_cheque": "cheque", "no_cheque": "cheque",
    "n_de_cheque": "cheque", "reference": "ref", "references": "ref", "titulaire": "emetteur",
    "tireur": "emetteur", "nom": "emetteur", "date_du_cheque": "date_cheque",
    "date_de_remise": "date_remise", "date_de_la_remise": "date_remise", "bordereau": "remise",
    "cle_rlmc": "cle", "rlmc": "cle", "ligne_cmc7": "cmc7", "famille": "code_famille",
    "observation": "observations", "moyen_de_paiement": "moyen", "mode_de_paiement": "moyen",
    "mode_de_reglement": "moyen", "type": "moyen", "nature": "moyen", "type_de_titre": "moyen",
}  # fmt: skip


def field_of(title: str) -> str:
    """The field that a title means: however it is accented, spaced and capitalised."""
    plain = unicodedata.normalize("NFKD", title.strip().strip("\ufeff").casefold())
    words = re.sub(r"[^a-z0-9]+", "_", "".join(c for c in plain if not unicodedata.combining(c)))
    name = words.strip("_")
    return _SYNONYMS.get(name, name)


MANDATORY = ("remise", "rang", "montant")

_LIMITS = {"emetteur": 200, "banque": 120, "observations": 1000, "remise": 60, "code_famille": 60}
_DATES = (
    re.compile(r"(?P<y>\d{4})-(?P<m>\d\d?)-(?P<d>\d\d?)(?:[T ]\d\d:\d\d(?::\d\d)?)?\Z", re.ASCII),
    re.compile(r"(?P<d>\d\d?)[/.](?P<m>\d\d?)[/.](?P<y>\d{4})\Z", re.ASCII),
    re.compile(r"(?P<y>\d{4})(?P<m>\d\d)(?P<d>\d\d)\Z", re.ASCII),
)
_EXPONENT = re.compile(r"[+-]?\d+([.,]\d+)?E[+-]?\d+\Z", re.IGNORECASE | re.ASCII)
_CHEQUE = re.compile(r"(cheques?|chq|chqs|ch)\b(?! ?emploi)")
_TITLE = re.compile(
    r"\b(cr)?cesu\b|\bancv\b|\bch(eque|q)?s?\.?[ -]*vac(ances?)?\b|\bemploi[ -]service\b"
)
"""Titles that lie in the same drawer, and are no cheques of a bank."""
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


class _FieldError(ValueError):
    def __init__(self, column: str, message: str) -> None:
        super().__init__(message)
        self.column = column


def title_of(cells: Mapping[str, str]) -> str:
    """The title that a row is, in its own words, where it is no cheque; else ""."""
    means = cells.get("moyen", "").strip()
    if means and (_TITLE.search(_folded(means)) or not _CHEQUE.match(_folded(means))):
        return means
    for name in ("banque", "emetteur"):
        if _TITLE.search(_folded(cells.get(name, ""))):
            return cells[name].strip()
    return ""


def _folded(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in plain if not unicodedata.combining(c))


def read_row(cells: Mapping[str, str], *, file: str, line: int) -> ChequeRecord | ChequeProblem:
    """Make a cheque of one row's cells, by field name; or say what is wrong, and where."""
    title = title_of(cells)
    if title:
        return ChequeProblem(
            _(
                "Ce titre n’est pas un chèque : il s’encaisse au guichet, et se remet à part des "
                "chèques."
            ),
            file, line,
            next(name for name in ("moyen", "banque", "emetteur")
                 if cells.get(name, "").strip() == title),
            title[:60],
            left_out=True,
        )  # fmt: skip
    try:
        return _record(cells, line)
    except _FieldError as error:
        return ChequeProblem(
            str(error), file, line, error.column, cells.get(error.column, "").strip()[:60]
        )


def _record(cells: Mapping[str, str], line: int) -> ChequeRecord:
    cell = {name: cells.get(name, "").strip() for name in FIELDS}
    for name, value in cell.items():
        if _CONTROL.search(value):
            raise _FieldError(name, _("La cellule contient des caractères de contrôle."))
        if "\ufffd" in value:
            raise _FieldError(
                name,
                _("Des lettres accentuées ont été perdues. Refaites l’export du fichier en UTF-8."),
            )
        if len(value) > _LIMITS.get(name, 400):
            raise _FieldError(name, _("Le texte est trop long."))
        if _EXPONENT.match(value):
            raise _FieldError(
                name,
                _(
                    "Le tableur a remplacé le nombre par une écriture scientifique : des chiffres "
                    "sont perdus. Mettez la colonne au format Texte et recommencez l’export."
                ),
            )
    for name in MANDATORY:
        if not cell[name]:
            raise _FieldError(name, _("La cellule est vide alors qu’elle est obligatoire."))
    magnetic = _magnetic(cell)
    return ChequeRecord(
        slip=cell["remise"],
        rank=_rank(cell["rang"]),
        amount=_amount(cell["montant"]),
        number=magnetic.zones.number if magnetic else _number(cell["cheque"]),
        zones=magnetic.zones if magnetic else None,
        key=magnetic.key if magnetic else KeyState.ABSENT,
        issuer=cell["emetteur"],
        bank=cell["banque"],
        references=split_references(cell["ref"]),
        family_code=cell["code_famille"],
        note=cell["observations"],
        drawn_on=read_date(cell["date_cheque"], "date_cheque"),
        slip_date=read_date(cell["date_remise"], "date_remise"),
        line=line,
    )


def _magnetic(cell: Mapping[str, str]) -> Line | None:
    try:
        if cell["cmc7"]:
            return read_line(cell["cmc7"], cell["cle"])
        if not (cell["z3"] or cell["z2"]):
            return None
        return read_zones(cell["cheque"], cell["z3"], cell["z2"], key=cell["cle"])
    except Cmc7Error as error:
        column = "cmc7" if cell["cmc7"] else _short_zone(cell)
        message = str(error)
        value = cell[column]
        if column != "cmc7" and value.isdigit() and len(value) < len("012345678901"):
            message += " " + _(
                "Des zéros en tête ont sans doute été perdus par le tableur : mettez la colonne "
                "au format Texte."
            )
        raise _FieldError(column, message) from None


def _short_zone(cell: Mapping[str, str]) -> str:
    for name, width in (("cheque", 7), ("z3", 12), ("z2", 12)):
        if len(cell[name]) != width or set(cell[name]) - set("0123456789?"):
            return name
    return "cle" if cell["cle"] else "cheque"


def _number(text: str) -> str:
    if not text:
        raise _FieldError("cheque", _("Le numéro du chèque est obligatoire."))
    if not (text.isascii() and text.isdigit() and len(text) <= 7):
        raise _FieldError("cheque", _("Un numéro de chèque compte 7 chiffres."))
    if len(text) < 7:
        # Never padded: 1234 may be 0001234, or a number from which a digit was left out.
        raise _FieldError(
            "cheque",
            _(
                "Le numéro compte %s chiffres au lieu de 7. Si le tableur a ôté les zéros de tête, "
                "mettez la colonne au format Texte."
            )
            % len(text),
        )
    return text


def _rank(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= len(text) <= 6 and int(text) > 0):
        raise _FieldError("rang", _("Le rang est un nombre entier à partir de 1."))
    return int(text)


def _amount(text: str) -> int:
    try:
        cents = parse_amount(text)
    except AmountError:
        raise _FieldError(
            "montant",
            _("Ce n’est pas un montant en euros, comme 56,87 (deux décimales au plus)."),
        ) from None
    if cents <= 0:
        raise _FieldError("montant", _("Le montant d’un chèque est positif."))
    return cents


def read_date(text: str, column: str) -> date | None:
    """Read ``2025-11-20``, ``20/11/2025`` or ``20251120``; None when there is none."""
    if not text:
        return None
    for pattern in _DATES:
        match = pattern.match(text)
        if match:
            try:
                found = date(int(match["y"]), int(match["m"]), int(match["d"]))
            except ValueError:
                break
            if 2000 <= found.year <= 2100:
                return found
            break
    if text.isascii() and text.isdigit() and len(text) == 5:
        raise _FieldError(
            column,
            _("Le tableur a remplacé la date par un nombre. Mettez la colonne au format Date."),
        )
    raise _FieldError(column, _("Ce n’est pas une date, comme 20/11/2025."))
