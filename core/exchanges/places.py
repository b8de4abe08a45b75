"""Files of a place: listed, read, written and moved, in a folder, over SFTP or over HTTPS.

Whatever is wrong with the place itself is a `PlaceError`, in words; the town goes on without it.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import stat
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Protocol, TypeVar, cast
from urllib.parse import unquote, urlsplit

from core.api.messages import Document
from core.platform.i18n import gettext as _
from core.platform.tenancy.exchanges import HttpsPlace, Place, SftpPlace

if TYPE_CHECKING:
    import asyncssh
    import httpx

MAX_LISTED: Final = 1000
"""Files of a place that are looked at; where there are more, somebody has to tidy up."""
MAX_FILE_BYTES: Final = 64 * 1024 * 1024
ANSWER_SECONDS: Final = 20.0
"""Seconds for a server to take a connection, and for each of its answers."""
TRANSFER_SECONDS: Final = 180.0
"""Seconds for one list, or one file."""
UNFINISHED: Final = (".part", ".partial", ".tmp", ".temp", ".filepart", ".crdownload", ".swp", "~")
"""Ends of names of files that a program is still writing."""
_PIECE_BYTES = 256 * 1024

T = TypeVar("T")


class PlaceError(Exception):
    """The place does not answer, or refuses: in words for the régie and the operator."""


class ChangedError(Exception):
    """The file changed while it was read: it is not whole yet."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a place, as its list tells it."""

    name: str
    size: int
    """Bytes; -1 where only reading tells."""
    modified: int
    """Seconds since 1970 on the other side's clock; 0 where nobody says."""

    @property
    def is_settled(self) -> bool:
        """True if an answer is either whole or none: it need not be seen twice."""
        return self.size < 0


class OpenPlace(Protocol):
    """A place, connected."""

    def list(self) -> list[Entry]:
        """Its files, in the order of their age."""
        ...

    def read(self, entry: Entry, out: BinaryIO) -> str:
        """Write a file into `out`; the name that it goes by. Raises `ChangedError`."""
        ...

    def put(self, document: Document, key: str) -> None:
        """Write a file, whole or not at all; the same `key` again overwrites the same file."""
        ...

    def move(self, name: str, folder: str) -> None:
        """Move a file into a folder below the place, in place of one of its name there."""
        ...


@contextmanager
def opened(place: Place) -> Iterator[OpenPlace]:
    """Connect to a place.

    Raises:
        PlaceError: it does not answer, or is not what it should be.
    """
    if place.folder is not None:
        yield Folder(place.folder)
    elif place.sftp is not None:
        with _sftp(place.sftp) as connected:
            yield connected
    else:
        assert place.https is not None  # noqa: S101 - one of the three is there
        with _https(place.https) as client:
            yield client


def is_wanted(name: str) -> bool:
    """Tell a file to be read from those that are hidden, or not finished."""
    return (
        0 < len(name) <= 200
        and name.isprintable()
        and not name.startswith(".")
        and not name.lower().endswith(UNFINISHED)
        and "/" not in name
        and "\\" not in name
    )


def _by_age(found: list[Entry]) -> list[Entry]:
    return sorted(found, key=lambda entry: (entry.modified, entry.name))


# --- A folder of this machine ---------------------------------------------------------------------


