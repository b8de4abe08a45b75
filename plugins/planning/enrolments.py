"""Files of enrolments: a kind of records on core's page *Imports*.

A file with one problem changes nothing. The same file again changes nothing either. What a file
replaced is kept in its batch, so that it can be undone.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert

from core.plugin import (
    PARIS,
    DateError,
    Figure,
    RecordReport,
    SourceFile,
    SourceProblem,
    TableError,
    TableRow,
    TenantContext,
    UserError,
    parse_day,
    read_tables,
)
from core.plugin import gettext as _
from plugins.planning import telling
from plugins.planning.book import Book
from plugins.planning.models import (
    PlanningBatch,
    PlanningBooking,
    PlanningChange,
    PlanningClosure,
    PlanningEnrolment,
)
from plugins.planning.rules import Kind, State
from plugins.planning.settings import PlanningSettings

COLUMNS = ("code_famille", "enfant", "service", "du", "au")
MORE_COLUMNS = ("nom_famille", "nom_enfant", "type", "lieu", "repas", "jours")
KINDS = {
    "": Kind.OCCASIONAL, "occasionnel": Kind.OCCASIONAL, "regulier": Kind.REGULAR,
    "affiche": Kind.SHOWN,
}  # fmt: skip
DAYS = ("lu", "ma", "me", "je", "ve", "sa", "di")
MAX_CHARS = {"code_famille": 60, "enfant": 120, "nom_famille": 120, "nom_enfant": 120, "lieu": 80,
           "repas": 20}  # fmt: skip
MAX_SPAN_DAYS = 800
REGULAR = "planning.regular"
"""Topic of the outbox: the days of a file's regular enrolments."""


@dataclass(frozen=True, slots=True)
class Row:
    """One enrolment of a file."""

    line: int
    family: str
    family_name: str
    child: str
    child_name: str
    service: str
    first: date
    last: date
    kind: Kind
    place: str
    meal: str
    weekdays: frozenset[int]


def read(file: SourceFile, services: Collection[str]) -> Iterator[Row | SourceProblem]:
    """Read a file (CSV, XLSX, ODS): its enrolments, and a problem where one is wrong."""
    try:
        tables = read_tables(file.path.read_bytes())
    except TableError as error:
        words = _("Ce fichier n’est pas un tableau lisible.")
        yield SourceProblem(words, file.name, error.line)
        return
    table = next((one for one in tables if set(COLUMNS) <= set(_titles(one[0]))), tables[0])
    titles = _titles(table[0])
    wrong = [(name, _("Cette colonne manque.")) for name in COLUMNS if name not in titles]
    wrong += [
        (name, _("Cette colonne est inconnue."))
        for name in titles
        if name not in {*COLUMNS, *MORE_COLUMNS}
    ]
    wrong += [
        (name, _("Cette colonne est là deux fois."))
        for name in dict.fromkeys(titles)
        if titles.count(name) > 1
    ]
    if wrong:
        for name, message in wrong:
            yield SourceProblem(message, file.name, table[0].line, name)
        return
    if not table[1:]:
        yield SourceProblem(_("Ce fichier ne contient aucune inscription."), file.name, 1)
    seen: dict[tuple[str, str, str, date], int] = {}
    for cells in table[1:]:
        for found in _row(file.name, cells, titles, services):
            if isinstance(found, Row):
                key = (found.family, found.child, found.service, found.first)
                if key in seen:
                    words = _("Cette inscription est déjà à la ligne %s.") % seen[key]
                    yield SourceProblem(words, file.name, found.line)
                seen.setdefault(key, found.line)
            yield found


def _titles(row: TableRow) -> list[str]:
    return [_plain(cell) for cell in row.cells]


