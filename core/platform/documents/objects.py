"""The object store: finished papers outside the database, over the S3 protocol.

A paper's key is its town and the SHA-256 of its content, so that writing it twice writes the same,
and whoever reads it compares what came with its name. The client is made in each process when it is
first used. In the children of a process that used one, none answers any more, not even a new one.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Iterable, Iterator
from datetime import timedelta
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import structlog

from core.platform.settings import Settings, SettingsError

if TYPE_CHECKING:
    from obstore.store import S3Store

log = structlog.get_logger(__name__)

ANSWER_SECONDS = 5
"""Time that the store may take to give or to take a paper."""
CONNECT_SECONDS = 2
REST_SECONDS = 10.0
"""Time for which a store that did not answer is left alone: each page would wait for it anew."""
LISTED_AT_ONCE = 500
_DIGEST_CHARACTERS = 64
_PROBE = "_probe"
"""First part of the keys that `check` writes and removes: no town may be called so."""


_first_user: int | None = None
"""The process that first used a client: its threads are not there after a fork."""


class StoreAwayError(Exception):
    """The store did not answer, or refused: what was asked may be there all the same."""


class MissingObjectError(Exception):
    """The store answers, and has no such paper, or other bytes under its name."""


class ObjectStore:
    """Papers by town and SHA-256 in one bucket."""

    def __init__(self, settings: Settings) -> None:
        """Make no connection yet.

        Raises:
            SettingsError: the client library is not installed.
        """
        if find_spec("obstore") is None:
            raise SettingsError(
                "PREAU_DOCUMENTS_URL: the client is not installed: pip install preau[objects]"
            )
        self._settings = settings
        self._made: S3Store | None = None
        self._rests_until = 0.0

    def put(self, tenant: str, content: bytes) -> str:
        """Keep a paper; its SHA-256. One that is there already stays as it is.

        Raises:
            StoreAwayError: it is not kept, or nobody knows.
        """
        import obstore  # noqa: PLC0415 - only where a store is set
        from obstore.exceptions import AlreadyExistsError  # noqa: PLC0415

        digest = hashlib.sha256(content).hexdigest()
        key = _key(tenant, digest)

        def keep() -> None:
            try:
                obstore.put(self._client(), key, content, mode="create", use_multipart=False)
            except AlreadyExistsError:
                if obstore.head(self._client(), key)["size"] != len(content):
                    obstore.put(self._client(), key, content, use_multipart=False)

        self._ask(keep)
        return digest

    def get(self, tenant: str, digest: str) -> bytes:
        """Give a paper, compared with its name.

        Raises:
            StoreAwayError: the store does not answer.
            MissingObjectError: it has no such paper, or a damaged one.
        """
        import obstore  # noqa: PLC0415

        key = _key(tenant, digest)
        content = self._ask(lambda: bytes(obstore.get(self._client(), key).bytes()))
        if hashlib.sha256(content).hexdigest() != digest:
            log.error("documents.damaged", tenant=tenant, sha256=digest, bytes=len(content))
            raise MissingObjectError(f"{key}: other bytes than its name says")
        return content

    def list(self, tenant: str) -> Iterator[list[str]]:
        """The SHA-256 of all papers of a town, some at a time.

        Raises:
            StoreAwayError: the store does not answer.
        """
        import obstore  # noqa: PLC0415

        pages = self._ask(
            lambda: iter(
                obstore.list(self._client(), prefix=f"{tenant}/", chunk_size=LISTED_AT_ONCE)
            )
        )
        while page := self._ask(lambda: next(pages, None)):
            names = (entry["path"].rpartition("/")[2] for entry in page)
            yield [name for name in names if len(name) == _DIGEST_CHARACTERS]

    def delete(self, tenant: str, digests: Iterable[str]) -> None:
        """Remove papers; those that are not there are no error.

        Raises:
            StoreAwayError: the store does not answer.
        """
        import obstore  # noqa: PLC0415

        if keys := [_key(tenant, digest) for digest in digests]:
            self._ask(lambda: obstore.delete(self._client(), keys))

    def check(self) -> None:
        """Write, read and remove a paper of nobody.

        Raises:
            StoreAwayError: one of the three failed, with the store's words.
        """
        self._rests_until = 0.0
        digest = self.put(_PROBE, os.urandom(16))
        try:
            self.get(_PROBE, digest)
        except MissingObjectError as error:
            raise StoreAwayError(f"what was written is not there: {error}") from error
        self.delete(_PROBE, [digest])

    def _client(self) -> S3Store:
        global _first_user  # noqa: PLW0603 - the library has one set of threads for the process
        process = os.getpid()
        if _first_user not in {None, process}:
            raise StoreAwayError("the parent of this process has used it before the fork")
        _first_user = process
        if self._made is None:
            self._made = _open(self._settings)
        return self._made

    def _ask(self, question: Any) -> Any:
        from obstore.exceptions import BaseError  # noqa: PLC0415

        if time.monotonic() < self._rests_until:
            raise StoreAwayError("it did not answer a moment ago")
        try:
            return question()
        except FileNotFoundError as error:
            raise MissingObjectError(_words(error)) from error
        except (BaseError, OSError) as error:
            self._rests_until = time.monotonic() + REST_SECONDS
            log.warning("documents.store_away", reason=_words(error))
            raise StoreAwayError(_words(error)) from error


def open_store(settings: Settings) -> ObjectStore | None:
    """The object store of an installation; None where papers are in the database."""
    return ObjectStore(settings) if settings.documents_url else None


def _key(tenant: str, digest: str) -> str:
    return f"{tenant}/{digest}"


def _words(error: Exception) -> str:
    """A store's words, on one line: the client adds pages of its own state."""
    said = str(error).partition("Debug source")[0]
    if code := re.search(r"<Code>(.*?)</Code>(?:\s*<Message>(.*?)</Message>)?", said, re.DOTALL):
        return f"{code[1]}: {code[2] or ''}"[:300]
    return " ".join(said.rpartition(" - ")[2].split())[:300]


def _open(settings: Settings) -> S3Store:
    from obstore.store import S3Store  # noqa: PLC0415

    address = urlsplit(settings.documents_url)
    given: dict[str, Any] = {
        "endpoint": settings.documents_endpoint,
        "access_key_id": settings.documents_key_id,
        "secret_access_key": settings.documents_secret,
        "prefix": address.path.strip("/"),
        "aws_server_side_encryption": settings.documents_encryption,
    }
    options: dict[str, Any] = {
        # The server compares what arrived: a paper that was damaged on its way is not kept.
        "checksum_algorithm": "SHA256",
        "region": settings.documents_region,
        "client_options": {
            "timeout": timedelta(seconds=ANSWER_SECONDS),
            "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
            "allow_http": settings.documents_endpoint.startswith("http://"),
        },
        "retry_config": {"max_retries": 1, "retry_timeout": timedelta(seconds=ANSWER_SECONDS)},
    }
    options |= {name: value for name, value in given.items() if value}
    return S3Store(address.netloc, **options)
