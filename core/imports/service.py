"""Imports of invoices: a file comes in whole or not at all, twice without effect, undone at will.

The file is streamed into two temporary tables; everything after that is a handful of set-based
statements, so that a hundred thousand lines cost seconds and no memory.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import BigInteger, DateTime, String, Text, bindparam, select, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session
from sqlalchemy.types import TypeEngine

from core.api.context import Clock
from core.api.invoices import (
    InvoiceKind,
    InvoiceRecord,
    InvoiceSource,
    SourceFile,
    SourceNotice,
    SourceProblem,
)
from core.domain import access_codes
from core.families.names import child_code
from core.imports import reading, soundness, stored
from core.imports.fanout import FANOUT
from core.imports.fingerprints import fingerprint
from core.imports.models import ImportBatch
from core.imports.stored import Staged
from core.invoices.files import Files
from core.platform.audit.service import Audit
from core.platform.db import statistics
from core.platform.errors import ImportRefusedError, NotFoundError
from core.platform.i18n import gettext as _
from core.platform.outbox.service import Outbox
from core.platform.plugins.rests import FaultError
from core.platform.plugins.selection import ProviderChoice, ProviderSelection
from core.platform.sharing import NotNowError
from core.platform.templating import money
from core.platform.tenancy.config import TenantConfig

PUBLISH = "publish.batch"
KEPT_PROBLEMS = 200
KEPT_NOTICES = 200
KEPT_REASONS = 50
"""Reasons for which parts of one file are left out; a source has a handful."""
_CHUNK = 2000
_ALL = 2**62
"""More rows than any file has."""
_SQL = Path(__file__).parent / "sql"

_TYPES: dict[str, TypeEngine[Any]] = {
    "tenant": String(),
    "batch": BigInteger(),
    "language": String(),
    "now": DateTime(timezone=True),
    "invoice": BigInteger(),
    "names": ARRAY(Text()),
    "first": BigInteger(),
    "after": BigInteger(),
    "upto": BigInteger(),
}

_LINE_KEYS = ("regie", "number", "child_code", "child_label")
"""Keys of the invoice and child of a staged line, before its own columns."""



@dataclass(slots=True)
class ImportReport:
    """Result of an import, or the reasons why it did nothing."""

    batch_id: int | None = None
    counts: dict[str, int] = field(default_factory=dict)
    """``created``, ``changed``, ``unchanged`` invoices; new ``families`` and ``children``."""
    problems: list[SourceProblem] = field(default_factory=list)
    """The first of them, by line."""
    problem_count: int = 0
    totals: list[dict[str, Any]] = field(default_factory=list)
    """To be held against the billing software: régie, `action`, `count`, `cents`."""
    changes: list[dict[str, Any]] = field(default_factory=list)
    """The first of the changed invoices: number, labels and cents before and after."""
    left_out: dict[str, dict[str, int]] = field(default_factory=dict)
    """Parts of the file that are not for the town's régies: `count` and `cents`, by reason."""
    notices: list[SourceNotice] = field(default_factory=list)
    """The first of what an agent must know, by line; parts that were left out are among them."""
    notice_count: int = 0
    figures: list[list[Any]] = field(default_factory=list)
    """Of a plugin's records: words and numbers."""
    said: list[str] = field(default_factory=list)
    """The first of a plugin's words for what changes."""
    said_count: int = 0

    @property
    def refused(self) -> bool:
        """True if nothing was stored because something is wrong with the file."""
        return self.problem_count > 0

    def add(self, problem: SourceProblem) -> None:
        """Count a problem and keep it if there is room."""
        self.problem_count += 1
        if len(self.problems) < KEPT_PROBLEMS:
            self.problems.append(soundness.quotable(problem))

    def note(self, notice: SourceNotice) -> None:
        """Count a notice and keep it if there is room."""
        self.notice_count += 1
        if len(self.notices) < KEPT_NOTICES:
            self.notices.append(soundness.quotable(notice))
        if not notice.left_out:
            return
        reason = soundness.quotable(notice).message
        if reason not in self.left_out and len(self.left_out) >= KEPT_REASONS:
            reason = _("Pour d’autres raisons")
        sums = self.left_out.setdefault(reason, {"count": 0, "cents": 0})
        sums["count"] += 1
        sums["cents"] += notice.amount


