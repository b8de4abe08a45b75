"""Reading PES V2 recette: a stream of pieces, whatever the size of the file.

Every datum of PES is an empty element with an attribute ``V``. Nothing is kept of an element once
it has ended, so that memory holds one piece at a time. Unknown elements are passed over; what is
not XML, not PES recette, or larger than any piece could be, is a `PesError`.
"""

from __future__ import annotations

import gzip
import io
import tempfile
import zlib
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from lxml import etree

from core.plugin import gettext as _

ROOT = "{http://www.minefi.gouv.fr/cp/helios/pes_v2/Rev0/aller}PES_Aller"
VERSION = "2"

DEEPEST = 40
MOST_LINES = 1000
"""Lines of one piece; a year of a canteen has some hundreds."""
MOST_REFERENCES = 50
LONGEST = 4000
"""Characters of one datum; the longest that the format knows has some hundred."""
LARGEST = 20 * 2**20
"""Bytes of one attachment, unpacked."""

_KEPT = {
    "EnTetePES": {"IdColl"},
    "EnTeteRecette": {"IdVer"},
    "BlocBordereau": {
        "Exer", "IdBord", "DteBordEm", "TypBord", "NbrPce", "MtBordHt", "MtBordTVA", "DteAsp",
    },
    "BlocPiece": {
        "IdPce", "TypPce", "ObjPce", "DteAsp", "DebFact", "FinFact", "NumDette", "Per",
        "NumeroFacture",
    },
    "InfoLignePiece": {"IdLigne", "ObjLignePce", "CodProdLoc", "MtHT", "MtTVA"},
    "RattachPiece": {"ExerRat", "IdPceOrig"},
    "InfoTiers": {"IdTiers", "RefTiers", "Civilite", "Nom", "ComplNom", "Prenom"},
    "Adresse": {"Adr1", "Adr2", "Adr3", "CP", "Ville"},
    "PJRef": {"IdUnique", "NomPJ"},
}  # fmt: skip
"""What is read of each block. Everything else may come and go with versions and publishers."""

Values = dict[str, str]


class PesError(Exception):
    """The rest of the file cannot be read; the message is in the reader's language."""

    def __init__(self, message: str, line: int = 0, column: str = "", value: str = "") -> None:
        super().__init__(message)
        self.line = line
        self.column = column
        self.value = value


@dataclass(slots=True)
class Line:
    """A ``LigneDePiece``: its own data, its debtor, and what it corrects."""

    row: int
    values: Values = field(default_factory=dict)
    debtor: Values = field(default_factory=dict)
    corrects: Values = field(default_factory=dict)
    by_debit: bool = False


@dataclass(slots=True)
class Slip:
    """A ``Bordereau``, and what was seen in it so far."""

    row: int
    number: int
    values: Values = field(default_factory=dict)
    pieces: int = 0


@dataclass(slots=True)
class Piece:
    """A ``Piece``: one invoice of its slip. `attached` are the keys of its attachments."""

    row: int
    slip: Slip
    values: Values = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list)
    attached: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Opened:
    """The file's head was read."""

    town: str


@dataclass(frozen=True, slots=True)
class Closed:
    """A slip ended; nothing more of it will come."""

    slip: Slip


def read(path: Path) -> Iterator[Opened | Piece | Closed]:
    """Yield what the file holds, in its order.

    Raises:
        PesError: where reading ends.
    """
    state = _State()
    for happening, element, stack in _walk(path):
        if happening == "start":
            state.begin(element, stack)
        elif (found := state.end(stack)) is not None:
            yield found
    if not state.pieces:
        raise PesError(_("Ce fichier PES ne contient aucune pièce de recette."))


class _State:
    """Where one is in the file."""

    def __init__(self) -> None:
        self.pieces = 0
        self.slips = 0
        self._head: Values = {}
        self._recette: Values = {}
        self._slip: Slip | None = None
        self._piece: Piece | None = None
        self._line: Line | None = None
        self._reference: Values = {}

    def begin(self, element: Any, stack: list[str]) -> None:
        """An element begins; its attributes are known, its content is not."""
        tag, row = stack[-1], element.sourceline or 0
        match tag:
            case "Bordereau":
                self.slips += 1
                self._slip = Slip(row, self.slips)
            case "Piece" if self._slip is not None:
                self._piece = Piece(row, self._slip)
            case "LigneDePiece" if self._piece is not None:
                if len(self._piece.lines) == MOST_LINES:
                    message = _("Plus de %(limit)s lignes pour une pièce.") % {"limit": MOST_LINES}
                    raise PesError(message, row)
                self._line = Line(row)
                self._piece.lines.append(self._line)
            case "InfoPrelevementSEPA" if self._line is not None:
                self._line.by_debit = True
            case "PJRef":
                self._reference = {}
        parent = stack[-2] if len(stack) > 1 else ""
        if tag in _KEPT.get(parent, ()) and (value := element.get("V")) is not None:
            target = self._target(parent, stack)
            if target is not None:
                if len(value) > LONGEST:
                    raise PesError(_("Cette donnée est trop longue."), row, tag, value)
                target[tag] = value.strip()

    def _target(self, parent: str, stack: list[str]) -> Values | None:
        """The values that a datum of the block `parent` belongs to."""
        match parent:
            case "EnTetePES":
                return self._head
            case "EnTeteRecette":
                return self._recette
            case "BlocBordereau" if self._slip is not None:
                return self._slip.values
            case "BlocPiece" if self._piece is not None:
                return self._piece.values
            case "PJRef":
                return self._reference
        if self._line is None:
            return None
        match parent:
            case "InfoLignePiece":
                return self._line.values
            case "RattachPiece":
                return self._line.corrects
            case "InfoTiers" | "Adresse" if "Tiers" in stack:
                return self._line.debtor
        return None

    def end(self, stack: list[str]) -> Opened | Piece | Closed | None:
        """An element ends: what it completes."""
        match stack[-1]:
            case "EnTeteRecette":
                version = self._recette.get("IdVer", "")
                if version != VERSION:
                    raise PesError(_("Version de PES recette inconnue."), 0, "IdVer", version)
                return Opened(self._head.get("IdColl", ""))
            case "PJRef" if self._piece is not None:
                key = self._reference.get("IdUnique", "")
                if key and len(self._piece.attached) < MOST_REFERENCES:
                    self._piece.attached.append(key)
            case "LigneDePiece":
                self._line = None
            case "Piece" if self._piece is not None:
                done, self._piece, self._line = self._piece, None, None
                self.pieces += 1
                done.slip.pieces += 1
                return done
            case "Bordereau" if self._slip is not None:
                closed, self._slip = Closed(self._slip), None
                return closed
        return None


