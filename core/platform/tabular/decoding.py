"""From bytes to lines: which encoding a file has, and lines of a bounded length."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import TextIOWrapper
from typing import IO

from core.domain.tabular.decoding import CHUNK_BYTES, DOS_END, DecodeError, Encoding, detect
from core.platform.i18n import gettext as _
from core.platform.tabular.problems import RefusedError, problem

Opener = Callable[[], IO[bytes]]
"""Opens the same bytes from their start, as often as it is called."""

MAX_LINE = 64 * 1024
"""Characters. The longest honest line has some 2 000; a longer one is a damaged file."""

def encoding_of(name: str, opener: Opener) -> Encoding:
    """In which encoding a file is, by all its bytes.

    Raises:
        RefusedError: it is no text, or text in two encodings.
    """

    def chunks() -> Iterator[bytes]:
        with opener() as source:
            while chunk := source.read(CHUNK_BYTES):
                yield chunk

    try:
        return detect(chunks)
    except DecodeError as error:
        message = _(
            "Cette ligne n’est ni en UTF-8 ni en Windows-1252. "
            "Enregistrez le fichier en « CSV UTF-8 »."
        )
        raise RefusedError(problem(message, name, error.line)) from None


def numbered_lines(name: str, opener: Opener, encoding: Encoding) -> Iterator[tuple[int, str]]:
    """The lines of a file, each with its number (from 1) and without its end.

    Raises:
        RefusedError: a line is longer than `MAX_LINE`, which is never held in memory whole, or is
            no text where the file's mark said so.
    """
    with TextIOWrapper(opener(), encoding=encoding.codec) as text:
        number = 0
        try:
            while line := text.readline(MAX_LINE + 1):
                number += 1
                if len(line) > MAX_LINE:
                    message = _("Cette ligne dépasse %(limit)s caractères : le fichier est abîmé.")
                    raise RefusedError(
                        problem(message % {"limit": MAX_LINE}, name, number, value=line)
                    )
                bare = line.rstrip("\n")
                if bare.startswith(DOS_END) and not text.read(1):
                    return
                yield number, encoding.repaired(bare)
        except UnicodeDecodeError:
            message = _("Ce fichier est illisible ou abîmé.")
            raise RefusedError(problem(message, name, number + 1)) from None
