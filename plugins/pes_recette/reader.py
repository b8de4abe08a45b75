"""Reading PES V2 recette: a stream of pieces, whatever the size of the file.

Every datum of PES is an empty element with an attribute ``V``. Nothing is kept of an element once
it has ended, so that memory holds one piece at a time. Unknown elements are passed over; what is
not XML, not PES recette, or larger than any piece could be, is a `PesError`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lxml import etree

from core.plugin import gettext as _
from plugins.pes_recette import text

ROOT = "{http://www.minefi.gouv.fr/cp/helios/pes_v2/Rev0/aller}PES_Aller"
VERSION = "2"

MAX_DEPTH = 40
MAX_LINES = 1000
"""Lines of one piece; a year of a canteen has some hundreds."""
MAX_REFERENCES = 50
MAX_DEBTORS = 50
"""Debtors of one line: the format sets no limit, a household has two."""
MAX_TEXT_CHARACTERS = 4000
"""Characters of one datum; the longest that the format knows has some hundred."""

_KEPT = {
    "EnTetePES": {"IdColl", "CodBud"},
    "EnTeteRecette": {"IdVer"},
    "BlocBordereau": {
        "Exer", "IdBord", "DteBordEm", "TypBord", "NbrPce", "MtBordHt", "MtBordTVA", "DteAsp",
    },
    "BlocPiece": {
        "IdPce", "TypPce", "NatPce", "ObjPce", "DteAsp", "DebFact", "FinFact", "NumDette", "Per",
        "NumeroFacture",
    },
    "InfoLignePiece": {"IdLigne", "ObjLignePce", "CodProdLoc", "MtHT", "MtTVA"},
    "RattachPiece": {"ExerRat", "IdPceOrig"},
    "InfoTiers": {
        "IdTiers", "NatIdTiers", "RefTiers", "CatTiers", "TypTiers", "Civilite", "Nom", "ComplNom",
        "Prenom",
    },
    "Adresse": {"TypAdr", "Adr1", "Adr2", "Adr3", "CP", "Ville"},
    "PJRef": {"IdUnique", "NomPJ"},
    "Recouvrement": {"MtReco", "IdEncaissement"},
}  # fmt: skip
"""Data that is read of each block. Everything else may come and go with versions and publishers."""

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
    """A ``LigneDePiece``: its own data, all whom it names, and what it corrects.

    `tiers` are the principal debtor and whoever answers for the debt beside him, in the file's
    order. `attached` are the keys of the line's own attachments.
    """

    row: int
    values: Values = field(default_factory=dict)
    tiers: list[Values] = field(default_factory=list)
    corrects: Values = field(default_factory=dict)
    collected: Values = field(default_factory=dict)
    by_debit: bool = False
    attached: list[str] = field(default_factory=list)
    amount: int = 0
    """Cents, VAT included; set once the amounts are read."""


@dataclass(slots=True)
class Slip:
    """A ``Bordereau``, and what was seen in it so far."""

    row: int
    number: int
    values: Values = field(default_factory=dict)
    pieces: int = 0


@dataclass(slots=True)
class Piece:
    """A ``Piece`` of its slip. `attached` are the keys of attachments that concern all of it."""

    row: int
    slip: Slip
    values: Values = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list)
    attached: list[str] = field(default_factory=list)

    @property
    def has_attachments(self) -> bool:
        """True if the piece, or a line of it, refers to an attachment."""
        return bool(self.attached) or any(line.attached for line in self.lines)


@dataclass(frozen=True, slots=True)
class Opened:
    """The file's head was read: the SIRET of the town, and which of its budgets this is."""

    town: str
    budget: str = ""


@dataclass(frozen=True, slots=True)
class Closed:
    """A slip ended; nothing more of it will come."""

    slip: Slip


def read(path: Path) -> Iterator[Opened | Piece | Closed]:
    """Yield what the file holds, in its order.

    Raises:
        PesError: where reading ends.
    """
    state = State()
    for happening, element, stack in walk(path):
        if (found := state.take(happening, element, stack)) is not None:
            yield found
    if not state.pieces:
        raise PesError(_("Ce fichier PES ne contient aucune pièce de recette."))


