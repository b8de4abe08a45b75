"""Files of invoices sent through the office's pages: looked at first, imported when confirmed.

A file waits in the database, so that any machine can go on with it. A small one is dealt with in
the request; a large one by a worker, whose progress the page shows.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import BinaryIO

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session, defer

from core.api.context import Clock
from core.api.errors import UserError
from core.api.invoices import InvoiceSource, SourceFile, SourceProblem
from core.imports.models import ImportBatch
from core.imports.records import RecordImports
from core.imports.service import ImportReport, Imports
from core.imports.upload_models import Upload, UploadPart, UploadState
from core.platform.audit.service import Audit
from core.platform.errors import NotFoundError
from core.platform.i18n import gettext as _
from core.platform.outbox.service import Outbox
from core.platform.sharing import NotNowError
from core.platform.tenancy.config import TenantConfig

CHECK, IMPORT = "upload.check", "upload.import"

MAX_UPLOAD_BYTES = 256 * 1024 * 1024
READ_AT_ONCE_BYTES = 512 * 1024
"""Up to this size a file is read while the agent waits."""

AT_ONCE_SECONDS = 4.0
"""Seconds that the agent waits for such a file; one that takes longer is read by a worker."""

_PART_BYTES = 1024 * 1024


class Uploads:
    """The uploads of one town."""

    def __init__(
        self,
        session: Session,
        town: TenantConfig,
        clock: Clock,
        *,
        sources: Callable[[], Mapping[str, InvoiceSource]],
        imports: Imports,
        records: RecordImports,
        outbox: Outbox,
        audit: Audit,
    ) -> None:
        self._session = session
        self._tenant = town.slug
        self._regies = list(town.file.regies)
        self._clock = clock
        self._sources = sources
        self._imports = imports
        self._records = records
        self._outbox = outbox
        self._audit = audit
        self._at_once_seconds: float | None = None

    def receive(self, stream: BinaryIO, name: str, source: str) -> int:
        """Take a file in and have it looked at; the upload's id.

        Raises:
            UserError: the file is empty or too large, or nobody reads this format here.
        """
        if source not in self._sources() and source not in self._records.kinds():
            raise UserError(_("Ce format de fichier n’est pas connu ici."))
        with self._session.begin_nested():  # What is refused must not wait among the others.
            upload = self._keep(stream, name, source)
        self._go(upload, CHECK, self.check)
        return upload.id

    def take(self, stream: BinaryIO, name: str, source: str) -> Upload:
        """Take a file in and import it at once, asking nobody; `source` is a key or a label.

        The content of one that is refused is kept for a while: `check_again` reads it anew.

        Raises:
            UserError: the file is empty or too large.
        """
        found = self._source(source)
        # A point would say that it is a plugin's records.
        key = found.key if found else source.replace(".", " ")
        with self._session.begin_nested():
            upload = self._keep(stream, name, key, state=UploadState.IMPORTING)
        try:
            report = self._read(upload, dry_run=False)
        except UserError as error:
            report = ImportReport()
            report.add(SourceProblem(error.message, file=upload.file_name))
        self._end(upload, UploadState.IMPORTED, report, keep=True)
        if not report.refused:
            self._forget_content(upload.id)
        return self.get(upload.id)

    def check_again(self, upload_id: int) -> None:
        """Read a refused file anew, whose content is kept: its format may be known by now.

        Raises:
            UserError: its content is not kept, or not any more.
        """
        if not self.is_kept(upload_id):
            raise UserError(_("Ce fichier n’est plus gardé ici : envoyez-le de nouveau."))
        if self._pass(upload_id, UploadState.REFUSED, UploadState.CHECKING):
            self._go(self.get(upload_id), CHECK, self.check)

    def is_kept(self, upload_id: int) -> bool:
        """True if the content of an upload is still here."""
        found = self._session.scalar(
            select(UploadPart.id)
            .where(UploadPart.tenant_id == self._tenant, UploadPart.upload_id == upload_id)
            .limit(1)
        )
        return found is not None

    def get(self, upload_id: int) -> Upload:
        """One upload, as it stands now.

        Raises:
            NotFoundError: there is none.
        """
        upload = self._session.get(Upload, (self._tenant, upload_id), populate_existing=True)
        if upload is None:
            raise NotFoundError
        return upload

    def waiting(self) -> Sequence[Upload]:
        """The uploads that are not over, the newest first."""
        return self._session.scalars(
            select(Upload)
            .where(
                Upload.tenant_id == self._tenant,
                Upload.state.in_(
                    (UploadState.CHECKING, UploadState.CHECKED, UploadState.IMPORTING)
                ),
            )
            .options(defer(Upload.report))
            .order_by(Upload.id.desc())
        ).all()

    def seen_before(self, upload: Upload) -> ImportBatch | None:
        """The import in force of the very same file, or None."""
        return self._session.scalars(
            select(ImportBatch)
            .where(
                ImportBatch.tenant_id == self._tenant,
                ImportBatch.sha256 == upload.sha256,
                ImportBatch.undone_at.is_(None),
            )
            .limit(1)
        ).first()

    def check(self, upload_id: int) -> None:
        """Read the file and note what importing it would do; nothing is kept of it."""
        upload = self.get(upload_id)
        if upload.state == UploadState.CHECKING:
            report = self._read(upload, dry_run=True)
            self._end(upload, UploadState.CHECKED, report)

    def confirm(self, upload_id: int) -> None:
        """Import what was looked at. Confirmed twice, it is imported once."""
        if self._pass(upload_id, UploadState.CHECKED, UploadState.IMPORTING):
            self._go(self.get(upload_id), IMPORT, self.import_)

    def import_(self, upload_id: int) -> None:
        """Import a confirmed file as drafts."""
        upload = self.get(upload_id)
        if upload.state == UploadState.IMPORTING:
            report = self._read(upload, dry_run=False)
            self._end(upload, UploadState.IMPORTED, report)
            self._forget_content(upload_id)

    def abandon(self, upload_id: int) -> None:
        """Give an upload up, unless it is being imported."""
        for state in (UploadState.CHECKING, UploadState.CHECKED):
            if self._pass(upload_id, state, UploadState.ABANDONED):
                self._forget_content(upload_id)

    def _keep(
        self,
        stream: BinaryIO,
        name: str,
        source: str,
        *,
        state: UploadState = UploadState.CHECKING,
    ) -> Upload:
        upload = Upload(
            tenant_id=self._tenant,
            source=source,
            file_name=_bare(name),
            size=0,
            sha256="",
            actor=self._audit.actor,
            regies=self._regies,
            state=state,
            created_at=self._clock.now(),
        )
        self._session.add(upload)
        self._session.flush()
        digest = hashlib.sha256()
        rank = 0
        while content := stream.read(_PART_BYTES):
            upload.size += len(content)
            if upload.size > MAX_UPLOAD_BYTES:
                raise UserError(
                    _("Ce fichier dépasse %(limit)s Mo : coupez-le en plusieurs.")
                    % {"limit": MAX_UPLOAD_BYTES // 1024 // 1024}
                )
            digest.update(content)
            part = UploadPart(
                tenant_id=self._tenant, upload_id=upload.id, rank=rank, content=content
            )
            self._session.add(part)
            self._session.flush()
            self._session.expunge(part)  # Not to hold the whole file in memory.
            rank += 1
        if not upload.size:
            raise UserError(_("Choisissez un fichier à importer : celui-ci est vide."))
        upload.sha256 = digest.hexdigest()
        self._session.flush()
        return upload

    def _go(self, upload: Upload, topic: str, now: Callable[[int], None]) -> None:
        if upload.size <= READ_AT_ONCE_BYTES:
            self._at_once_seconds = AT_ONCE_SECONDS
            try:
                now(upload.id)
            except NotNowError:  # Its format takes long, or hangs: nobody waits for it here.
                pass
            else:
                return
            finally:
                self._at_once_seconds = None
        payload = {"upload_id": upload.id, "actor": self._audit.actor}
        self._outbox.add(topic, payload, key=str(upload.id))

    def _pass(self, upload_id: int, old: UploadState, new: UploadState) -> bool:
        passed = self._session.execute(
            update(Upload)
            .where(
                Upload.tenant_id == self._tenant, Upload.id == upload_id, Upload.state == old
            )
            .values(state=new, read=0)
            .returning(Upload.id)
        ).one_or_none()
        return passed is not None

    def _read(self, upload: Upload, *, dry_run: bool) -> ImportReport:
        records = self._records.kinds().get(upload.source)
        source = None if records else self._source(upload.source)
        if source is None and records is None:
            raise UserError(_("Ce format de fichier n’est pas connu ici."))
        with tempfile.TemporaryDirectory(prefix="preau-") as folder:
            path = Path(folder) / upload.file_name
            with path.open("wb") as out:
                for rank in range(-(-upload.size // _PART_BYTES)):
                    out.write(self._part(upload.id, rank))
            file = SourceFile(path, upload.file_name, upload.size)
            if records is not None:
                return self._records.run(
                    records,
                    file,
                    upload.id,
                    dry_run=dry_run,
                    progress=lambda count: self._tell(upload, count),
                    at_once_seconds=self._at_once_seconds,
                )
            assert source is not None  # noqa: S101 - one of both is there, see above
            return self._imports.run(
                source,
                file,
                dry_run=dry_run,
                progress=lambda count: self._tell(upload, count),
                at_once_seconds=self._at_once_seconds,
            )

    def _source(self, named: str) -> InvoiceSource | None:
        """The format of a key, else of a label: a town's file names a layout as the régie does."""
        sources = self._sources()
        labelled = (source for source in sources.values() if source.label == named)
        return sources.get(named) or next(labelled, None)

    def _part(self, upload_id: int, rank: int) -> bytes:
        return self._session.scalars(
            select(UploadPart.content).where(
                UploadPart.tenant_id == self._tenant,
                UploadPart.upload_id == upload_id,
                UploadPart.rank == rank,
            )
        ).one()

    def _tell(self, upload: Upload, count: int) -> None:
        """Show how far we are, in a transaction of its own: the import's is seen at its end."""
        if self._at_once_seconds is not None:
            return
        with type(self._session)(self._session.get_bind(), info=self._session.info) as apart:
            apart.execute(
                update(Upload)
                .where(Upload.tenant_id == self._tenant, Upload.id == upload.id)
                .values(read=count)
            )
            apart.commit()

    def _end(
        self, upload: Upload, state: UploadState, report: ImportReport, *, keep: bool = False
    ) -> None:
        # A set-based UPDATE: what this session knows of the row is older than `_tell`.
        self._session.execute(
            update(Upload)
            .where(Upload.tenant_id == self._tenant, Upload.id == upload.id)
            .values(
                state=UploadState.REFUSED if report.refused else state,
                batch_id=report.batch_id,
                report={
                    "counts": report.counts,
                    "totals": report.totals,
                    "changes": report.changes,
                    "figures": report.figures,
                    "said": report.said,
                    "said_count": report.said_count,
                    "left_out": [
                        {"reason": reason, **sums} for reason, sums in report.left_out.items()
                    ],
                    "notice_count": report.notice_count,
                    "notices": [asdict(notice) for notice in report.notices],
                    "problem_count": report.problem_count,
                    "problems": [asdict(problem) for problem in report.problems],
                },
            )
        )
        if report.refused and not keep:
            self._forget_content(upload.id)

    def _forget_content(self, upload_id: int) -> None:
        self._session.execute(
            delete(UploadPart).where(
                UploadPart.tenant_id == self._tenant, UploadPart.upload_id == upload_id
            )
        )


def _bare(name: str) -> str:
    """The name without the folders that some browsers send, fit for a disk."""
    last = PurePosixPath(PureWindowsPath(name).name).name
    printable = "".join(c for c in last if c.isprintable())[-150:].lstrip(".")
    return printable or "fichier"
