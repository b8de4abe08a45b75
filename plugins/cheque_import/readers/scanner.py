"""Lines as a cheque reader types them: a CMC7 line, its key and an amount, one cheque a line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from core.plugin import DecodeError, decode
from core.plugin import gettext as _
from plugins.cheque_import import keyboard
from plugins.cheque_import.cmc7 import DIGITS, UNREAD, Cmc7Error, layout_hint, read_line
from plugins.cheque_import.readers.table import read_row
from plugins.cheque_import.records import ChequeProblem, ChequeRecord

_LINE = re.compile(
    r"(?P<cmc7>.*?[0-9?])[^0-9?,]*"
    r"(?:(?<![0-9?])\(?(?P<key>\d{1,2})\)?)?"
    r"(?:\s*[\t|;,]\s*|\s{2,})"
    r"(?P<amount>[\d   ]+[.,]\d{2})\s*(?:€|EUR)?[\s\x1a]*\Z"
)
_SPACED = re.compile(
    r"(?P<cmc7>[^\t]*?[0-9?])[^0-9?,\t]*(?:\((?P<key>\d{1,2})\))? "
    r"(?P<amount>\d+[.,]\d{2})\s*(?:€|EUR)?[\s\x1a]*\Z"
)
"""A line with one space before its amount: none inside it, and no key but in brackets.

``… 12 239,82`` may be a key and an amount, or an amount.
"""
_BARE = re.compile(r"[\dA-Ea-e?<>:;=()\s*@#!_-]+\Z", re.ASCII)
"""A line, but for an amount: what readers write of it, and no words."""
_HEAD_LINES = 40
"""Lines of which one tells what a file is: the first may be misread."""
_LONGEST = 400
_WHOLE = {
    _LINE: {DIGITS, DIGITS + 2, DIGITS + 12, DIGITS + 14},
    _SPACED: {DIGITS, DIGITS + 12},
}
"""Numbers of digits: the three zones, and what may stand behind them: the key, Z1, both."""


def looks_like(head: bytes) -> bool:
    """True if one of a file's first lines is a magnetic line, and no titles stand above it."""
    text = head.decode("utf-8", "replace")
    if "\N{REPLACEMENT CHARACTER}" in text:
        text = head.decode("cp1252", "replace")
    lines = [line for line in text.splitlines() if line.strip(" \t\x1a")][:_HEAD_LINES]
    # A line without many digits is a title, or of another list.
    if not lines or _digits(max(_meanings(lines[0]), key=_digits)) < DIGITS // 2:
        return False
    return any(_whole(line) is not None or _is_bare(line) for line in lines)


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
        match = _match(line)
        if match is None:
            yield ChequeProblem(_wrong(line), file, number, value=line.strip()[:60])
            continue
        cells = {
            "remise": slip or file,
            "rang": str(rank),
            "cmc7": match["cmc7"],
            "cle": match["key"] or "",
            "montant": match["amount"],
        }
        found = read_row(cells, file=file, line=number)
        if isinstance(found, ChequeProblem) and keyboard.wrong_layout(line):
            found = replace(found, message=f"{found.message} {layout_hint()}", value=line[:60])
        yield found
    if not rank:
        yield ChequeProblem(_("Le fichier ne contient aucun chèque."), file)


def _meanings(line: str) -> list[str]:
    """The line, and what a reader on the wrong keyboard layout meant: all of it, or the zones."""
    if len(line) >= _LONGEST:
        return [""]
    if not keyboard.wrong_layout(line):
        return [line]
    zones, tab, amount = line.rpartition("\t")
    return [line, keyboard.meant(line), keyboard.meant(zones) + tab + amount]


def _digits(text: str) -> int:
    return sum((c.isascii() and c.isdigit()) or c == UNREAD for c in text)


def _whole(line: str) -> re.Match[str] | None:
    """The parts of a line that has all of its digits, and an amount."""
    for meaning in _meanings(line):
        for form, whole in _WHOLE.items():
            match = form.match(meaning)
            if match is not None and _digits(match["cmc7"]) in whole:
                return match
    return None


def _match(line: str) -> re.Match[str] | None:
    return _whole(line) or next(
        (match for one in _meanings(line) if (match := _LINE.match(one))), None
    )


def _is_bare(line: str) -> bool:
    """True for a magnetic line without an amount."""
    for meaning in _meanings(line):
        if _BARE.match(meaning):
            try:
                read_line(meaning)
            except Cmc7Error:
                continue
            return True
    return False


def _wrong(line: str) -> str:
    if _is_bare(line):
        return _("Il manque le montant après la ligne CMC7 : une tabulation, puis 56,87.")
    message = _("On attend : ligne CMC7, clé entre parenthèses, tabulation, montant.")
    return f"{message} {layout_hint()}" if keyboard.wrong_layout(line) else message