class State:
    """Position of the reader in the file."""

    def __init__(self) -> None:
        self.pieces = 0
        self.slips = 0
        self._head: Values = {}
        self._recette: Values = {}
        self._slip: Slip | None = None
        self._piece: Piece | None = None
        self._line: Line | None = None
        self._reference: Values = {}
        self._address: Values = {}

    def take(
        self, happening: str, element: Any, stack: list[str]
    ) -> Opened | Piece | Closed | None:
        """Go on by one event of `walk`: what is complete with it."""
        if happening == "start":
            self._begin(element, stack)
            return None
        return self._end(stack)

    def _begin(self, element: Any, stack: list[str]) -> None:
        """An element begins; its attributes are known, its content is not."""
        tag, row = stack[-1], element.sourceline or 0
        match tag:
            # A file may hold the town's expenses beside its receipts, in blocks of the same names.
            case "Bordereau" if "PES_RecetteAller" in stack:
                self.slips += 1
                self._slip = Slip(row, self.slips)
            case "Piece" if self._slip is not None:
                self._piece = Piece(row, self._slip)
            case "LigneDePiece" if self._piece is not None:
                if len(self._piece.lines) == MAX_LINES:
                    message = _("Plus de %(limit)s lignes pour une pièce.") % {"limit": MAX_LINES}
                    raise PesError(message, row)
                self._line = Line(row)
                self._piece.lines.append(self._line)
            # The second since 2014; the first stays for debits that the town itself remits.
            case "InfoPrelevement" | "InfoPrelevementSEPA" if self._line is not None:
                self._line.by_debit = True
            case "Tiers" if self._line is not None:
                if len(self._line.tiers) == MAX_DEBTORS:
                    message = _("Plus de %(limit)s débiteurs pour une ligne.")
                    raise PesError(message % {"limit": MAX_DEBTORS}, row)
                self._line.tiers.append({})
            case "Adresse" if self._line is not None:
                self._address = {}
            case "PJRef":
                self._reference = {}
        parent = stack[-2] if len(stack) > 1 else ""
        if tag in _KEPT.get(parent, ()) and (value := element.get("V")) is not None:
            target = self._target(parent, stack)
            if target is not None:
                if len(value) > MAX_TEXT_CHARACTERS:
                    raise PesError(_("Cette donnée est trop longue."), row, tag, value)
                target[tag] = _text(value, tag, row).strip()

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
            case "Recouvrement":
                return self._line.collected
            case "InfoTiers" if self._line.tiers and "Tiers" in stack:
                return self._line.tiers[-1]
            case "Adresse" if self._line.tiers and "Tiers" in stack:
                return self._address
        return None

    def _end(self, stack: list[str]) -> Opened | Piece | Closed | None:
        """An element ends: what it completes."""
        match stack[-1]:
            case "EnTeteRecette":
                version = self._recette.get("IdVer", "")
                if version != VERSION:
                    raise PesError(_("Version de PES recette inconnue."), 0, "IdVer", version)
                return Opened(self._head.get("IdColl", ""), self._head.get("CodBud", ""))
            case "PJRef" if self._piece is not None:
                key = self._reference.get("IdUnique", "")
                attached = (self._line or self._piece).attached
                if key and len(attached) < MAX_REFERENCES:
                    attached.append(key)
            case "Adresse" if self._line is not None and self._line.tiers:
                known = self._line.tiers[-1]
                # Of several addresses the principal one, else the first.
                if "TypAdr" not in known or (
                    self._address.get("TypAdr") == "1" != known.get("TypAdr")
                ):
                    for name in _KEPT["Adresse"]:
                        known.pop(name, None)
                    known.update({"TypAdr": ""} | self._address)
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


def walk(path: Path) -> Iterator[tuple[str, Any, list[str]]]:
    """Begin and end of each element, with the local names from the root down to it.

    Raises:
        PesError: this is no PES file, or it breaks off.
    """
    stack: list[str] = []
    try:
        encoding = text.encoding_of(path)
        with path.open("rb") as file:
            # No entity is resolved, no other file or address opened, no text node above 10 MB.
            events = etree.iterparse(
                file, events=("start", "end"), resolve_entities=False, no_network=True,
                load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True,
                encoding=encoding,
            )  # fmt: skip
            for happening, element in events:
                if happening == "start":
                    if not stack:
                        _check_root(element)
                    stack.append(element.tag.rpartition("}")[2])
                    if len(stack) > MAX_DEPTH:
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
    except text.UnreadableError as error:
        row = int(str(error))
        raise PesError(_("Ce fichier n’est pas un texte d’un encodage connu."), row) from error


def _text(value: str, tag: str, row: int) -> str:
    try:
        return text.repaired(value)
    except text.UnreadableError:
        raise PesError(
            _("Ce texte est abîmé : son encodage n’est pas celui que le fichier annonce."),
            row, tag, value,
        ) from None  # fmt: skip


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
