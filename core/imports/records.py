"""Files of plugins' own records: the same way in as invoices, from the upload to the undoing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, defer

from core.api.context import Clock, TenantContext
from core.api.errors import UserError
from core.api.invoices import SourceFile, SourceNotice, SourceProblem
from core.api.records import RecordReport
from core.imports.reading import SILENCE_SECONDS, quoted
from core.imports.service import ImportReport
from core.imports.upload_models import Upload, UploadState
from core.platform.audit.service import Audit
from core.platform.db.session import held, mark_foreign, restore
from core.platform.errors import NotFoundError
from core.platform.i18n import gettext as _
from core.platform.interruption import errors_only
from core.platform.plugins import process_state
from core.platform.plugins.calls import ContractError, report_fault
from core.platform.plugins.guests import HeldRecords
from core.platform.plugins.rests import FaultError
from core.platform.plugins.streams import stream
from core.platform.sharing import NotNowError

MAX_RECORDS = 200_000
"""Records of one file: a large town's enrolments of a year. They are held in memory together."""
MAX_FIGURES = 20
KEPT_CHANGES = 200
MAX_PROBLEMS = 10_000
SHOWN = 20
"""Imports of records that the page *Imports* lists."""


class RecordImports:
    """The imports of plugins' records in one town. An import is its upload."""

    def __init__(
        self,
        session: Session,
        tenant: str,
        clock: Clock,
        *,
        kinds: Callable[[], Mapping[str, HeldRecords]],
        ctx: TenantContext,
        audit: Audit,
    ) -> None:
        self._session = session
        self._tenant = tenant
        self._clock = clock
        self._kinds = kinds
        self._ctx = ctx
        self._audit = audit

    def kinds(self) -> Mapping[str, HeldRecords]:
        """The kinds of files, by ``<plugin>.<key>``."""
        return self._kinds()

    def run(
        self,
        kind: HeldRecords,
        file: SourceFile,
        import_id: int,
        *,
        dry_run: bool,
        progress: Callable[[int], None],
        at_once_seconds: float | None,
    ) -> ImportReport:
        """Import a file, or refuse it whole; with `dry_run`, tell what would be done.

        Raises:
            NotNowError: reading did not end within `at_once_seconds`, or cannot begin now.
        """
        report = ImportReport()
        try:
            records = self._read(kind, file, report, progress, at_once_seconds)
            if report.refused:
                return report
            with self._session.begin_nested() as attempt:
                told = self._call(kind, "merge", lambda: kind.merge(self._ctx, records, import_id))
                for problem in told.problems:
                    report.add(problem)
                report.figures = [[figure.label, figure.count] for figure in told.figures]
                report.said = list(told.changes[:KEPT_CHANGES])
                report.said_count = len(told.changes)
                if dry_run or report.refused:
                    attempt.rollback()
        except NotNowError:
            raise
        except UserError as error:
            report.add(SourceProblem(error.message, file=file.name))
        except FaultError:
            words = _("Le format « %(name)s » a échoué : rien n’a été importé.")
            report.add(SourceProblem(words % {"name": kind.label}, file=file.name))
        if not dry_run and not report.refused:
            self._audit.write("records.imported", f"upload:{import_id}", file=file.name)
        return report

    def undo(self, upload_id: int) -> None:
        """Take an import back.

        Raises:
            NotFoundError: there is none.
            UserError: something depends on it since, or its plugin fails.
        """
        upload = self._session.get(Upload, (self._tenant, upload_id), with_for_update=True)
        if upload is None or "." not in upload.source:
            raise NotFoundError
        if upload.state != UploadState.IMPORTED:
            return
        kind = self._kinds().get(upload.source)
        if kind is None:
            raise UserError(_("Ce format de fichier n’est pas connu ici."))
        try:
            with self._session.begin_nested():
                told = self._call(kind, "undo", lambda: kind.undo(self._ctx, upload_id))
                if told.problems:
                    raise UserError(told.problems[0].message)
        except FaultError as error:
            raise UserError(
                _("L’extension « %(name)s » a échoué : rien n’a été fait.")
                % {"name": kind.plugin}
            ) from error
        upload.state = UploadState.UNDONE
        upload.report = {**upload.report, "undone_at": self._clock.now().isoformat()}
        self._audit.write("records.undone", f"upload:{upload_id}", file=upload.file_name)

    def latest(self) -> list[Upload]:
        """The imports of records, the newest first."""
        return list(
            self._session.scalars(
                select(Upload)
                .where(
                    Upload.tenant_id == self._tenant,
                    Upload.source.contains("."),
                    Upload.state.in_((UploadState.IMPORTED, UploadState.UNDONE)),
                )
                .options(defer(Upload.report))
                .order_by(Upload.id.desc())
                .limit(SHOWN)
            )
        )

    def seen_before(self, upload: Upload) -> datetime | None:
        """The moment at which the very same file came in; None if it did not, or was undone."""
        return self._session.scalar(
            select(Upload.created_at)
            .where(
                Upload.tenant_id == self._tenant,
                Upload.source == upload.source,
                Upload.sha256 == upload.sha256,
                Upload.state == UploadState.IMPORTED,
                Upload.id != upload.id,
            )
            .order_by(Upload.id.desc())
            .limit(1)
        )

    def _read(
        self,
        kind: HeldRecords,
        file: SourceFile,
        report: ImportReport,
        progress: Callable[[int], None],
        at_once_seconds: float | None,
    ) -> list[Any]:
        records: list[Any] = []
        for item in stream(
            kind.plugin,
            "read",
            lambda: kind.read(file),
            town=self._tenant,
            silence_seconds=SILENCE_SECONDS,
            whole_seconds=at_once_seconds,
        ):
            if isinstance(item, SourceProblem):
                report.add(quoted(item))
                if report.problem_count >= MAX_PROBLEMS:
                    break
            elif isinstance(item, SourceNotice):
                report.note(item)
            else:
                records.append(item)
                if len(records) > MAX_RECORDS:
                    raise UserError(
                        _("Ce fichier a plus de %(limit)s lignes : coupez-le en plusieurs.")
                        % {"limit": MAX_RECORDS}
                    )
                if len(records) % 1000 == 0:
                    progress(len(records))
        return records

    def _call(
        self, kind: HeldRecords, what: str, call: Callable[[], RecordReport]
    ) -> RecordReport:
        """Call plugin code in this transaction, which it may not end.

        Raises:
            UserError: the plugin's words for the agent.
            FaultError: it failed, or gave what is no report.
        """
        mark_foreign(self._session)
        try:
            # A statement that failed, and whose failure was hidden, fails the savepoint here.
            with self._session.begin_nested(), held(self._session, kind.plugin), errors_only():
                with process_state.kept():
                    told = call()
                restore(self._session)
                if not isinstance(told, RecordReport) or len(told.figures) > MAX_FIGURES:
                    raise ContractError(f"gave {told!r:.80}")  # noqa: TRY301
        except UserError:
            raise
        except Exception as error:
            report_fault(kind.plugin, what, error)
            raise FaultError(f"plugin {kind.plugin!r} failed in {what}") from error
        return told
