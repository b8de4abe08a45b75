"""The PDFs that came with a file, and for whom each is."""

from __future__ import annotations

import gzip
import hashlib
import io
import tempfile
import weakref
import zlib
from base64 import b64decode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from core.plugin import gettext as _
from plugins.pes_recette.parties import party
from plugins.pes_recette.reader import PesError, Piece, State, Values, walk

MAX_ATTACHMENT_BYTES = 20 * 2**20
"""Bytes of one attachment, unpacked."""

INVOICES = ("010", "007")
"""``TypePJ`` of a debtor's own invoice, the better first. No other type is ever shown: 002 is a
supporting document and may list other debtors, 006 an XML, 008 and 011 leaflets and complements."""


@dataclass(frozen=True, slots=True)
class Stored:
    """An attachment that lies in the spool: which kind, what it is called, and where."""

    kind: str
    name: str
    start: int
    length: int
    digest: bytes


class Attachments:
    """The invoices among a file's attachments, unpacked once into a temporary file.

    PES puts them behind the pieces that refer to them: a second pass over the file finds them. It
    notes as well who cites each, by its key and by its content: what two debtors cite is the
    invoice of neither, whatever its type says.
    """

    def __init__(self, path: Path) -> None:
        # Open for as long as an invoice that was yielded may still be asked for its PDF.
        self._spool: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        weakref.finalize(self, self._spool.close)
        self._stored: dict[str, Stored | None] = {}
        self._cited: dict[str, str | None] = {}
        state = State()
        content: bytes | None = None
        values: Values = {}
        for happening, element, stack in walk(path):
            where = stack[-3:]
            if happening == "end" and where[-2:] == ["Contenu", "Fichier"]:
                content = _unpacked(element)
            elif happening == "start" and where[-2:] == ["PES_PJ", "PJ"]:
                content, values = None, {}
            elif happening == "start" and where[:2] == ["PES_PJ", "PJ"]:
                values[where[-1]] = (element.get("V") or "").strip()
            elif happening == "end" and where[-2:] == ["PES_PJ", "PJ"] and content is not None:
                self._keep(values, content)
            found = state.take(happening, element, stack)
            if isinstance(found, Piece):
                for key, who in _citations(found):
                    # Nobody is certain to be the same as anybody, not even as himself.
                    same = who != "" and self._cited.get(key, who) == who
                    self._cited[key] = who if same else None
        self._by_content: dict[bytes, str | None] = {}
        for key, stored in self._stored.items():
            if stored is not None and key in self._cited:
                owner = self._cited[key]
                alone = self._by_content.get(stored.digest, owner) == owner
                self._by_content[stored.digest] = owner if alone else None

    def _keep(self, values: Values, content: bytes) -> None:
        key, kind = values.get("IdUnique", ""), values.get("TypePJ", "").zfill(3)
        if kind not in INVOICES or not content.startswith(b"%PDF-"):
            return
        digest = hashlib.sha256(content).digest()
        known = self._stored.get(key)
        if key in self._stored:
            if known is None or known.digest != digest:
                self._stored[key] = None  # One key, two documents: which of them is meant?
            return
        self._stored[key] = Stored(
            kind, values.get("NomPJ", "")[:200], self._spool.tell(), len(content), digest
        )
        self._spool.write(content)

    def invoice(self, keys: Sequence[str]) -> Stored | None:
        """The invoice among the attachments of these keys, if one came that is one debtor's own."""
        found = [stored for stored in map(self._stored.get, keys) if stored is not None]
        own = [stored for stored in found if self._by_content.get(stored.digest) is not None]
        return min(own, key=lambda stored: INVOICES.index(stored.kind), default=None)

    def content(self, stored: Stored) -> bytes:
        """Its bytes."""
        self._spool.seek(stored.start)
        return self._spool.read(stored.length)


def _citations(piece: Piece) -> Iterator[tuple[str, str]]:
    """The attachments that a piece names, each with whom it is for, as often as it is named."""
    for line in piece.lines:
        who = party(line)
        for key in (*piece.attached, *line.attached):
            yield key, who


def _unpacked(element: Any) -> bytes:
    """Base64, and below it a gzip or the file itself; unpacked to `MAX_ATTACHMENT_BYTES`."""
    try:
        content = b64decode("".join((element.text or "").split()), validate=True)
        if content.startswith(b"\x1f\x8b"):
            content = gzip.GzipFile(fileobj=io.BytesIO(content)).read(MAX_ATTACHMENT_BYTES + 1)
    except (ValueError, OSError, EOFError, zlib.error) as error:
        raise PesError(_("Une pièce jointe est abîmée."), element.sourceline or 0) from error
    if len(content) > MAX_ATTACHMENT_BYTES:
        raise PesError(_("Une pièce jointe est trop grande."), element.sourceline or 0)
    return content
