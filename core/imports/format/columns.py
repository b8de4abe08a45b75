"""The columns of the format (CHEQUES_AND_FORMATS 2.8; docs/import-format.md), and its headers."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from core.api.invoices import SourceProblem
from core.platform.i18n import gettext as _
from core.platform.tabular.problems import problem

_NOT_WORD = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Columns:
    """Columns that one kind of sheet may hold."""

    required: tuple[str, ...]
    optional: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        """Every column of the sheet, in the order of the documentation."""
        return self.required + self.optional


INVOICE = Columns(
    required=(
        "regie", "numero", "code_famille", "libelle", "date_facture", "date_echeance", "montant",
    ),
    optional=(
        "ref_tipi", "exercice", "debiteur", "adresse1", "adresse2", "adresse3", "code_postal",
        "ville", "periode_debut", "periode_fin", "prelevement", "pdf", "type", "facture_origine",
    ),
)  # fmt: skip
"""``factures.csv`` with one row an invoice."""

LINE = Columns(
    required=("numero", "activite", "nature_fiscale", "montant"),
    optional=("regie", "rang", "enfant", "quantite", "prix_unitaire"),
)
"""``lignes.csv``."""

LINE_AMOUNT = "montant_ligne"
"""In one table the line's amount needs a name of its own: ``montant`` is the invoice's."""

FLAT = Columns(
    required=(*INVOICE.required, "activite", "nature_fiscale", LINE_AMOUNT),
    optional=(*INVOICE.optional, "rang", "enfant", "quantite", "prix_unitaire"),
)
"""One table with one row a line, the invoice's own columns repeated on each."""

_LINE_ONLY = frozenset(FLAT.all) - frozenset(INVOICE.all)


def kind_of(header: Sequence[str]) -> Columns:
    """Columns of a table of invoices: of one row an invoice, or of one row a line."""
    return INVOICE if _LINE_ONLY.isdisjoint(header) else FLAT


def normalise(name: str) -> str:
    """A column's name however it was typed: ``Date d’échéance`` is ``date_d_echeance``."""
    letters = unicodedata.normalize("NFKD", name.casefold()).encode("ascii", "ignore").decode()
    return _NOT_WORD.sub("_", letters).strip("_")


OTHER_TITLES = 4
"""Required columns that miss: the list is another program's, and renaming them is no way in."""

_MEANT = {
    "numero": r"(n|no|num|numero|nr|ref|reference)(_de)?(_la)?_facture|facture|n|no|num|n_piece",
    "code_famille": r"(code|n|no|num|numero|id|ref)_(client|famille|payeur|tiers|redevable)",
    "montant": r"(montant_)?(total|ttc|du|net)(_ttc|_a_payer|_facture)?|net_a_payer|somme|prix",
    "date_facture": r"date(_d)?(_edition|_emission|_de_facturation|_de_la_facture)?|emission",
    "date_echeance": r"echeance|date_limite(_de_paiement)?|a_payer_avant(_le)?|limite_de_paiement",
    "libelle": r"objet|designation|intitule|description|lot|periode",
    "debiteur": r"nom|famille|payeur|client|redevable|nom_(de_la_)?famille|nom_et_prenom|titulaire",
}
"""Titles that billing programs give to a column; proposed, and never taken for it by itself."""


def _meant(name: str, known: Sequence[str]) -> str:
    """The column that a title most likely means; "" where a guess would mislead."""
    for column, pattern in _MEANT.items():
        if column in known and re.fullmatch(pattern, name):
            return column
    near = get_close_matches(name, known, 1, cutoff=0.8)
    return near[0] if near else ""


def another_program() -> str:
    """Advice for a list whose titles are not the portal's."""
    return _(
        "Ces titres sont ceux d’un autre logiciel : faites-en un modèle, par « Modèles de "
        "fichiers » de la page Imports."
    )


def header_problems(
    header: Sequence[str], columns: Columns, file: str, line: int
) -> list[SourceProblem]:
    """Say which names of `header` are unknown or stand twice, and which required ones miss."""
    problems = []
    for position, name in enumerate(header):
        if not name:
            continue  # Excel leaves empty columns behind; a value in one is refused with its row.
        if name in header[:position]:
            problems.append(problem(_("Cette colonne figure deux fois."), file, line, name))
        elif name not in columns.all:
            near = _meant(name, columns.all)
            message = (
                _("Colonne inconnue. Vouliez-vous « %(name)s » ?") % {"name": near}
                if near
                else _("Colonne inconnue. Colonnes possibles : %(names)s.")
                % {"names": ", ".join(columns.all)}
            )
            problems.append(problem(message, file, line, name))
    missing = [name for name in columns.required if name not in header]
    if len(missing) >= OTHER_TITLES:
        problems.append(problem(another_program(), file, line))
    problems.extend(
        problem(_("Il manque la colonne « %(name)s ».") % {"name": name}, file, line, name)
        for name in missing
    )
    return problems
