"""The portal's own neutral CSV (CHEQUES_AND_FORMATS 1.2): semicolons, fixed names, free order."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator

from core.plugin import gettext as _
from plugins.cheque_import.readers.table import FIELDS, MANDATORY, field_of, read_row
from plugins.cheque_import.records import ChequeProblem, ChequeRecord

_LINE_LIMIT = 20_000
_SEPARATOR = re.compile(r"\Asep=(.)\r?\n", re.IGNORECASE)


def decode(content: bytes) -> str:
    """UTF-8 with or without BOM, else Windows-1252, as French desktop software writes.

    Raises:
        UnicodeDecodeError: when it is neither.
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252")


def read(content: bytes, file: str) -> Iterator[ChequeRecord | ChequeProblem]:
    """Yield the cheques of the file in its order, and its problems where they occur."""
    try:
        text = decode(content)
    except UnicodeDecodeError:
        yield ChequeProblem(_("Le fichier n’est pas un texte en UTF-8 ou Windows-1252."), file)
        return
    if "\x00" in text:
        yield ChequeProblem(_("Le fichier n’est pas un fichier CSV."), file)
        return
    # What old programs end a file with, and what tells Excel the separator.
    text = _SEPARATOR.sub("", text.rstrip("\x1a"), count=1)
    for number, line in enumerate(text.splitlines(), 1):
        if len(line) > _LINE_LIMIT:
            yield ChequeProblem(_("La ligne est trop longue."), file, number)
            return
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=";", strict=True)
    try:
        header = [field_of(name) for name in next(reader, [])]
        problem = _header_problem(header)
        if problem:
            yield ChequeProblem(problem, file, 1)
            return
        empty = True
        for row in reader:
            if not any(cell.strip() for cell in row):
                continue
            empty = False
            if len(row) != len(header):
                yield ChequeProblem(
                    _("La ligne compte %(got)s cellules au lieu de %(want)s.")
                    % {"got": len(row), "want": len(header)},
                    file, reader.line_num,
                )  # fmt: skip
                continue
            cells = dict(zip(header, row, strict=True))
            yield read_row(cells, file=file, line=reader.line_num)
    except csv.Error:
        yield ChequeProblem(
            _("Un guillemet n’est pas refermé, ou est mal placé."), file, reader.line_num
        )
        return
    if empty:
        yield ChequeProblem(_("Le fichier ne contient aucun chèque."), file)


def _header_problem(header: list[str]) -> str:
    if not any(header):
        return _("Le fichier est vide.")
    if len(header) == 1:
        return _("Les colonnes doivent être séparées par des points-virgules (« ; »).")
    unknown = [name for name in header if name not in FIELDS]
    if unknown:
        return _("Colonne inconnue : « %(name)s ». Colonnes admises : %(fields)s.") % {
            "name": unknown[0][:40],
            "fields": ", ".join(FIELDS),
        }
    twice = [name for name in FIELDS if header.count(name) > 1]
    if twice:
        return _("La colonne « %s » est présente deux fois.") % twice[0]
    missing = [name for name in MANDATORY if name not in header]
    if not {"cheque", "cmc7"} & set(header):
        missing.append("cheque")
    if missing:
        return _("Colonne manquante : « %s ».") % missing[0]
    return ""
