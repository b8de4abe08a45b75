"""From bytes to lines: which encoding a file has, and lines of a bounded length."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator
from io import TextIOWrapper
from typing import IO

from core.i18n import gettext as _
from core.sources.problems import RefusedError, problem

Opener = Callable[[], IO[bytes]]
"""Opens the same bytes from their start, as often as it is called."""

MAX_LINE = 64 * 1024
"""Characters. The longest honest line has some 2 000; a longer one is a damaged file."""

_CHUNK = 1 << 20
_OTHER_UNICODE = (
    codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE,
)  # fmt: skip
_NOT_WINDOWS_1252 = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")


def encoding_of(name: str, opener: Opener) -> str:
    """``utf-8-sig`` if every byte of the file is UTF-8, else ``cp1252``.

    The whole file is looked at, because a Windows-1252 file may hold its first accent on its last
    line; and UTF-8 comes first, because text in another encoding is practically never valid UTF-8.

    Raises:
        RefusedError: the file is UTF-16 or UTF-32, or no text in either of the two encodings.
    """
    with opener() as source:
        if source.read(4).startswith(_OTHER_UNICODE):
            message = _("Ce fichier est en UTF-16 ou UTF-32. Enregistrez-le en « CSV UTF-8 ».")
            raise RefusedError(problem(message, name))
    if _is_utf8(opener):
        return "utf-8-sig"
    line = 1
    with opener() as source:
        while chunk := source.read(_CHUNK):
            wrong = _NOT_WINDOWS_1252.search(chunk)
            if wrong:
                message = _(
                    "Cette ligne n’est ni en UTF-8 ni en Windows-1252. "
                    "Enregistrez le fichier en « CSV UTF-8 »."
                )
                line += chunk.count(b"\n", 0, wrong.start())
                raise RefusedError(problem(message, name, line))
            line += chunk.count(b"\n")
    return "cp1252"


def _is_utf8(opener: Opener) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    with opener() as source:
        try:
            while chunk := source.read(_CHUNK):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True


def numbered_lines(name: str, opener: Opener, encoding: str) -> Iterator[tuple[int, str]]:
    """The lines of a file, each with its number (from 1) and without its end.

    Raises:
        RefusedError: a line is longer than `MAX_LINE`. It is never held in memory whole.
    """
    with TextIOWrapper(opener(), encoding=encoding) as text:
        number = 0
        while line := text.readline(MAX_LINE + 1):
            number += 1
            if len(line) > MAX_LINE:
                message = _("Cette ligne dépasse %(limit)s caractères : le fichier est abîmé.")
                raise RefusedError(problem(message % {"limit": MAX_LINE}, name, number, value=line))
            yield number, line.rstrip("\n")
