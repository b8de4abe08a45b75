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
    """What one kind of sheet may hold."""

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
    """Whether a table of invoices has one row an invoice, or one row a line."""
    return INVOICE if _LINE_ONLY.isdisjoint(header) else FLAT


def normalise(name: str) -> str:
    """A column's name however it was typed: ``Date d’échéance`` is ``date_d_echeance``."""
    letters = unicodedata.normalize("NFKD", name.casefold()).encode("ascii", "ignore").decode()
    return _NOT_WORD.sub("_", letters).strip("_")


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
            near = get_close_matches(name, columns.all, 1)
            message = (
                _("Colonne inconnue. Vouliez-vous « %(name)s » ?") % {"name": near[0]}
                if near
                else _("Colonne inconnue. Colonnes possibles : %(names)s.")
                % {"names": ", ".join(columns.all)}
            )
            problems.append(problem(message, file, line, name))
    problems.extend(
        problem(_("Il manque la colonne « %(name)s ».") % {"name": name}, file, line, name)
        for name in columns.required
        if name not in header
    )
    return problems