def _row(
    name: str, row: TableRow, titles: Sequence[str], services: Collection[str]
) -> Iterator[Row | SourceProblem]:
    if len(row.cells) > len(titles) and any(row.cells[len(titles) :]):
        words = _("Cette ligne n’a pas le nombre de colonnes.")
        yield SourceProblem(words, name, row.line)
        return
    cells = {title: row.cell(place) for place, title in enumerate(titles)}
    problems: list[SourceProblem] = []

    def wrong(column: str, message: str) -> None:
        problems.append(SourceProblem(message, name, row.line, column, cells.get(column, "")))

    _texts(cells, services, wrong)
    days = {}
    for column in ("du", "au"):
        try:
            days[column] = parse_day(cells[column])
        except DateError:
            wrong(column, _("Une date est attendue, comme 03/12/2026."))
    if len(days) == 2 and not 0 <= (days["au"] - days["du"]).days <= MAX_SPAN_DAYS:
        wrong("au", _("La fin est avant le début, ou à plus de deux ans."))
    kind = KINDS.get(_plain(cells.get("type", "")))
    if kind is None:
        wrong("type", _("Le type est occasionnel, régulier ou affiché."))
    weekdays = set()
    for word in cells.get("jours", "").replace(",", " ").split():
        if _plain(word)[:2] in DAYS:
            weekdays.add(DAYS.index(_plain(word)[:2]))
        else:
            wrong("jours", _("Les jours s’écrivent lu ma me je ve sa di."))
    if kind is Kind.REGULAR and not weekdays and not problems:
        wrong("jours", _("Une inscription régulière dit ses jours."))
    if problems or kind is None:
        yield from problems
        return
    yield Row(
        row.line, cells["code_famille"], cells.get("nom_famille", ""), cells["enfant"],
        cells.get("nom_enfant", ""), cells["service"], days["du"], days["au"], kind,
        cells.get("lieu", ""), cells.get("repas", ""), frozenset(weekdays),
    )  # fmt: skip


def _texts(cells: Mapping[str, str], services: Collection[str], wrong: Any) -> None:
    for name, longest in MAX_CHARS.items():
        value = cells.get(name, "")
        if len(value) > longest or any(ord(char) < 32 for char in value):
            wrong(name, _("Ce texte est trop long ou illisible."))
    for name in ("code_famille", "enfant"):
        if not cells[name]:
            wrong(name, _("Cette case est vide."))
    if cells["service"] not in services:
        wrong("service", _("Ce service n’est pas réglé sur le portail."))


def _plain(text: str) -> str:
    folded = unicodedata.normalize("NFKD", text.strip().strip("\ufeff").casefold())
    return "".join(char for char in folded if not unicodedata.combining(char)).replace(" ", "_")


class EnrolmentFiles:
    """The kind of file as core's page *Imports* knows it."""

    key = "enrolments"

    def __init__(self, settings: PlanningSettings) -> None:
        self._settings = settings

    @property
    def label(self) -> str:
        """For the agents' list of formats."""
        return _("Inscriptions au planning (CSV, XLSX, ODS)")

    def read(self, file: SourceFile) -> Iterator[Row | SourceProblem]:
        """Read a file."""
        yield from read(file, self._settings.services)

    def merge(self, ctx: TenantContext, records: Sequence[Any], import_id: int) -> RecordReport:
        """Write what is new or changed."""
        return self._of(ctx).merge(records, f"upload/{import_id}")

    def undo(self, ctx: TenantContext, import_id: int) -> RecordReport:
        """Take a file back."""
        return self._of(ctx).undo(f"upload/{import_id}")

    def _of(self, ctx: TenantContext) -> Enrolments:
        return Enrolments(ctx, Book(ctx, self._settings, actor="import"))


