"""Files of enrolments: read strictly, reported whole, imported at once, undone.

A file with one problem changes nothing. The same file again changes nothing either.
"""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert

from core.plugin import PARIS, DateError, DecodeError, TenantContext, UserError, decode, parse_day
from core.plugin import gettext as _
from plugins.planning.book import Book
from plugins.planning.models import (
    PlanningBatch,
    PlanningBooking,
    PlanningChange,
    PlanningEnrolment,
)
from plugins.planning.rules import Kind, State

COLUMNS = ("code_famille", "enfant", "service", "du", "au")
MORE_COLUMNS = ("nom_famille", "nom_enfant", "type", "lieu", "repas", "jours")
KINDS = {
    "": Kind.OCCASIONAL, "occasionnel": Kind.OCCASIONAL, "regulier": Kind.REGULAR,
    "affiche": Kind.SHOWN,
}  # fmt: skip
DAYS = ("lu", "ma", "me", "je", "ve", "sa", "di")
LARGEST_BYTES = 20_000_000
MOST_PROBLEMS = 200
LONGEST = {"code_famille": 60, "enfant": 120, "nom_famille": 120, "nom_enfant": 120, "lieu": 80,
           "repas": 20}  # fmt: skip
REGULAR = "planning.regular"


@dataclass(frozen=True, slots=True)
class Problem:
    """Error in a line of a file."""

    line: int
    column: str
    message: str


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


@dataclass(slots=True)
class Report:
    """Result of reading a file: its rows, its problems, and what was done."""

    rows: list[Row] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    new: int = 0
    changed: int = 0
    batch_id: int = 0


def read(content: bytes, services: Collection[str]) -> Report:
    """Read a file; all of its problems at once."""
    report = Report()
    try:
        text = decode(content)
    except DecodeError:
        report.problems.append(Problem(1, "", _("Ce fichier n’est pas un texte lisible.")))
        return report
    lines = csv.reader(io.StringIO(text), delimiter=";" if ";" in text.partition("\n")[0] else ",")
    try:
        titles = [_plain(title) for title in next(lines, [])]
        missing = [name for name in COLUMNS if name not in titles]
        unknown = [name for name in titles if name not in {*COLUMNS, *MORE_COLUMNS}]
        for name in missing:
            report.problems.append(Problem(1, name, _("Cette colonne manque.")))
        for name in unknown:
            report.problems.append(Problem(1, name, _("Cette colonne est inconnue.")))
        if report.problems:
            return report
        seen: dict[tuple[str, str, str, date], int] = {}
        for found in _rows(lines, titles, services):
            if isinstance(found, Problem):
                report.problems.append(found)
                continue
            key = (found.family, found.child, found.service, found.first)
            if key in seen:
                message = _("Cette inscription est déjà à la ligne %s.") % seen[key]
                report.problems.append(Problem(found.line, "", message))
            seen.setdefault(key, found.line)
            report.rows.append(found)
    except csv.Error:
        report.problems.append(Problem(lines.line_num, "", _("Cette ligne est illisible.")))
    if not report.rows and not report.problems:
        report.problems.append(Problem(1, "", _("Ce fichier ne contient aucune inscription.")))
    return report


def _rows(
    lines: Any, titles: list[str], services: Collection[str]
) -> Iterator[Row | Problem]:
    for cells in lines:
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(titles):
            yield Problem(lines.line_num, "", _("Cette ligne n’a pas le nombre de colonnes."))
            continue
        named = dict(zip(titles, map(str.strip, cells), strict=True))
        yield from _row(lines.line_num, named, services)


def _row(
    line: int, cells: Mapping[str, str], services: Collection[str]
) -> Iterator[Row | Problem]:
    problems = []

    def wrong(column: str, message: str) -> None:
        problems.append(Problem(line, column, message))

    for name, longest in LONGEST.items():
        value = cells.get(name, "")
        if len(value) > longest or any(ord(char) < 32 for char in value):
            wrong(name, _("Ce texte est trop long ou illisible."))
    for name in ("code_famille", "enfant"):
        if not cells[name]:
            wrong(name, _("Cette case est vide."))
    if cells["service"] not in services:
        wrong("service", _("Ce service n’est pas réglé sur le portail."))
    days = {}
    for name in ("du", "au"):
        try:
            days[name] = parse_day(cells[name])
        except DateError:
            wrong(name, _("Une date est attendue, comme 03/12/2026."))
    if len(days) == 2 and not 0 <= (days["au"] - days["du"]).days <= 800:
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
    if problems:
        yield from problems
        return
    assert kind is not None  # noqa: S101 - it would be a problem
    yield Row(
        line, cells["code_famille"], cells.get("nom_famille", ""), cells["enfant"],
        cells.get("nom_enfant", ""), cells["service"], days["du"], days["au"], kind,
        cells.get("lieu", ""), cells.get("repas", ""), frozenset(weekdays),
    )  # fmt: skip