class Folder:
    """A folder of this machine. Nothing is followed out of it: links are no files."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def list(self) -> list[Entry]:
        """Its files, in the order of their age."""
        found = []
        try:
            with os.scandir(self._path) as entries:
                for entry in entries:
                    if is_wanted(entry.name) and entry.is_file(follow_symlinks=False):
                        known = entry.stat(follow_symlinks=False)
                        found.append(Entry(entry.name, known.st_size, int(known.st_mtime)))
                    if len(found) > MAX_LISTED:
                        raise PlaceError(_too_many())
        except OSError as error:
            raise PlaceError(_os_words(error)) from error
        return _by_age(found)

    def read(self, entry: Entry, out: BinaryIO) -> str:
        """Copy a file into `out`, if it is what was listed."""
        try:
            handle = os.open(self._path / entry.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with os.fdopen(handle, "rb") as source:
                _copy(source.read, out)
                known = os.fstat(source.fileno())
        except OSError as error:
            raise PlaceError(_os_words(error)) from error
        _same(entry, known.st_size, int(known.st_mtime))
        return entry.name

    def put(self, document: Document, key: str) -> None:  # noqa: ARG002 - its name is its key
        """Write beside, then rename: whoever looks sees the whole file or none."""
        target = self._path / document.name
        beside = self._path / f".{document.name}.part"
        try:
            with beside.open("wb") as out:
                out.write(document.content)
                out.flush()
                os.fsync(out.fileno())
            beside.replace(target)
        except OSError as error:
            raise PlaceError(_os_words(error)) from error

    def move(self, name: str, folder: str) -> None:
        """Move a file into a folder below."""
        try:
            (self._path / folder).mkdir(exist_ok=True)
            (self._path / name).rename(self._path / folder / name)
        except OSError as error:
            raise PlaceError(_os_words(error)) from error


# --- SFTP -----------------------------------------------------------------------------------------


@contextmanager
def _sftp(place: SftpPlace) -> Iterator[OpenPlace]:
    import asyncssh  # noqa: PLC0415 - a tenth of a second that few processes need

    try:
        known = [asyncssh.import_public_key(key) for key in place.host_keys]
        private = (
            [asyncssh.import_private_key(place.private_key.get_secret_value() + "\n")]
            if place.private_key
            else None
        )
    except (asyncssh.KeyImportError, ValueError) as error:
        raise PlaceError(
            _("La clé du serveur, ou la clé privée, est illisible : prévenez l’exploitant.")
        ) from error
    connect = partial(
        asyncssh.connect,
        place.host,
        place.port,
        username=place.user,
        password=place.password.get_secret_value() if place.password else None,
        client_keys=private,
        known_hosts=(known, [], []),
        # Nothing of the machine's user: neither configuration, nor agent, nor keys.
        config=None,
        agent_path=None,
        gss_host=None,
        connect_timeout=ANSWER_SECONDS,
        login_timeout=ANSWER_SECONDS,
        keepalive_interval=ANSWER_SECONDS,
    )
    with asyncio.Runner() as runner:
        connection: asyncssh.SSHClientConnection = _run(runner, connect)
        try:
            client: asyncssh.SFTPClient = _run(runner, connection.start_sftp_client)
            yield Sftp(partial(_run, runner), client, place.folder.rstrip("/") or "/")
        finally:
            connection.close()
            runner.run(_ended(connection))


async def _ended(connection: asyncssh.SSHClientConnection) -> None:
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            await connection.wait_closed()
    except (OSError, TimeoutError):
        connection.abort()


def _run(runner: asyncio.Runner, work: Callable[[], Awaitable[T]]) -> T:
    import asyncssh  # noqa: PLC0415 - loaded already

    async def bounded() -> T:
        async with asyncio.timeout(TRANSFER_SECONDS):
            return await work()

    try:
        return runner.run(bounded())
    except asyncssh.HostKeyNotVerifiable as error:
        raise PlaceError(
            _(
                "Le serveur ne présente pas la clé attendue : rien ne lui a été confié. "
                "Prévenez l’exploitant."
            )
        ) from error
    except asyncssh.PermissionDenied as error:
        raise PlaceError(
            _("Le serveur refuse le nom, le mot de passe ou la clé du portail.")
        ) from error
    except asyncssh.SFTPPermissionDenied as error:
        raise PlaceError(_("Le serveur refuse l’accès à ce dossier.")) from error
    except asyncssh.SFTPNoSuchFile as error:
        raise PlaceError(_("Le dossier, ou le fichier, n’existe pas sur le serveur.")) from error
    except TimeoutError as error:
        raise PlaceError(_("Le serveur ne répond pas.")) from error
    except (OSError, asyncssh.Error) as error:
        raise PlaceError(_("Le serveur ne répond pas.") + f" ({_brief(error)})") from error


class Sftp:
    """A directory of an SFTP server, over one connection."""

    def __init__(
        self,
        run: Callable[[Callable[[], Awaitable[Any]]], Any],
        client: asyncssh.SFTPClient,
        folder: str,
    ) -> None:
        self._run = run
        self._client = client
        self._folder = folder

    def list(self) -> list[Entry]:
        """Its files, in the order of their age."""

        async def listed() -> list[Entry]:
            found = []
            async for one in self._client.scandir(self._folder):
                name = one.filename
                if not isinstance(name, str) or not is_wanted(name):
                    continue
                known = one.attrs
                if not stat.S_ISREG(known.permissions or 0):
                    continue
                found.append(Entry(name, known.size or 0, int(known.mtime or 0)))
                if len(found) > MAX_LISTED:
                    raise PlaceError(_too_many())
            return found

        entries: list[Entry] = self._run(listed)
        return _by_age(entries)

    def read(self, entry: Entry, out: BinaryIO) -> str:
        """Fetch a file into `out`, if it is what was listed."""
        path = self._at(entry.name)

        async def fetched() -> tuple[int, int]:
            count = 0
            async with self._client.open(path, "rb") as source:
                while piece := await source.read(_PIECE_BYTES, count):
                    count += _written(cast("bytes", piece), out, count)
                known = await source.stat()
            return count, int(known.mtime or 0)

        size, modified = self._run(fetched)
        _same(entry, size, modified)
        return entry.name

    def put(self, document: Document, key: str) -> None:  # noqa: ARG002 - its name is its key
        """Write beside, then rename: whoever looks sees the whole file or none."""
        target, beside = self._at(document.name), self._at(f".{document.name}.part")

        async def sent() -> None:
            async with self._client.open(beside, "wb") as out:
                await out.write(document.content)
            await self._rename(beside, target)

        self._run(sent)

    def move(self, name: str, folder: str) -> None:
        """Move a file into a folder below."""

        async def moved() -> None:
            await self._client.makedirs(self._at(folder), exist_ok=True)
            await self._rename(self._at(name), self._at(f"{folder}/{name}"))

        self._run(moved)

    async def _rename(self, old: str, new: str) -> None:
        """Rename, in place of what has the name: by OpenSSH's extension, or in two steps."""
        import asyncssh  # noqa: PLC0415 - loaded already

        try:
            await self._client.posix_rename(old, new)
        except asyncssh.SFTPOpUnsupported:
            if await self._client.exists(new):
                await self._client.remove(new)
            await self._client.rename(old, new)

    def _at(self, name: str) -> str:
        return f"{self._folder}/{name}"