class Imports:
    """The imports of one town."""

    def __init__(
        self,
        session: Session,
        town: TenantConfig,
        clock: Clock,
        *,
        outbox: Outbox,
        audit: Audit,
        choices: ProviderSelection,
        files: Files,
    ) -> None:
        self._files = files
        self._session = session
        self._town = town
        self._tenant = town.slug
        self._clock = clock
        self._outbox = outbox
        self._audit = audit
        self._choices = choices
        self._online: dict[str, ProviderChoice | None] = {}
        """The ways to pay online by régie, while a file is read."""
        self._ours = False
        self._for_good = True
        self._at_once_seconds: float | None = None
        self._is_large = False
        """Of a file that brings more than the town has, statistics know nothing."""

    def run(
        self,
        source: InvoiceSource,
        file: SourceFile,
        *,
        dry_run: bool = False,
        ours: bool = False,
        progress: Callable[[int], None] = lambda _count: None,
        at_once_seconds: float | None = None,
    ) -> ImportReport:
        """Import `file` as drafts, or refuse it whole.

        `ours`: the records name families by our codes, not by the billing software's spelling.
        `progress` is told how many invoices were read. With `dry_run` the report is true and
        nothing is kept.

        Raises:
            NotNowError: reading did not end within `at_once_seconds`, or cannot begin now.
        """
        self._at_once_seconds = at_once_seconds
        report = ImportReport()
        names: Sequence[Any] = ()
        # Asked once, and before anything is read or held: a plugin may take its time.
        self._ours, self._for_good = ours, not dry_run
        self._online = self._choices.of(list(self._town.file.regies))
        with self._session.begin_nested() as attempt:
            for statement in _statements("staging"):
                self._session.execute(text(statement))
            self._stage(source, file, report, progress)
            # Not before: a source that hangs must not keep all others waiting.
            self._one_at_a_time()
            self._run(_one("former"))
            self._is_large = self._run(_one("large"), first=statistics.FIRST).scalar_one()
            self._check(report)
            if not report.refused:
                names = self._merge(source, file, report)
            if dry_run or report.refused or report.batch_id is None:
                report.batch_id = None
                attempt.rollback()
        if names and not dry_run and report.batch_id is None:
            # Nothing was to be imported, and yet there is something to be known from now on.
            self._link(names)
        report.problems.sort(key=lambda problem: (problem.file, problem.line))
        report.notices.sort(key=lambda notice: (notice.file, notice.line))
        return report

    def publish(self, batch_id: int) -> int:
        """Show the drafts of a batch to their families and tell them. Returns how many.

        Telling is one outbox row here; the families' messages are written by its consumer.
        """
        # An invoice and its credit note that come at once would not see one another.
        self._one_at_a_time()
        batch = self._batch(batch_id)
        self._run(_one("publish_lock"), batch=batch_id)
        published = self._run(_one("publish"), batch=batch_id, now=self._clock.now()).rowcount
        self._run(_one("publish_credited"), batch=batch_id)
        if batch.published_at is None and batch.undone_at is None:
            # Even if it only changed what families see already: it waits for nobody.
            batch.published_at = self._clock.now()
        if published:
            batch.published_at = self._clock.now()
            self._outbox.add(FANOUT, {"batch_id": batch_id}, key=str(batch_id))
            self._audit.write("import.published", f"batch:{batch_id}", invoices=published)
        return int(published)

    def publish_at(self, batch_id: int, moment: datetime | None) -> None:
        """Publish a batch at `moment`, or, None, no longer by itself."""
        batch = self._batch(batch_id)
        batch.publish_at = moment
        if moment is not None:
            stamp = moment.isoformat()
            self._outbox.add(
                PUBLISH,
                {"batch_id": batch_id, "at": stamp, "actor": self._audit.actor},
                key=f"{batch_id}/{stamp}",
                after=moment,
            )
            self._audit.write("import.scheduled", f"batch:{batch_id}", at=stamp)

    def publish_due(self, batch_id: int, stamp: str) -> None:
        """Publish a batch whose moment came, unless another moment was chosen since."""
        batch = self._batch(batch_id)
        if batch.publish_at is not None and batch.publish_at == datetime.fromisoformat(stamp):
            self.publish(batch_id)

    def undo(self, batch_id: int) -> int:
        """Take a batch back: its invoices go, those it changed are as before. Returns how many.

        Raises:
            ImportRefusedError: something was paid, is being paid, or was changed since.
        """
        self._one_at_a_time()
        batch = self._batch(batch_id)
        if batch.undone_at is not None:
            return 0
        # From here on nobody pays these invoices; who was faster is seen by the next statement.
        self._run(_one("undo_lock"), batch=batch_id)
        obstacle = self._run(_one("undo_obstacle"), batch=batch_id).one_or_none()
        if obstacle is not None:
            raise ImportRefusedError(
                _("La facture %(number)s a été payée ou modifiée depuis : l’import reste.")
                % {"number": obstacle.number}
            )
        count = self._run(_one("undo_count"), batch=batch_id).scalar_one()
        for statement in _statements("undo"):
            self._run(statement, batch=batch_id)
        batch.undone_at = self._clock.now()
        self._audit.write("import.undone", f"batch:{batch_id}", invoices=count)
        return int(count)

    def get(self, batch_id: int) -> ImportBatch:
        """One import.

        Raises:
            NotFoundError: there is none.
        """
        return self._batch(batch_id)

    def batches(self) -> list[ImportBatch]:
        """All imports, newest first."""
        query = select(ImportBatch).where(ImportBatch.tenant_id == self._tenant)
        return list(self._session.scalars(query.order_by(ImportBatch.id.desc())))

    # --- Inside ------------------------------------------------------------------------------

    def _one_at_a_time(self) -> None:
        """Two imports of one town at a time would each miss the other's new families."""
        self._run("SELECT pg_advisory_xact_lock(hashtextextended(:tenant, 1))")

    def _run(self, statement: str, **values: Any) -> Any:
        """Execute a statement with those of `values`, and of the town's slug, that it names."""
        given = {"tenant": self._tenant, **values}
        named = {name: value for name, value in given.items() if f":{name}" in statement}
        # Typed, so that PostgreSQL need not guess from where a parameter stands.
        typed = [bindparam(name, type_=_TYPES[name]) for name in named]
        return self._session.execute(text(statement).bindparams(*typed), named)

    def _batch(self, batch_id: int) -> ImportBatch:
        batch = self._session.get(
            ImportBatch, (self._tenant, batch_id), populate_existing=True
        )
        if batch is None:
            raise NotFoundError
        return batch

    def _stage(
        self,
        source: InvoiceSource,
        file: SourceFile,
        report: ImportReport,
        progress: Callable[[int], None],
    ) -> None:
        try:
            self._stage_all(source, file, report, progress)
        except NotNowError:
            raise  # Nothing was read: somebody else may, or later.
        except FaultError:
            words = _("Le format « %(name)s » a échoué : rien n’a été importé.")
            report.add(SourceProblem(words % {"name": source.label}, file=file.name))

    def _stage_all(
        self,
        source: InvoiceSource,
        file: SourceFile,
        report: ImportReport,
        progress: Callable[[int], None],
    ) -> None:
        read = 0
        chunk: list[Staged] = []
        for item in reading.read(source, file, self._tenant, self._at_once_seconds):
            if isinstance(item, SourceProblem):
                report.add(item)
                continue
            if isinstance(item, SourceNotice):
                report.note(item)
                continue
            read += 1
            for problem in self._problems_of(item, file):
                report.add(problem)
            self._note_reference(item, file, report)
            if report.refused:
                chunk.clear()  # The rest is read for its problems only.
                continue
            chunk.append(self._staged(source, item))
            if len(chunk) == _CHUNK:
                self._copy(chunk)
                progress(read)
                chunk.clear()
        self._copy(chunk)
        progress(read)
        if not read and not report.refused and not report.left_out:
            report.add(SourceProblem(_("Ce fichier ne contient aucune facture."), file=file.name))

    def _problems_of(self, record: InvoiceRecord, file: SourceFile) -> Iterator[SourceProblem]:
        """Problems that no source may let through, whoever wrote it."""

        def problem(message: str, column: str, value: object) -> SourceProblem:
            return SourceProblem(message, file.name, record.line_number, column, str(value)[:80])

        if record.regie not in self._town.file.regies:
            known = ", ".join(self._town.file.regies)
            yield problem(
                _("Régie inconnue dans cette commune. Régies connues : %(known)s.")
                % {"known": known},
                "regie",
                record.regie,
            )
        if not access_codes.normalise(record.family_code):
            yield problem(_("Le code famille manque."), "code_famille", record.family_code)
        for message, column, value in soundness.faults(record):
            yield problem(message, column, value)
        if record.lines and sum(line.amount for line in record.lines) != record.amount:
            yield problem(
                _("La somme des lignes ne fait pas le montant de la facture."),
                "montant",
                record.number,
            )

    def _note_reference(
        self, record: InvoiceRecord, file: SourceFile, report: ImportReport
    ) -> None:
        """Tell of an invoice whose reference nobody will be able to pay with online.

        It is no problem of the file: the debt may well have this reference, and is paid elsewhere.
        """
        choice = self._online.get(record.regie)
        if choice is None or not _is_refused_online(record, choice):
            return
        words = _("La facture %(number)s ne pourra pas être payée en ligne. %(rule)s")
        report.note(
            SourceNotice(
                words % {"number": record.number, "rule": choice.capabilities.reference_rule},
                file.name,
                record.line_number,
                "ref_tipi",
                record.payment_reference[:80],
            )
        )

    def _staged(self, source: InvoiceSource, record: InvoiceRecord) -> Staged:
        document_id, digest = None, ""
        if record.document is not None:
            content = reading.document(source, record.document)
            filed = self._files.add(
                record.document.name, "application/pdf", content, for_good=self._for_good
            )
            document_id, digest = filed.id, filed.sha256
        former = [
            fingerprint(replace(record, number=number), digest) for number in record.former_numbers
        ]
        spelling = None if self._ours else record.family_code.strip()
        return Staged(record, document_id, fingerprint(record, digest), former, spelling)

    def _copy(self, chunk: list[Staged]) -> None:
        if not chunk:
            return
        cursor = self._session.connection().connection.cursor()
        columns = ", ".join(column.name for column in stored.STAGED_INVOICE)
        with cursor.copy(f"COPY staged_invoice ({columns}) FROM STDIN") as out:
            for staged in chunk:
                out.write_row(stored.invoice_row(staged))
        columns = ", ".join((*_LINE_KEYS, *stored.STAGED_LINE))
        with cursor.copy(f"COPY staged_line ({columns}) FROM STDIN") as out:
            for record, *_stored in chunk:
                family_code = access_codes.normalise(record.family_code)
                for line in record.lines:
                    child = _child(family_code, line.child), line.child
                    out.write_row((record.regie, record.number, *child, *stored.line_row(line)))

    def _check(self, report: ImportReport) -> None:
        messages = {
            "duplicate": _("Ce numéro figure déjà plus haut dans le fichier, pour la même régie."),
            "counted": _("Cet avoir a changé alors que sa facture a été réglée d’après lui."),
            "paid": _("Cette facture a changé alors qu’elle est payée ou en cours de paiement."),
            "family": _("Cette facture existe déjà pour une autre famille."),
            "origin": _("La facture d’origine de cet avoir est d’une autre famille."),
            "year": _("Ce numéro est déjà celui d’une facture d’un autre exercice."),
        }
        # A payment that begins now waits for us, and then sees what the invoice has become.
        self._run(_one("lock"))
        statistics.join_as_sets(self._session, self._is_large)
        for row in self._run(_one("check")):
            if row.problem == "spelling":
                report.add(
                    SourceProblem(
                        _(
                            "Ce code famille et « %(other)s », déjà connu, ne diffèrent que par "
                            "leur écriture : sont-ils d’un même foyer ? Si oui, écrivez-le "
                            "partout pareil, ou corrigez-le au dossier de la famille."
                        )
                        % {"other": row.other_spelling},
                        "",
                        row.line_number,
                        "code_famille",
                        row.family_spelling,
                    )
                )
                continue
            report.add(
                SourceProblem(messages[row.problem], "", row.line_number, "numero", row.number)
            )
        too_much = _(
            "Les avoirs de la facture %(number)s en retireraient %(credited)s : plus que son "
            "montant, %(amount)s."
        )
        for row in self._run(_one("check_credited")):
            sums = {"credited": money(row.credited), "amount": money(row.amount)}
            message = too_much % {"number": row.origin, **sums}
            report.add(SourceProblem(message, "", row.line_number, "montant", row.number))

    def _merge(
        self, source: InvoiceSource, file: SourceFile, report: ImportReport
    ) -> Sequence[Any]:
        """Store what was staged; the names that known invoices are called by from now on."""
        batch = ImportBatch(
            tenant_id=self._tenant,
            source=source.key,
            file_name=file.name,
            sha256=_sha256(file.path),
            actor=self._audit.actor,
            regies=self._run(
                "SELECT coalesce(array_agg(DISTINCT regie ORDER BY regie), '{}')"
                " FROM staged_invoice"
            ).scalar_one(),
            counts={},
        )
        self._session.add(batch)
        self._session.flush()
        counts = dict.fromkeys(("created", "changed", "unchanged", "families", "children"), 0)
        language = self._town.languages[0]
        for statement in _statements("merge"):
            written = self._write(statement, batch=batch.id, language=language)
            name = re.match(r"-- count (\w+)\n", statement)
            if name:
                counts[name[1]] = written
        statistics.join_as_sets(self._session, False)
        counts["unchanged"] = self._run(
            "SELECT count(*) FROM staged_invoice WHERE action = 'same'"
        ).scalar_one()
        if report.left_out:
            counts["left_out"] = sum(sums["count"] for sums in report.left_out.values())
        report.counts = counts
        for statement, found in zip(
            _statements("preview"), (report.totals, report.changes), strict=True
        ):
            found.extend(map(dict, self._run(statement, batch=batch.id).mappings()))
        names: Sequence[Any] = self._run(_one("names")).all()
        self._link(names)
        self._tell(file, report)
        if not counts["created"] and not counts["changed"]:
            return names  # All of it was here already: no batch to list, nothing to undo.
        batch.counts = counts
        self._session.flush()
        report.batch_id = batch.id
        self._audit.write("import.done", f"batch:{batch.id}", file=file.name, **counts)
        return names

    def _write(self, statement: str, **values: Any) -> int:
        """Run a statement of the merge; how many rows it wrote.

        Of a large file, the first rows are written by themselves, so that PostgreSQL may count them
        before it checks the keys of all others.
        """
        parts = [(0, _ALL)]
        table = re.search(r"^INSERT INTO (\w+)", statement, re.MULTILINE)
        if self._is_large and ":upto" in statement:
            parts = [(0, statistics.FIRST), (statistics.FIRST, _ALL)]
        written = 0
        for after, upto in parts:
            written += self._run(statement, after=after, upto=upto, **values).rowcount
            if self._is_large and table:
                statistics.count_anew(self._session, table[1])
        return written

    def _link(self, names: Sequence[Any]) -> None:
        """Keep the `names` of invoices, and give credit notes the invoices that they name."""
        for row in names:
            self._run(_one("keep_names"), invoice=row.id, names=row.names)
        self._run(_one("link"))

    def _tell(self, file: SourceFile, report: ImportReport) -> None:
        """Note what an agent must look at in what was stored."""
        messages = {
            "alone": _(
                "Cet avoir ne se rattache avec certitude à aucune "
                "facture : rien n’en est déduit."
            ),
            "replaced": _("Cette facture en remplace une autre, qui peut encore être payée."),
            "like": _("Une facture ressemble à celle-ci : vérifiez que ce n’est pas la même."),
        }
        for row in self._run(_one("notices")):
            value = " / ".join(filter(None, (row.number, row.other)))
            report.note(
                SourceNotice(messages[row.notice], file.name, row.line_number, "numero", value)
            )


def _is_refused_online(record: InvoiceRecord, choice: ProviderChoice) -> bool:
    """True if nobody could pay this invoice online because of the reference that it brings.

    One that is debited, and one that asks for nothing, need none.
    """
    return (
        record.kind is InvoiceKind.INVOICE
        and record.amount > 0
        and not record.direct_debit
        and not choice.capabilities.takes_reference(record.payment_reference)
    )


def _child(family_code: str, child: str) -> str | None:
    return child_code(family_code, child) if child else None


def _sha256(path: Path) -> str:
    if path.is_dir():
        return ""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _one(name: str) -> str:
    return _statements(name)[0]


@cache
def _statements(name: str) -> list[str]:
    """The statements of a file below ``sql``, which are separated by a line ``;``."""
    content = (_SQL / f"{name}.sql").read_text("utf-8")
    for named, columns in stored.names().items():
        content = content.replace(f"{{{named}}}", columns)
    return [part.strip() for part in content.split("\n;\n") if part.strip()]
