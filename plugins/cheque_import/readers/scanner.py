"""Lines as a cheque reader types them: a CMC7 line, its key and an amount, one cheque a line."""

from __future__ import annotations

import re
from collections.abc import Iterator

from core.plugin import DecodeError, decode
from core.plugin import gettext as _
from plugins.cheque_import.cmc7 import UNREAD
from plugins.cheque_import.readers.table import read_row
from plugins.cheque_import.records import ChequeProblem, ChequeRecord

_LINE = re.compile(
    r"(?P<cmc7>.*?[0-9?])[^0-9?,]*"
    r"(?:(?<![0-9?])\(?(?P<key>\d{1,2})\)?)?"
    r"(?:\s*[\t|;,]\s*|\s{2,})(?P<amount>[\d   ]+[.,]\d{2})\s*(?:€|EUR)?[\s\x1a]*\Z"
)


_DIGITS = {31, 33, 43, 45}
"""The three zones, and what may stand behind them: the key, Z1, both."""


def looks_like(head: bytes) -> bool:
    """True if the first line of a file is a magnetic line followed by an amount."""
    text = head.decode("utf-8", "replace")
    if "\N{REPLACEMENT CHARACTER}" in text:
        text = head.decode("cp1252", "replace")
    first = next((line for line in text.splitlines() if line.strip()), "")
    match = _LINE.match(first)
    return match is not None and sum(c.isdigit() or c == UNREAD for c in match["cmc7"]) in _DIGITS


def read(content: bytes, file: str, *, slip: str = "") -> Iterator[ChequeRecord | ChequeProblem]:
    """Yield one cheque a line: ``<line> (key)<tab>56,87``. The key may be left out."""
    try:
        text = decode(content)
    except DecodeError:
        yield ChequeProblem(_("Le fichier n’est pas un texte en UTF-8 ou Windows-1252."), file)
        return
    rank = 0
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip(" \t\x1a"):
            continue
        rank += 1
        match = _LINE.match(line) if len(line) < 400 else None
        if match is None:
            message = _("On attend : ligne CMC7, clé entre parenthèses, tabulation, montant.")
            yield ChequeProblem(message, file, number, value=line.strip()[:60])
            continue
        cells = {
            "remise": slip or file,
            "rang": str(rank),
            "cmc7": match["cmc7"],
            "cle": match["key"] or "",
            "montant": match["amount"],
        }
        yield read_row(cells, file=file, line=number)
    if not rank:
        yield ChequeProblem(_("Le fichier ne contient aucun chèque."), file)