# --- HTTPS ----------------------------------------------------------------------------------------


@contextmanager
def _https(place: HttpsPlace) -> Iterator[OpenPlace]:
    import httpx  # noqa: PLC0415 - a tenth of a second that few processes need

    try:
        context = (
            ssl.create_default_context(cafile=str(place.ca))
            if place.ca
            else httpx.create_ssl_context()
        )
    except (OSError, ssl.SSLError) as error:
        raise PlaceError(
            _("Le certificat de l’autorité est illisible : prévenez l’exploitant.")
        ) from error
    headers = {"User-Agent": "Preau", "Accept-Encoding": "identity"}
    if place.token is not None:
        headers["Authorization"] = f"Bearer {place.token.get_secret_value()}"
    with httpx.Client(
        verify=context, headers=headers, timeout=ANSWER_SECONDS, follow_redirects=False
    ) as client:
        yield Https(client, place.url)


class Https:
    """An address: what it answers is one file, and it takes one at a time."""

    def __init__(self, client: httpx.Client, url: str) -> None:
        self._client = client
        self._url = url

    def list(self) -> list[Entry]:
        """The one file that there may be: its size and age are known once it is read."""
        return [Entry("", -1, 0)]

    def read(self, entry: Entry, out: BinaryIO) -> str:  # noqa: ARG002 - there is one
        """Fetch it into `out`; the name that the server gives it, "" if it has nothing now."""
        import httpx  # noqa: PLC0415 - loaded already

        end = time.monotonic() + TRANSFER_SECONDS
        try:
            with self._client.stream("GET", self._url) as answer:
                if answer.status_code == httpx.codes.NO_CONTENT:
                    return ""
                _check(answer)
                count = 0
                for piece in answer.iter_raw(_PIECE_BYTES):
                    count += _written(piece, out, count)
                    if time.monotonic() > end:
                        raise PlaceError(_("Le serveur ne répond pas."))
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise PlaceError(_http_words(error)) from error
        return _name_of(answer, self._url)

    def put(self, document: Document, key: str) -> None:
        """Send a file; the server tells two of the same key apart from two files."""
        import httpx  # noqa: PLC0415 - loaded already

        headers = {
            "Content-Type": document.media_type,
            "Content-Disposition": f'attachment; filename="{document.name}"',
            "Idempotency-Key": key,
        }
        try:
            _check(self._client.post(self._url, content=document.content, headers=headers))
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise PlaceError(_http_words(error)) from error

    def move(self, name: str, folder: str) -> None:
        """Nothing is moved at an address."""