class Enrolments:
    """The enrolments of one town. A `source` names the file that brought them."""

    def __init__(self, ctx: TenantContext, book: Book) -> None:
        self._ctx = ctx
        self._book = book
        self._tenant = ctx.town.slug

    def merge(self, rows: Sequence[Row], source: str) -> RecordReport:
        """Write what is new or changed, unless a family is unknown and has no name."""
        families, problems = self._families(rows)
        if problems:
            return RecordReport(problems=tuple(problems))
        batch = PlanningBatch(
            tenant_id=self._tenant, source=source, at=self._ctx.clock.now(), count=0, replaced=[],
            undone_at=None,
        )  # fmt: skip
        self._ctx.session.add(batch)
        self._ctx.session.flush()
        children: dict[tuple[int, str], int] = {}
        rows, written, problems = self._once(
            rows, [self._values(row, families, children, str(batch.id)) for row in rows]
        )
        if problems:
            return RecordReport(problems=tuple(problems))
        fresh, replaced = self._changed(written)
        if fresh:
            wanted = insert(PlanningEnrolment)
            self._ctx.session.execute(
                wanted.on_conflict_do_update(
                    index_elements=["tenant_id", "child_id", "service", "first"],
                    set_={name: wanted.excluded[name] for name in (*_SAME, "batch")},
                ),
                fresh,
            )
            self._ctx.outbox.add(REGULAR, {"batch": batch.id}, key=f"regular/{batch.id}")
        batch.replaced, batch.count = replaced, len(fresh)
        self._ctx.session.flush()
        self._ctx.session.expire_all()
        figures = (
            Figure(_("Inscriptions nouvelles"), len(fresh) - len(replaced)),
            Figure(_("Inscriptions changées"), len(replaced)),
            Figure(_("Inscriptions déjà connues"), len(written) - len(fresh)),
        )
        shown = {_place(row) for row in fresh[:MAX_SAID]}
        said = [
            _("%(child)s, %(service)s, à partir du %(day)s")
            % {
                "child": row.child_name or row.child,
                "service": self._book.services[row.service].label,
                "day": f"{row.first:%d/%m/%Y}",
            }
            for row, values in zip(rows, written, strict=True)
            if _place(values) in shown
        ]
        return RecordReport(figures, tuple(said))

    def _changed(
        self, written: Sequence[Mapping[str, Any]]
    ) -> tuple[list[Mapping[str, Any]], list[dict[str, Any]]]:
        """The rows that are new or say something else, and what the latter replace."""
        old = self._held({row["child_id"] for row in written})
        fresh, replaced = [], []
        for row in written:
            before = old.get(_place(row))
            if before is not None:
                if all(before[name] == row[name] for name in _SAME):
                    continue
                replaced.append({name: _json(value) for name, value in before.items()})
            fresh.append(row)
        return fresh, replaced

    def undo(self, source: str) -> RecordReport:
        """Take a file back: enrolments become what they were; its days are cancelled by a worker.

        Raises:
            UserError: a later file changed the same enrolments.
        """
        batch = self._ctx.session.scalar(
            select(PlanningBatch)
            .where(PlanningBatch.tenant_id == self._tenant, PlanningBatch.source == source)
            .with_for_update()
        )
        label = _("Inscriptions retirées ou rétablies")
        if batch is None or batch.undone_at is not None:
            return RecordReport((Figure(label, 0),))
        gone = self._ctx.session.execute(
            delete(PlanningEnrolment)
            .where(
                PlanningEnrolment.tenant_id == self._tenant,
                PlanningEnrolment.batch == str(batch.id),
            )
            .returning(PlanningEnrolment.id)
        ).all()
        if len(gone) != batch.count:
            raise UserError(
                _("Un fichier plus récent a changé ces inscriptions : annulez-le d’abord.")
            )
        if batch.replaced:
            self._ctx.session.execute(
                insert(PlanningEnrolment),
                [
                    {"tenant_id": self._tenant, **row,
                     "first": date.fromisoformat(row["first"]),
                     "last": date.fromisoformat(row["last"])}
                    for row in batch.replaced
                ],
            )  # fmt: skip
        batch.undone_at = self._ctx.clock.now()
        self._ctx.session.flush()
        self._ctx.session.expire_all()
        self._ctx.outbox.add(REGULAR, {"batch": batch.id}, key=f"regular-undone/{batch.id}")
        return RecordReport((Figure(label, len(gone)),))

    def work(self, batch_id: int) -> int:
        """Book the days of a file's regular enrolments, or cancel them once it is undone."""
        # Locked: a file that is undone while its days are booked waits, then cancels them all.
        batch = self._ctx.session.get(
            PlanningBatch, (self._tenant, batch_id), with_for_update=True, populate_existing=True
        )
        if batch is None:
            return 0
        return self._book_days(batch_id) if batch.undone_at is None else self._cancel_days(batch_id)

    # --- inside --------------------------------------------------------------------------------

    def _families(self, rows: Sequence[Row]) -> tuple[dict[str, int], list[SourceProblem]]:
        """The families of a file by code: known ones, and those whose names it gives."""
        found: dict[str, int] = {}
        problems = []
        named = {row.family: row.family_name for row in rows if row.family_name}
        for row in rows:
            if row.family in found:
                continue
            family = self._ctx.families.by_code(row.family)
            try:
                if family is None and row.family in named:
                    family = self._ctx.families.open(row.family, named[row.family])
            except UserError as error:
                problems.append(_problem(row, error.message))
                continue
            if family is None:
                words = _("Cette famille est inconnue ; donnez son nom pour la créer.")
                problems.append(_problem(row, words))
            else:
                found[row.family] = family.id
        return found, problems

    def _once(
        self, rows: Sequence[Row], written: Sequence[dict[str, Any]]
    ) -> tuple[list[Row], list[dict[str, Any]], list[SourceProblem]]:
        """Each enrolment once: a file names a child of two homes with both, or a family twice."""
        first: dict[tuple[int, str, date], tuple[Row, dict[str, Any]]] = {}
        problems = []
        for row, values in zip(rows, written, strict=True):
            known, same = first.setdefault(
                (values["child_id"], values["service"], values["first"]), (row, values)
            )
            if same != values:
                words = _("Cette inscription est déjà à la ligne %s.") % known.line
                problems.append(_problem(row, words))
        return (
            [row for row, _same in first.values()],
            [one for _row, one in first.values()],
            problems,
        )

    def _values(
        self, row: Row, families: Mapping[str, int], children: dict[tuple[int, str], int],
        batch: str,
    ) -> dict[str, Any]:  # fmt: skip
        family_id = families[row.family]
        key = (family_id, row.child)
        if key not in children:
            child = self._ctx.families.child_named(family_id, row.child)
            if child is None:
                child = self._ctx.families.add_child(family_id, row.child, row.child_name)
            children[key] = child.id
        return {
            "tenant_id": self._tenant, "child_id": children[key], "service": row.service,
            "place": row.place, "meal": row.meal, "kind": row.kind.value,
            "weekdays": "".join(map(str, sorted(row.weekdays))), "first": row.first,
            "last": row.last, "batch": batch,
        }  # fmt: skip

    def _held(self, children: Collection[int]) -> dict[tuple[int, str, date], dict[str, Any]]:
        table = PlanningEnrolment
        columns = [getattr(table, name) for name in (*_KEYS, *_SAME, "batch")]
        return {
            (row.child_id, row.service, row.first): dict(row._mapping)  # noqa: SLF001 - its name
            for row in self._ctx.session.execute(
                select(*columns).where(
                    table.tenant_id == self._tenant, table.child_id.in_(children)
                )
            )
        }

    def _book_days(self, batch_id: int) -> int:
        today = self._ctx.clock.now().astimezone(PARIS).date()
        rows = self._ctx.session.scalars(
            select(PlanningEnrolment).where(
                PlanningEnrolment.tenant_id == self._tenant,
                PlanningEnrolment.batch == str(batch_id),
                PlanningEnrolment.kind == Kind.REGULAR,
            )
        ).all()
        closed = {
            (row.day, row.service, row.place)
            for row in self._ctx.session.execute(
                select(PlanningClosure.day, PlanningClosure.service, PlanningClosure.place).where(
                    PlanningClosure.tenant_id == self._tenant, PlanningClosure.day > today
                )
            )
        }
        by_day: dict[tuple[str, date], list[PlanningEnrolment]] = {}
        for row in rows:
            service = self._book.services.get(row.service)
            day = max(row.first, today + timedelta(days=1))
            while service is not None and day <= min(row.last, self._book.calendar.last):
                if str(day.weekday()) in row.weekdays and service.opens(day, self._book.calendar):
                    shut = {(day, key, where) for key in ("", row.service)
                            for where in ("", row.place)}  # fmt: skip
                    if not shut & closed:
                        by_day.setdefault((row.service, day), []).append(row)
                day += timedelta(days=1)
        return sum(
            self._book_day(service, day, children, batch_id)
            for (service, day), children in sorted(by_day.items(), key=lambda one: one[0])
        )

    def _book_day(
        self, service: str, day: date, rows: list[PlanningEnrolment], batch_id: int
    ) -> int:
        self._book.lock_day(service, day)
        now = self._ctx.clock.now()
        made = self._ctx.session.execute(
            insert(PlanningBooking)
            .values(
                [
                    {"tenant_id": self._tenant, "child_id": row.child_id, "service": service,
                     "day": day, "place": row.place, "meal": row.meal, "state": State.BOOKED.value,
                     "late": False, "queued": 0, "family_id": None, "changed_at": now,
                     "justified": None}
                    for row in rows
                ]
            )
            .on_conflict_do_nothing()
            .returning(PlanningBooking.child_id)
        ).scalars().all()  # fmt: skip
        if made:
            self._ctx.session.execute(
                insert(PlanningChange),
                [self._change(child, service, day, "", State.BOOKED, batch_id) for child in made],
            )
        return len(made)

    def _cancel_days(self, batch_id: int) -> int:
        """Cancel the days to come that the file booked and nobody changed since."""
        today = self._ctx.clock.now().astimezone(PARIS).date()
        made = self._ctx.session.execute(
            select(PlanningBooking.child_id, PlanningBooking.service, PlanningBooking.day)
            .join(
                PlanningChange,
                (PlanningChange.tenant_id == PlanningBooking.tenant_id)
                & (PlanningChange.child_id == PlanningBooking.child_id)
                & (PlanningChange.service == PlanningBooking.service)
                & (PlanningChange.day == PlanningBooking.day),
            )
            .where(
                PlanningBooking.tenant_id == self._tenant,
                PlanningBooking.state == State.BOOKED,
                PlanningBooking.family_id.is_(None),
                PlanningBooking.day > today,
                PlanningChange.request == f"batch/{batch_id}",
                PlanningChange.after == State.BOOKED,
            )
        ).all()
        by_day: dict[tuple[str, date], list[int]] = {}
        for row in made:
            by_day.setdefault((row.service, row.day), []).append(row.child_id)
        for (service, day), children in sorted(by_day.items()):
            outcome = self._book.set_state(
                [(child, service, day, State.CANCELLED) for child in sorted(set(children))],
                key=f"batch/{batch_id}/{service}/{day}",
                reason=_("fichier annulé"),
            )
            # Who waited for one of these places gets it, and is told.
            telling.tell(self._ctx, outcome, family_id=None)
        return len(made)

    def _change(
        self, child_id: int, service: str, day: date, before: str, after: str, batch_id: int
    ) -> dict[str, Any]:
        return {
            "tenant_id": self._tenant, "child_id": child_id, "service": service, "day": day,
            "at": self._ctx.clock.now(), "actor": "import", "before": before, "after": after,
            "late": False, "reason": "", "request": f"batch/{batch_id}",
        }  # fmt: skip


_KEYS = ("child_id", "service", "first")
_SAME = ("place", "meal", "kind", "weekdays", "last")
MAX_SAID = 200
"""Changes of a file that are said one by one."""


def _problem(row: Row, message: str) -> SourceProblem:
    return SourceProblem(message, "", row.line, "code_famille", row.family)


def _json(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value


def _place(row: Mapping[str, Any]) -> tuple[int, str, date]:
    """What only one enrolment of a town has: child, service and first day."""
    return row["child_id"], row["service"], row["first"]
