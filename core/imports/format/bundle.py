"""Parts of an import: its tables and its PDFs, whether in a zip, a folder or one CSV."""

from __future__ import annotations

import stat
import unicodedata
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from core.api.invoices import Attachment, SourceFile, SourceProblem
from core.platform.i18n import gettext as _
from core.platform.tabular.decoding import Opener
from core.platform.tabular.problems import CellError, RefusedError, problem

INVOICES, LINES = "factures.csv", "lignes.csv"

MAX_MEMBERS = 20_000
MAX_PDF = 10 * 1024 * 1024
"""Bytes. An invoice has one page or two."""

MAX_TABLE = 256 * 1024 * 1024
MAX_TOTAL = 2 * 1024 * 1024 * 1024
MAX_RATIO = 200
"""Sizes are bytes as unpacked. Honest tables pack 1 to 40 at most, a bomb 1 to 1 000."""

READ_ERRORS = (BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError)
"""Errors that reading a damaged archive or disk raises."""

_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_OTHER_FILES = (b"\xd0\xcf\x11\xe0", b"%PDF-", b"7z\xbc\xaf", b"Rar!", b"\x1f\x8b", b"<?xml")
_LITTER = frozenset({".ds_store", "thumbs.db", "desktop.ini"})
_ENCRYPTED = 0x1 | 0x40
_UTF8_NAME = 0x800


@dataclass(slots=True)
class _Pdf:
    name: str
    size: int
    read: Callable[[], bytes]
    cited: bool = False


@dataclass(slots=True)
class Bundle:
    """The parts of one import. `invoices` and `lines` are tables: a name, and how to open it."""

    invoices: tuple[str, Opener]
    lines: tuple[str, Opener] | None = None
    pdfs: dict[str, list[_Pdf]] = field(default_factory=dict)
    closed: bool = False
    """True for a zip, in which every PDF has to belong to an invoice."""
    close: Callable[[], None] = lambda: None
    """Lets go of the file; a PDF that is read later opens it again."""

    def document(self, name: str, *, cited: bool = True) -> Attachment | None:
        """The PDF of this file name, checked. None if there is none and it is not `cited`.

        Raises:
            CellError: it is not there, there are two, or it may not be shown to parents.
        """
        found = self.pdfs.get(_key(name), [])
        if not found:
            if cited:
                raise CellError(_("Ce PDF n’est pas joint à l’import."))
            return None
        if len(found) > 1:
            raise CellError(_("Plusieurs fichiers joints portent ce nom."))
        pdf = found[0]
        pdf.cited = True
        if pdf.size > MAX_PDF:
            raise CellError(_("Ce PDF dépasse %(limit)s Mo.") % {"limit": MAX_PDF >> 20})
        try:
            # Loaded with the first PDF: few processes of a portal ever read one.
            from core.imports.format.pdf import pdf_problem  # noqa: PLC0415

            refusal = pdf_problem(pdf.read())
        except READ_ERRORS:
            refusal = _("Ce PDF est abîmé.")
        if refusal:
            raise CellError(refusal)
        return Attachment(pdf.name, pdf.read)

    def left_over(self) -> Iterator[SourceProblem]:
        """A problem for each PDF of a zip that no invoice names."""
        if self.closed:
            for pdf in (pdf for same in self.pdfs.values() for pdf in same if not pdf.cited):
                pdf.cited = True  # One PDF may stand under several spellings of its name.
                yield problem(_("Aucune facture ne cite ce PDF."), pdf.name)

    def add(self, pdf: _Pdf, spellings: Iterable[str]) -> None:
        """List a PDF under every name by which it may be cited."""
        for key in {_key(spelling) for spelling in spellings}:
            self.pdfs.setdefault(key, []).append(pdf)


def open_bundle(file: SourceFile) -> Bundle:
    """Look at what `file` is and list its parts.

    A plain CSV takes its PDFs from its own folder, or a ``pdf`` folder in it; but only under its
    own name, because an upload that waits under another one has strangers for neighbours.

    Raises:
        RefusedError: it is no import, or one that may not be unpacked.
        OSError: it cannot be read.
    """
    if file.path.is_dir():
        return _folder(file)
    with file.path.open("rb") as source:
        start = source.read(8)
    if start.startswith(_ZIP):
        return _zip(file)
    if start.startswith(_OTHER_FILES):
        raise RefusedError(problem(_not_an_import(), file.name))
    bundle = Bundle((file.name, lambda: file.path.open("rb")))
    if file.path.name == file.name:
        _add_neighbours(bundle, file.path.parent)
    return bundle


def _not_an_import() -> str:
    return _("Fichier CSV ou zip attendu. Depuis un tableur : « Enregistrer sous », « CSV UTF-8 ».")


def _folder(file: SourceFile) -> Bundle:
    def table(name: str) -> tuple[str, Opener] | None:
        path = file.path / name
        return (name, lambda: path.open("rb")) if path.is_file() else None

    invoices = table(INVOICES)
    if invoices is None:
        message = _("Ce dossier ne contient pas de fichier %(name)s.") % {"name": INVOICES}
        raise RefusedError(problem(message, file.name))
    bundle = Bundle(invoices, table(LINES))
    _add_neighbours(bundle, file.path)
    return bundle


def _add_neighbours(bundle: Bundle, folder: Path) -> None:
    for directory in (folder, folder / "pdf"):
        if directory.is_dir():
            for path in directory.iterdir():
                # No link: it may lead out of the folder.
                if path.suffix.lower() == ".pdf" and path.is_file() and not path.is_symlink():
                    pdf = _Pdf(path.name, path.stat().st_size, path.read_bytes)
                    bundle.add(pdf, [path.name])


