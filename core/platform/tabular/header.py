"""The header of a table: its columns, their titles, and what is wrong with them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
    meant: Mapping[str, str] = field(default_factory=dict, compare=False)
    """Titles that other programs give to a column, as patterns: proposed, never taken for it."""

    @property
    def all(self) -> tuple[str, ...]:
        """Every column of the sheet, in the order of the documentation."""
        return self.required + self.optional


def normalise(name: str) -> str:
    """A column's name however it was typed: ``Date d’échéance`` is ``date_d_echeance``."""
    letters = unicodedata.normalize("NFKD", name.casefold()).encode("ascii", "ignore").decode()
    return _NOT_WORD.sub("_", letters).strip("_")


OTHER_TITLES = 4
"""Required columns that miss: the list is another program's, and renaming them is no way in."""


def _meant(name: str, columns: Columns) -> str:
    """The column that a title most likely means; "" where a guess would mislead."""
    for column, pattern in columns.meant.items():
        if column in columns.all and re.fullmatch(pattern, name):
            return column
    near = get_close_matches(name, columns.all, 1, cutoff=0.8)
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
            near = _meant(name, columns)
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
