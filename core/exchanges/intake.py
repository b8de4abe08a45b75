"""Invoices that come in by themselves: seen whole, read once, imported or refused, told by mail."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, BinaryIO, Final

from sqlalchemy import exists, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.api.context import Clock
from core.exchanges.models import ExchangeFile, FileState
from core.exchanges.places import (
    MAX_FILE_BYTES,
    ChangedError,
    Entry,
    OpenPlace,
    PlaceError,
    TooLargeError,
    opened,
)
from core.exchanges.states import IN, ExchangeStates
from core.imports.models import ImportBatch
from core.imports.service import Imports
from core.imports.upload_models import Upload, UploadState
from core.imports.uploads import Uploads
from core.messages.service import Notifications
from core.platform.audit.service import Audit
from core.platform.i18n import gettext as _
from core.platform.tenancy.config import TenantConfig
from core.platform.tenancy.exchanges import InvoicePlace

LOOK: Final = "exchange.look"
TOLD: Final = "invoices_received"
WHOLE_AFTER: Final = timedelta(seconds=60)
"""Time between two looks that find a file the same, before it counts as whole."""
MAX_FILES: Final = 20
"""Files that one look reads: the next reads the others."""
LEASE: Final = timedelta(minutes=30)
"""Time that a look may take at most: a file that one began to read is left to it for so long."""
MAX_TRIES: Final = 3
"""Times that a file may end the process that reads it."""
TOLD_PROBLEMS: Final = 10
IMPORTED_TO, REFUSED_TO = "importes", "refuses"
"""Folders below a place, for what was read."""


class Intake:
    """The places that one town's invoices come from."""

    def __init__(
        self,
        session: Session,
        town: TenantConfig,
        clock: Clock,
        *,
        uploads: Uploads,
        imports: Imports,
        states: ExchangeStates,
        notifications: Notifications,
        audit: Audit,
    ) -> None:
        self._session = session
        self._town = town
        self._tenant = town.slug
        self._clock = clock
        self._uploads = uploads
        self._imports = imports
        self._states = states
        self._notifications = notifications
        self._audit = audit

    def look(self, name: str) -> int:
        """Look at a place and bring in what is whole and new there; how many files were read.

        Commits after each file, and never speaks to the other side within a transaction.
        """
        place = self._town.file.exchanges.invoices.get(name)
        if place is None:
            return 0  # The town's file changed since.
        self._audit.actor = f"exchange:{name}"
        count = 0
        try:
            with opened(place) as there:
                count = self._look(name, place, there)
        except PlaceError as error:
            self._session.rollback()
            self._states.failed(IN, name, str(error))
        else:
            self._states.reached(IN, name)
        self._session.commit()
        return count

    def _look(self, name: str, place: InvoicePlace, there: OpenPlace) -> int:
        entries = there.list()
        known = self._known(name)
        self._session.commit()
        count = 0
        unmoved: PlaceError | None = None
        for entry in entries:
            row = known.get(entry.name)
            if row is not None and row.is_done and _is_same(row, entry):
                state: str | None = row.state
            elif not entry.is_settled and not self._is_whole(name, entry, row):
                continue
            elif count == MAX_FILES:
                break
            else:
                state = self._take(name, place, there, entry)
                count += 1
            if state and place.move:
                try:
                    there.move(
                        entry.name, REFUSED_TO if state == FileState.REFUSED else IMPORTED_TO
                    )
                except PlaceError as error:  # Where it stays, it is known: the others are read.
                    unmoved = error
        if unmoved:
            raise unmoved
        return count

    def _is_whole(self, name: str, entry: Entry, row: ExchangeFile | None) -> bool:
        """Tell a file that nobody writes any more: it was the same a while ago."""
        if row is None or not _is_same(row, entry):
            self._note(name, entry.name, entry, FileState.SEEN)
            self._session.commit()
            return False
        return row.seen_at <= self._clock.now() - WHOLE_AFTER

    def _take(
        self, name: str, place: InvoicePlace, there: OpenPlace, entry: Entry
    ) -> str | None:
        """Read a file and bring it in; what became of it, None if there was none."""
        with tempfile.TemporaryFile(prefix="preau-") as out:
            stream: Any = out
            if entry.size > MAX_FILE_BYTES:
                return self._refuse(name, entry.name, entry, "", _too_large())
            try:
                file_name = there.read(entry, stream)
            except ChangedError:
                self._note(name, entry.name, entry, FileState.SEEN)
                self._session.commit()
                return None
            except TooLargeError:
                return self._refuse(name, entry.name or name, entry, "", _too_large())
            if not file_name:
                return None
            stream.seek(0)
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
            stream.seek(0)
            return self._bring_in(name, place, file_name, entry, stream, digest)

    def _bring_in(
        self, name: str, place: InvoicePlace, file_name: str, entry: Entry, stream: BinaryIO,
        digest: str,
    ) -> str | None:  # fmt: skip
        row = self._row(name, file_name)
        if row is not None and row.is_done and row.sha256 == digest:
            row.size, row.modified = entry.size, entry.modified
            state = row.state
            self._session.commit()
            return state
        if row is not None and self._is_being_read(row, digest):
            self._session.commit()
            return None
        # Counted in a transaction of its own: a file that ends its reader is given up one day.
        row = self._note(name, file_name, entry, FileState.READING)
        row.tries = row.tries + 1 if row.sha256 == digest else 1
        row.sha256, row.done_at = digest, self._clock.now()
        tries = row.tries
        self._session.commit()
        if tries > MAX_TRIES:
            words = _("La lecture de ce fichier s’est interrompue plusieurs fois.")
            return self._refuse(name, file_name, entry, digest, words)
        # One file of the town after the other: of two that are the same, one is imported.
        self._session.execute(
            select(func.pg_advisory_xact_lock(func.hashtextextended(self._tenant, 7)))
        )
        if self._was_imported(digest):
            row = self._note(name, file_name, entry, FileState.KNOWN)
        else:
            upload = self._uploads.take(stream, file_name, place.format)
            published = self._publish(place, upload)
            refused = upload.state == UploadState.REFUSED
            state = FileState.REFUSED if refused else FileState.IMPORTED
            row = self._note(name, file_name, entry, state)
            row.upload_id = upload.id
            self._tell(name, upload, published, digest)
        row.sha256, row.done_at = digest, self._clock.now()
        state = row.state
        self._session.commit()
        return state

    def _is_being_read(self, row: ExchangeFile, digest: str) -> bool:
        """Tell a file that another look reads, or read when its process ended a moment ago."""
        return (
            row.state == FileState.READING
            and row.sha256 == digest
            and row.done_at is not None
            and row.done_at > self._clock.now() - LEASE
        )

    def _refuse(
        self, name: str, file_name: str, entry: Entry, digest: str, words: str
    ) -> str:
        row = self._note(name, file_name, entry, FileState.REFUSED)
        row.sha256, row.done_at = digest, self._clock.now()
        self._mail(
            f"{digest or f'{name}/{file_name}/{entry.size}/{entry.modified}'}/refused",
            {
                "place": name, "file": file_name, "upload_id": 0, "is_refused": True,
                "problem_count": 1, "problems": [{"message": words, "line": 0, "column": ""}],
            },
        )  # fmt: skip
        self._session.commit()
        return FileState.REFUSED

    def _publish(self, place: InvoicePlace, upload: Upload) -> int:
        if upload.batch_id is None or place.publish == "never":
            return 0
        if place.publish == "if_clean" and _has_notices(upload.report):
            return 0
        return self._imports.publish(upload.batch_id)

    def _tell(self, name: str, upload: Upload, published: int, digest: str) -> None:
        report = upload.report
        counts = report.get("counts", {})
        refused = upload.state == UploadState.REFUSED
        if not refused and upload.batch_id is None:
            return  # All of it was here already.
        payload = {
            "place": name,
            "file": upload.file_name,
            "upload_id": upload.id,
            "is_refused": refused,
            "created": counts.get("created", 0),
            "changed": counts.get("changed", 0),
            "published": published,
            "has_notices": _has_notices(report),
            "problem_count": report.get("problem_count", 0),
            # Not the values that are wrong: they may name a family, and mails go far.
            "problems": [
                {key: one[key] for key in ("message", "line", "column")}
                for one in report.get("problems", [])[:TOLD_PROBLEMS]
            ],
        }
        # A file that is wrong in the same way is told of once, however often it is put there.
        self._mail(f"{digest}/refused" if refused else f"{upload.id}/imported", payload)

    def _mail(self, key: str, payload: dict[str, Any]) -> None:
        exchanges, contact = self._town.file.exchanges, self._town.file.contact.email
        for address in exchanges.tell or filter(None, [contact]):
            self._notifications.queue(
                TOLD,
                address=address,
                family_id=None,
                language=self._town.languages[0],
                payload=payload,
                key=f"{TOLD}/{key}/{address}",
            )

    def _was_imported(self, digest: str) -> bool:
        """Tell bytes that came in before, by whatever way; even if a person took them back."""
        batch = exists().where(
            ImportBatch.tenant_id == self._tenant, ImportBatch.sha256 == digest
        )
        file = exists().where(
            ExchangeFile.tenant_id == self._tenant,
            ExchangeFile.sha256 == digest,
            ExchangeFile.state == FileState.IMPORTED,
        )
        return bool(self._session.scalar(select(or_(batch, file))))

    def _known(self, name: str) -> Mapping[str, ExchangeFile]:
        rows = self._session.scalars(
            select(ExchangeFile)
            .where(ExchangeFile.tenant_id == self._tenant, ExchangeFile.place == name)
            .execution_options(populate_existing=True)
        ).all()
        for row in rows:
            self._session.expunge(row)  # As it was at the list, whatever is committed meanwhile.
        return {row.file_name: row for row in rows}

    def _row(self, name: str, file_name: str) -> ExchangeFile | None:
        return self._session.scalar(
            select(ExchangeFile)
            .where(
                ExchangeFile.tenant_id == self._tenant,
                ExchangeFile.place == name,
                ExchangeFile.file_name == file_name,
            )
            .with_for_update()
            .execution_options(populate_existing=True)
        )

    def _note(
        self, name: str, file_name: str, entry: Entry, state: FileState
    ) -> ExchangeFile:
        """Write how it stands with a file; its row."""
        now = self._clock.now()
        # Two who look at once may both be the first.
        new = self._session.scalar(
            insert(ExchangeFile)
            .values(
                tenant_id=self._tenant, place=name, file_name=file_name, size=entry.size,
                modified=entry.modified, state=state, seen_at=now,
            )
            .on_conflict_do_nothing(index_elements=["tenant_id", "place", "file_name"])
            .returning(ExchangeFile.id)
        )  # fmt: skip
        row = self._row(name, file_name)
        assert row is not None  # noqa: S101 - it was there, or has just been written
        if state is FileState.SEEN and new is None:
            row.seen_at, row.done_at, row.upload_id = now, None, None
        row.size, row.modified, row.state = entry.size, entry.modified, state
        self._session.flush()
        return row


def _is_same(row: ExchangeFile, entry: Entry) -> bool:
    return not entry.is_settled and (row.size, row.modified) == (entry.size, entry.modified)


def _has_notices(report: Mapping[str, Any]) -> bool:
    """True if an agent has to look at something of the file, beyond what is left out of it."""
    notices: Sequence[Mapping[str, Any]] = report.get("notices", [])
    more = report.get("notice_count", 0) > len(notices)
    return more or any(not one["left_out"] for one in notices)


def _too_large() -> str:
    return _("Ce fichier est trop grand pour entrer de lui-même : %(limit)s Mo au plus.") % {
        "limit": MAX_FILE_BYTES // 1024 // 1024
    }