def _plain(text: str) -> str:
    folded = unicodedata.normalize("NFKD", text.strip().strip("\ufeff").casefold())
    return "".join(char for char in folded if not unicodedata.combining(char)).replace(" ", "_")


class Enrolments:
    """Imports of one town."""

    def __init__(self, ctx: TenantContext, book: Book, *, actor: str) -> None:
        self._ctx = ctx
        self._book = book
        self._actor = actor
        self._tenant = ctx.town.slug

    def check(self, content: bytes) -> Report:
        """Report what a file would do."""
        report = read(content, self._book.services)
        if not report.problems:
            old = self._known(report)
            for row in report.rows:
                if self._ctx.families.by_code(row.family) is None and not row.family_name:
                    message = _("Cette famille est inconnue ; donnez son nom pour la créer.")
                    report.problems.append(Problem(row.line, "code_famille", message))
            report.new = sum(key not in old for key in map(_key, report.rows))
            report.changed = len(report.rows) - report.new
        return report

    def run(self, file_name: str, content: bytes) -> Report:
        """Import a file, unless it has a problem."""
        report = self.check(content)
        if report.problems:
            return report
        batch = PlanningBatch(
            tenant_id=self._tenant, file_name=file_name[:200], at=self._ctx.clock.now(),
            actor=self._actor, count=len(report.rows), replaced=[], undone_at=None,
        )  # fmt: skip
        self._ctx.session.add(batch)
        self._ctx.session.flush()
        rows = [self._values(row, str(batch.id)) for row in report.rows]
        ids = {row["child_id"] for row in rows}
        old = {
            (row.child_id, row.service, row.first): row
            for row in self._ctx.session.scalars(
                select(PlanningEnrolment).where(
                    PlanningEnrolment.tenant_id == self._tenant,
                    PlanningEnrolment.child_id.in_(ids),
                )
            )
        }
        replaced, fresh = [], []
        for row in rows:
            before = old.get((row["child_id"], row["service"], row["first"]))
            if before is not None and all(
                getattr(before, name) == row[name] for name in _SAME
            ):
                continue
            fresh.append(row)
            if before is not None:
                replaced.append(
                    {name: _json(getattr(before, name)) for name in (*_KEYS, *_SAME, "batch")}
                )
        if fresh:
            wanted = insert(PlanningEnrolment)
            self._ctx.session.execute(
                wanted.on_conflict_do_update(
                    index_elements=["tenant_id", "child_id", "service", "first"],
                    set_={name: wanted.excluded[name] for name in (*_SAME, "batch")},
                ),
                fresh,
            )
        batch.replaced, batch.count = replaced, len(fresh)
        report.new, report.changed = len(fresh) - len(replaced), len(replaced)
        report.batch_id = batch.id
        self._ctx.session.flush()
        self._ctx.session.expire_all()
        self._ctx.outbox.add(REGULAR, {"batch": batch.id}, key=f"regular/{batch.id}")
        return report

    def undo(self, batch_id: int) -> None:
        """Take a file back: enrolments become what they were; days that it booked are cancelled.

        Raises:
            UserError: it is undone already, or a later file changed the same enrolments.
        """
        batch = self._ctx.session.get(
            PlanningBatch, (self._tenant, batch_id), with_for_update=True
        )
        if batch is None or batch.undone_at is not None:
            raise UserError(_("Ce fichier est déjà annulé."))
        gone = self._ctx.session.execute(
            delete(PlanningEnrolment)
            .where(
                PlanningEnrolment.tenant_id == self._tenant,
                PlanningEnrolment.batch == str(batch_id),
            )
            .returning(PlanningEnrolment.id)
        ).all()
        if len(gone) != batch.count:
            raise UserError(
                _("Un fichier plus récent a changé ces inscriptions : annulez-le d’abord.")
            )
        for row in batch.replaced:
            values = {**row, **{name: date.fromisoformat(row[name]) for name in ("first", "last")}}
            self._ctx.session.execute(
                insert(PlanningEnrolment).values(tenant_id=self._tenant, **values)
            )
        batch.undone_at = self._ctx.clock.now()
        self._cancel_regular(batch_id)

    def batches(self, limit: int = 20) -> list[PlanningBatch]:
        """The latest files."""
        return list(
            self._ctx.session.scalars(
                select(PlanningBatch)
                .where(PlanningBatch.tenant_id == self._tenant)
                .order_by(PlanningBatch.id.desc())
                .limit(limit)
            )
        )

    def book_regular(self, batch_id: int) -> int:
        """Book the days of a file's regular enrolments, from tomorrow on; how many."""
        today = self._ctx.clock.now().astimezone(PARIS).date()
        rows = self._ctx.session.scalars(
            select(PlanningEnrolment).where(
                PlanningEnrolment.tenant_id == self._tenant,
                PlanningEnrolment.batch == str(batch_id),
                PlanningEnrolment.kind == Kind.REGULAR,
            )
        ).all()
        by_day: dict[tuple[str, date], list[PlanningEnrolment]] = {}
        for row in rows:
            service = self._book.services.get(row.service)
            day = max(row.first, today + timedelta(days=1))
            while service is not None and day <= min(row.last, self._book.calendar.last):
                if str(day.weekday()) in row.weekdays and service.opens(day, self._book.calendar):
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

    def _cancel_regular(self, batch_id: int) -> None:
        today = self._ctx.clock.now().astimezone(PARIS).date()
        made = self._ctx.session.execute(
            select(PlanningChange.child_id, PlanningChange.service, PlanningChange.day).where(
                PlanningChange.tenant_id == self._tenant,
                PlanningChange.request == f"batch/{batch_id}",
                PlanningChange.after == State.BOOKED,
                PlanningChange.day > today,
            )
        ).all()
        for row in sorted(made, key=lambda one: (one.service, one.day, one.child_id)):
            self._book.lock_day(row.service, row.day)
            gone = self._ctx.session.execute(
                update(PlanningBooking)
                .where(
                    PlanningBooking.tenant_id == self._tenant,
                    PlanningBooking.child_id == row.child_id,
                    PlanningBooking.service == row.service,
                    PlanningBooking.day == row.day,
                    PlanningBooking.state == State.BOOKED,
                    PlanningBooking.family_id.is_(None),
                )
                .values(state=State.CANCELLED.value, changed_at=self._ctx.clock.now())
                .returning(PlanningBooking.id)
            ).all()
            if gone:
                change = self._change(
                    row.child_id, row.service, row.day, State.BOOKED, State.CANCELLED, batch_id
                )
                self._ctx.session.execute(insert(PlanningChange), [change])

    def _change(
        self, child_id: int, service: str, day: date, before: str, after: str, batch_id: int
    ) -> dict[str, Any]:
        return {
            "tenant_id": self._tenant, "child_id": child_id, "service": service, "day": day,
            "at": self._ctx.clock.now(), "actor": self._actor, "before": before, "after": after,
            "late": False, "reason": "", "request": f"batch/{batch_id}",
        }  # fmt: skip

    def _known(self, report: Report) -> set[tuple[str, str, str, date]]:
        found = set()
        by_family: dict[str, dict[str, int]] = {}
        for row in report.rows:
            if row.family not in by_family:
                family = self._ctx.families.by_code(row.family)
                children = self._ctx.families.children(family.id) if family else ()
                by_family[row.family] = {child.code: child.id for child in children}
            child = by_family[row.family].get(row.child)
            if child is not None:
                found.add((child, _key(row)))
        held = {
            (row.child_id, row.service, row.first)
            for row in self._ctx.session.execute(
                select(
                    PlanningEnrolment.child_id, PlanningEnrolment.service, PlanningEnrolment.first
                ).where(
                    PlanningEnrolment.tenant_id == self._tenant,
                    PlanningEnrolment.child_id.in_({child for child, _row in found}),
                )
            )
        }
        return {key for child, key in found if (child, key[2], key[3]) in held}

    def _values(self, row: Row, batch: str) -> dict[str, Any]:
        families = self._ctx.families
        family = families.by_code(row.family) or families.open(row.family, row.family_name)
        child = families.child_named(family.id, row.child) or families.add_child(
            family.id, row.child, row.child_name
        )
        return {
            "tenant_id": self._tenant, "child_id": child.id, "service": row.service,
            "place": row.place, "meal": row.meal, "kind": row.kind.value,
            "weekdays": "".join(map(str, sorted(row.weekdays))), "first": row.first,
            "last": row.last, "batch": batch,
        }  # fmt: skip


_KEYS = ("child_id", "service", "first")
_SAME = ("place", "meal", "kind", "weekdays", "last")


def _key(row: Row) -> tuple[str, str, str, date]:
    return (row.family, row.child, row.service, row.first)


def _json(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value