def _check(answer: httpx.Response) -> None:
    if answer.is_success:
        return
    if answer.status_code in {401, 403}:
        raise PlaceError(_("Le serveur refuse le jeton du portail."))
    raise PlaceError(_("Le serveur a répondu %(status)s.") % {"status": answer.status_code})


def _http_words(error: Exception) -> str:
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLCertVerificationError):
            return _(
                "Le certificat du serveur n’est pas reconnu : rien ne lui a été confié. "
                "Prévenez l’exploitant."
            )
        seen = seen.__cause__ or seen.__context__
    return _("Le serveur ne répond pas.") + f" ({_brief(error)})"


def _name_of(answer: httpx.Response, url: str) -> str:
    from email.message import EmailMessage  # noqa: PLC0415 - where a name is read

    header = EmailMessage()
    header["Content-Disposition"] = answer.headers.get("Content-Disposition", "attachment")
    named = header.get_filename() or unquote(urlsplit(url).path.rpartition("/")[2])
    return named if is_wanted(named) else "factures"


# --- Shared ---------------------------------------------------------------------------------------


class TooLargeError(Exception):
    """The file is larger than the portal reads by itself."""


def _copy(read: Callable[[int], bytes], out: BinaryIO) -> None:
    count = 0
    while piece := read(_PIECE_BYTES):
        count += _written(piece, out, count)


def _written(piece: bytes, out: BinaryIO, before: int) -> int:
    if before + len(piece) > MAX_FILE_BYTES:
        raise TooLargeError
    return out.write(piece)


def _same(entry: Entry, size: int, modified: int) -> None:
    if (entry.size, entry.modified) != (size, modified):
        raise ChangedError


def _too_many() -> str:
    return _("Plus de %(count)s fichiers attendent à cet endroit : videz-le.") % {
        "count": MAX_LISTED
    }


def _os_words(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return _("Le dossier, ou le fichier, n’existe pas.")
    if isinstance(error, PermissionError):
        return _("Le portail n’a pas le droit de lire ou d’écrire dans ce dossier.")
    return _("Ce dossier ne se lit pas.") + f" ({error.strerror})"


def _brief(error: BaseException) -> str:
    """The error for the operator, on one line; a peer chooses its words, so few of them."""
    words = "".join(c for c in str(error) if c.isprintable())[:120]
    return words or type(error).__name__