def _walk(path: Path) -> Iterator[tuple[str, Any, list[str]]]:
    """Begin and end of each element, with the local names from the root down to it.

    Raises:
        PesError: this is no PES file, or it breaks off.
    """
    stack: list[str] = []
    try:
        with path.open("rb") as file:
            # No entity is resolved, no other file or address opened, no text node above 10 MB.
            events = etree.iterparse(
                file, events=("start", "end"), resolve_entities=False, no_network=True,
                load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True,
            )  # fmt: skip
            for happening, element in events:
                if happening == "start":
                    if not stack:
                        _check_root(element)
                    stack.append(element.tag.rpartition("}")[2])
                    if len(stack) > DEEPEST:
                        raise PesError(
                            _("Ce fichier n’est pas un PES recette."), element.sourceline
                        )
                    yield happening, element, stack
                else:
                    yield happening, element, stack
                    stack.pop()
                    _forget(element)
    except etree.XMLSyntaxError as error:
        row = error.lineno or 0
        raise PesError(_("Le fichier XML est incomplet ou abîmé."), row) from error
    except OSError as error:
        raise PesError(_("Le fichier ne peut pas être lu.")) from error


def _check_root(element: Any) -> None:
    if element.getroottree().docinfo.doctype or element.tag != ROOT:
        raise PesError(_("Ce fichier n’est pas un PES recette."))


def _forget(element: Any) -> None:
    """Free an element and what stood before it: parents would keep them until the file's end."""
    element.clear()
    parent = element.getparent()
    if parent is not None:
        while element.getprevious() is not None:
            del parent[0]


@dataclass(frozen=True, slots=True)
class Stored:
    """An attachment that lies in the spool: which kind, what it is called, and where."""

    kind: str
    name: str
    start: int
    length: int


class Attachments:
    """The PDFs of a file, unpacked once into a temporary file and read from there when wanted.

    PES puts them behind the pieces that refer to them: a second pass over the file finds them.
    """

    def __init__(self, path: Path) -> None:
        # Open for as long as an invoice that was yielded may still be asked for its PDF.
        self._spool: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        self._stored: dict[str, Stored] = {}
        content: bytes | None = None
        values: Values = {}
        for happening, element, stack in _walk(path):
            where = stack[-3:]
            if happening == "end" and where[-2:] == ["Contenu", "Fichier"]:
                content = _unpacked(element)
            elif happening == "start" and where[-2:] == ["PES_PJ", "PJ"]:
                content, values = None, {}
            elif happening == "start" and where[:2] == ["PES_PJ", "PJ"]:
                values[where[-1]] = (element.get("V") or "").strip()
            elif happening == "end" and where[-2:] == ["PES_PJ", "PJ"] and content is not None:
                self._keep(values, content)

    def _keep(self, values: Values, content: bytes) -> None:
        stored = Stored(
            values.get("TypePJ", ""), values.get("NomPJ", "")[:200], self._spool.tell(),
            len(content),
        )  # fmt: skip
        self._spool.write(content)
        self._stored.setdefault(values.get("IdUnique", ""), stored)

    def find(self, key: str) -> Stored | None:
        """The attachment of this key, if it came with the file."""
        return self._stored.get(key)

    def content(self, stored: Stored) -> bytes:
        """Its bytes."""
        self._spool.seek(stored.start)
        return self._spool.read(stored.length)


def _unpacked(element: Any) -> bytes:
    """Base64, and below it a gzip or the file itself; unpacked to `LARGEST` bytes at most."""
    try:
        content = b64decode("".join((element.text or "").split()), validate=True)
        if content.startswith(b"\x1f\x8b"):
            content = gzip.GzipFile(fileobj=io.BytesIO(content)).read(LARGEST + 1)
    except (ValueError, OSError, EOFError, zlib.error) as error:
        raise PesError(_("Une pièce jointe est abîmée."), element.sourceline or 0) from error
    if len(content) > LARGEST:
        raise PesError(_("Une pièce jointe est trop grande."), element.sourceline or 0)
    return content