def _zip(file: SourceFile) -> Bundle:
    try:
        archive = _Archive(file.path)
    except READ_ERRORS as error:
        raise RefusedError(problem(_("Cette archive zip est abîmée."), file.name)) from error
    try:
        return _zip_bundle(file.name, archive)
    except RefusedError:
        archive.close()
        raise


def _zip_bundle(name: str, archive: _Archive) -> Bundle:
    members = archive.members()
    if any(info.filename == "[Content_Types].xml" for info in members):
        raise RefusedError(problem(_not_an_import(), name))
    problems = list(_zip_problems(name, members))
    if problems:
        raise RefusedError(*problems)
    tables = {_base(info): info for info in members if _base(info).endswith(".csv")}
    lines = tables.pop(LINES, None)
    # With only one table there is no doubt which it is.
    invoices = tables.popitem()[1] if len(tables) == 1 else tables.pop(INVOICES, None)
    if invoices is None:
        message = _("Cette archive ne contient pas de fichier %(name)s.") % {"name": INVOICES}
        raise RefusedError(problem(message, name))
    strangers = [*tables, *(_base(i) for i in members if not _base(i).endswith((".csv", ".pdf")))]
    if strangers:
        message = _("Fichier inattendu dans l’archive.")
        raise RefusedError(*(problem(message, stranger) for stranger in strangers))
    bundle = Bundle(
        (_base(invoices), archive.opener(invoices)),
        (_base(lines), archive.opener(lines)) if lines else None,
        closed=True,
        close=archive.close,
    )
    for info in members:
        if _base(info).endswith(".pdf"):
            spellings = _spellings(info)
            pdf = _Pdf(spellings[0].rpartition("/")[2], info.file_size, archive.reader(info))
            bundle.add(pdf, spellings)
    return bundle


class _Archive:
    """A zip that stays open while it is imported, and opens again for who comes late.

    Opening a zip reads its whole list of members: once a member would cost a square of them.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._zip: ZipFile | None = ZipFile(path)

    def members(self) -> list[ZipInfo]:
        return [info for info in self._opened().infolist() if not _is_litter(info)]

    def opener(self, info: ZipInfo) -> Opener:
        return lambda: self._opened().open(info)

    def reader(self, info: ZipInfo) -> Callable[[], bytes]:
        return lambda: self._opened().read(info)

    def close(self) -> None:
        if self._zip is not None:
            self._zip.close()
            self._zip = None

    def _opened(self) -> ZipFile:
        if self._zip is None:
            self._zip = ZipFile(self._path)
        return self._zip


def _zip_problems(name: str, members: list[ZipInfo]) -> Iterator[SourceProblem]:
    if len(members) > MAX_MEMBERS:
        message = _("Plus de %(limit)s fichiers dans l’archive.") % {"limit": MAX_MEMBERS}
        yield problem(message, name)
        return
    if sum(info.file_size for info in members) > MAX_TOTAL:
        yield problem(_("Archive trop grande une fois décompressée."), name)
    seen: set[str] = set()
    for info in members:
        reason = _member_problem(info)
        if not reason and _base(info).endswith(".csv") and _base(info) in seen:
            reason = _("Ce fichier figure deux fois dans l’archive.")
        seen.add(_base(info))
        if reason:
            yield problem(reason, name, value=info.orig_filename)


def _member_problem(info: ZipInfo) -> str:
    path = info.orig_filename.replace("\\", "/")
    if path.startswith("/") or ".." in path.split("/") or ":" in path or "\0" in path:
        return _("Nom de fichier interdit : il désigne un endroit hors de l’archive.")
    if stat.S_ISLNK(info.external_attr >> 16):
        return _("Lien symbolique interdit dans une archive.")
    if info.flag_bits & _ENCRYPTED:
        return _("Archive protégée par un mot de passe : envoyez-la sans.")
    if info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        return _("Compression inconnue : utilisez un zip ordinaire.")
    table = _base(info).endswith(".csv")
    if info.file_size > (MAX_TABLE if table else MAX_PDF) or (
        info.file_size > 1 << 20 and info.file_size > MAX_RATIO * info.compress_size
    ):
        return _("Fichier trop grand une fois décompressé.")
    return ""


def _is_litter(info: ZipInfo) -> bool:
    """True for a folder, or a file that an operating system left in the archive."""
    base = _base(info)
    return (
        info.is_dir()
        or base in _LITTER
        or base.startswith("._")
        or info.orig_filename.startswith("__MACOSX/")
    )


def _base(info: ZipInfo) -> str:
    return info.filename.replace("\\", "/").rpartition("/")[2].lower()


def _spellings(info: ZipInfo) -> list[str]:
    """A member's name as it may have been meant, likeliest first.

    Without the UTF-8 flag, Python reads it as CP437; Macs write UTF-8 all the same, and French
    Windows writes CP850.
    """
    path = info.filename.replace("\\", "/")
    if info.flag_bits & _UTF8_NAME or path.isascii():
        return [path]
    raw = path.encode("cp437")
    try:
        return [raw.decode("utf-8")]
    except UnicodeDecodeError:
        return [raw.decode("cp850"), path]


def _key(name: str) -> str:
    # Macs decompose accents, Windows ignores case.
    return unicodedata.normalize("NFC", name.replace("\\", "/").rpartition("/")[2]).casefold()
