"""The pages of families: the week, the month, the usual week, the proof, the calendar feed."""

from __future__ import annotations

import calendar as months
import uuid
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from pyramid.httpexceptions import HTTPNotFound, HTTPSeeOther
from sqlalchemy import select

from core.plugin import PARIS, ChildInfo, TenantContext, UserError
from core.plugin import gettext as _
from plugins.planning import forms, labels, telling
from plugins.planning.book import Answer, Book
from plugins.planning.feed import Feeds, ics
from plugins.planning.models import PlanningRequest
from plugins.planning.patterns import Patterns
from plugins.planning.rules import (
    NEVER,
    Cell,
    Decision,
    Kind,
    State,
    Verdict,
    Weeks,
    Wish,
    decide,
)
from plugins.planning.settings import PlanningSettings
from plugins.planning.views.refusals import or_back

LATEST_REQUESTS = 60
_SHEET = Path(__file__).parents[1] / "templates" / "planning.css"


class Family:
    """One request of a family."""

    def __init__(self, request: Any) -> None:
        from plugins.planning import plugin  # noqa: PLC0415 - the plugin object imports us

        self.ctx: TenantContext = request.ctx
        self.settings: PlanningSettings = self.ctx.settings(plugin)
        self.id = int(request.family_id)
        self.book = Book(self.ctx, self.settings, actor=f"family:{self.id}", family_id=self.id)
        self.now = self.ctx.clock.now()
        self.today = self.now.astimezone(PARIS).date()


or_week = or_back(lambda request: request.route_path("planning.week"))
"""Show the week again with the reason when the view is refused."""


@or_week
def week(request: Any) -> Any:
    """A week of all children."""
    family = Family(request)
    monday = forms.week_of(request.GET, family.today)
    days = [monday + timedelta(days=number) for number in range(7)]
    children, cells = family.book.look_at_family(days)
    return {
        "monday": monday,
        "sunday": days[-1],
        "before": monday - timedelta(days=7),
        "after": monday + timedelta(days=7),
        "today": family.today,
        "children": [(child, _days(family, child, days, cells)) for child in children],
        "labels": labels,
        "key": str(uuid.uuid4()),
        "number": monday.isocalendar().week,
    }


@or_week
def post_week(request: Any) -> Any:
    """Say in words what would change; nothing is written yet."""
    family = Family(request)
    wishes = forms.wishes(request.POST)
    back = request.route_path(
        "planning.week", _query={"jour": forms.text(request.POST, "jour", 10)}
    )
    if not wishes:
        request.session.flash(_("Vous n’avez rien changé."), "info")
        return HTTPSeeOther(back)
    return _shown_before(request, family, family.book.weigh(wishes), back, by_pattern=False)


@or_week
def post_confirm(request: Any) -> Any:
    """Do what the page before said in words, and show the proof."""
    family = Family(request)
    by_pattern = bool(request.POST.get("pattern"))
    wishes = forms.wishes(request.POST)
    if not wishes:
        raise UserError(_("Vous n’avez rien changé."))
    key = f"{family.id}:{forms.key(request.POST)}"
    outcome = family.book.ask(wishes, key=key, by_pattern=by_pattern)
    if not outcome.repeated:
        if by_pattern:
            Patterns(family.book, family.ctx).keep(family.id, request.POST, wishes)
        telling.tell(family.ctx, outcome, family_id=family.id)
    row = _request(family, PlanningRequest.key == key)
    request.session.flash(_("C’est enregistré. Voici la preuve de votre demande."), "success")
    return HTTPSeeOther(request.route_path("planning.request", id=row.id))


@or_week
def proof(request: Any) -> Any:
    """Request made at one moment, and each answer."""
    family = Family(request)
    row = _request(family, PlanningRequest.id == forms.whole(request.matchdict["id"]))
    names = {child.id: child.name for child in family.ctx.families.children(family.id)}
    return {"row": row, "lines": proof_lines(family.book, row, names), "labels": labels}


@or_week
def requests(request: Any) -> Any:
    """The family's requests, the latest first."""
    family = Family(request)
    rows = family.ctx.session.scalars(
        select(PlanningRequest)
        .where(
            PlanningRequest.tenant_id == family.ctx.town.slug,
            PlanningRequest.family_id == family.id,
        )
        .order_by(PlanningRequest.id.desc())
        .limit(LATEST_REQUESTS)
    ).all()
    return {"rows": rows, "labels": labels}


@or_week
def month(request: Any) -> Any:
    """A month of all children, to read."""
    family = Family(request)
    value = request.GET.get("jour", "")
    first = (forms.iso_day(value) if value else family.today).replace(day=1)
    count = months.monthrange(first.year, first.month)[1]
    days = [first + timedelta(days=number) for number in range(count)]
    children, cells = family.book.look_at_family(days)
    shown = []
    for child in children:
        rows = []
        for day in days:
            states = [
                (family.book.services[key].label, cell.state)
                for (who, key, when), cell in cells.items()
                if who == child.id and when == day and cell.state not in {None, State.CANCELLED}
            ]
            if states:
                rows.append((day, states))
        shown.append((child, rows))
    return {
        "first": first,
        "before": first - timedelta(days=1),
        "after": days[-1] + timedelta(days=1),
        "children": shown,
        "labels": labels,
    }


@or_week
def pattern(request: Any) -> Any:
    """The usual week, to apply it to a range of days."""
    family = Family(request)
    children = family.book.children()
    kept = Patterns(family.book, family.ctx)
    last = kept.end(family.today)
    return {
        "children": children,
        "services": _editable(family, children, family.today, last),
        "usual": kept.usual(family.id),
        "first": family.today + timedelta(days=1),
        "last": last,
        "until_holidays": kept.until_holidays(family.today),
        "weekdays": range(7),
        "all_weeks": list(Weeks),
        "labels": labels,
        "error": "",
    }


def post_pattern(request: Any) -> Any:
    """Say in words what the usual week would change, and what is left out and why."""
    family = Family(request)
    try:
        wishes = Patterns(family.book, family.ctx).wishes(request.POST)
        answers = family.book.weigh(wishes, by_pattern=True)
    except UserError as refusal:
        request.response.status_int = 422
        request.override_renderer = "plugins.planning:templates/planning_pattern.jinja2"
        return {**pattern(request), "error": refusal.message}
    back = request.route_path("planning.pattern")
    return _shown_before(request, family, answers, back, by_pattern=True)


@or_week
def feed(request: Any) -> Any:
    """The calendar feed of the family."""
    family = Family(request)
    feeds = Feeds(family.ctx, family.settings.feed_key.get_secret_value())
    request.response.headers["Cache-Control"] = "no-store"
    return {"since": feeds.since(family.id), "address": "", "labels": labels}


@or_week
def post_feed(request: Any) -> Any:
    """Make a new address, or end it."""
    family = Family(request)
    feeds = Feeds(family.ctx, family.settings.feed_key.get_secret_value())
    if request.POST.get("action") == "end":
        feeds.revoke(family.id)
        request.session.flash(_("L’adresse de l’agenda ne fonctionne plus."), "success")
        return HTTPSeeOther(request.route_path("planning.feed"))
    token = feeds.new(family.id)
    request.response.headers["Cache-Control"] = "no-store"
    return {
        "since": family.now,
        "address": request.route_url("planning.ics", token=token),
        "labels": labels,
    }


def ics_file(request: Any) -> Any:
    """The feed itself: whoever holds the address reads it, until it is ended."""
    from plugins.planning import plugin  # noqa: PLC0415 - the plugin object imports us

    ctx: TenantContext = request.ctx
    settings: PlanningSettings = ctx.settings(plugin)
    feeds = Feeds(ctx, settings.feed_key.get_secret_value())
    family_id = feeds.family(request.matchdict["token"])
    if family_id is None:
        raise HTTPNotFound
    names = {key: service.label for key, service in settings.services.items()}
    response = request.response
    response.content_type = "text/calendar"
    response.charset = "utf-8"
    response.headers["Cache-Control"] = "private, no-store"
    response.body = ics(_("Planning – %s") % ctx.town.name, feeds.events(family_id, names))
    return response


def sheet(request: Any) -> Any:
    """The planning's own few rules of style."""
    response = request.response
    response.content_type = "text/css"
    response.headers["Cache-Control"] = "public, max-age=3600"
    response.body = _SHEET.read_bytes()
    return response


# --- inside ------------------------------------------------------------------------------------


def _request(family: Family, which: Any) -> PlanningRequest:
    row: PlanningRequest | None = family.ctx.session.scalar(
        select(PlanningRequest).where(
            PlanningRequest.tenant_id == family.ctx.town.slug,
            PlanningRequest.family_id == family.id,
            which,
        )
    )
    if row is None:
        raise HTTPNotFound
    return row


def proof_lines(
    book: Book, row: PlanningRequest, names: dict[int, str]
) -> Sequence[tuple[str, str, str, str]]:
    """The answers of a request: child, service, day, and what came of it."""
    found = []
    for answer in row.answers:
        service = book.services.get(answer["service"])
        found.append(
            (
                names.get(answer["child"], ""),
                service.label if service else answer["service"],
                labels.day(date.fromisoformat(answer["day"])),
                labels.proved(answer),
            )
        )
    return found


def _editable(family: Family, children: Sequence[ChildInfo], first: date, last: date) -> list[Any]:
    """The services that somebody of these children may change."""
    held = family.book.enrolled([child.id for child in children], first, last)
    return [
        service
        for key, service in family.book.services.items()
        if any(e.service == key and e.kind is not Kind.SHOWN for e in held)
    ]


def _shown_before(
    request: Any, family: Family, answers: list[Answer], back: str, *, by_pattern: bool
) -> dict[str, Any]:
    names = {child.id: child.name for child in family.ctx.families.children(family.id)}
    changed = [answer for answer in answers if answer.changed]
    left = [a for a in answers if a.decision.verdict is Verdict.REFUSE]
    return {
        "changed": [_line(family.book, names, answer) for answer in changed],
        "left": [_line(family.book, names, answer) for answer in left],
        "asked": [answer.asked for answer in changed],
        "name": forms.cell_name,
        "warning": any(answer.decision.verdict is Verdict.ABSENCE for answer in changed),
        "by_pattern": by_pattern,
        "pattern": Patterns.hidden(request.POST) if by_pattern else [],
        "key": str(uuid.uuid4()),
        "back": back,
        "labels": labels,
    }


def _line(book: Book, names: dict[int, str], answer: Answer) -> tuple[str, str, str, str]:
    asked, decision = answer.asked, answer.decision
    service = book.services.get(asked.service)
    return (
        names.get(asked.child_id, ""),
        service.label if service else asked.service,
        labels.day(asked.day),
        labels.verdict(decision.verdict, decision.why, decision.deadline),
    )


def _days(
    family: Family, child: ChildInfo, days: Sequence[date], cells: dict[tuple[int, str, date], Cell]
) -> list[dict[str, Any]]:
    calendar = family.book.calendar
    shown = []
    for day in days:
        rows = [
            _row(family, child, cells[child.id, key, day])
            for key, service in family.book.services.items()
            if (child.id, key, day) in cells
            and (
                service.opens(day, calendar)
                or cells[child.id, key, day].state not in {None, State.CANCELLED}
            )
        ]
        if not rows and day.weekday() > 4:
            continue
        why = ""
        if day in calendar.public:
            why = _("férié : %s") % calendar.public[day]
        elif not rows and day in calendar.holidays:
            why = _("vacances scolaires")
        elif not rows and not calendar.knows(day):
            why = _("calendrier scolaire pas encore publié")
        notes = {row["until"] for row in rows}
        shown.append(
            {
                "day": day,
                "title": labels.day(day),
                "why": why,
                "rows": rows,
                # One deadline for the whole day is said once, beside the day.
                "until": notes.pop() if len(notes) == 1 else "",
            }
        )
    return shown


def _row(family: Family, child: ChildInfo, cell: Cell) -> dict[str, Any]:
    ticked = cell.state in {State.BOOKED, State.WAITING}
    wish = Wish.REMOVE if ticked else Wish.ADD
    decision = decide(wish, cell, family.book.calendar, family.now)
    note = _note(cell, decision)
    return {
        "name": forms.cell_name(child.id, cell.service.key, cell.day),
        "label": cell.service.label,
        "ticked": ticked,
        "editable": decision.verdict not in {Verdict.REFUSE, Verdict.NOTHING},
        "state": cell.state,
        "words": labels.state(cell.state) if cell.state not in {None, State.CANCELLED} else "",
        "note": note,
        "until": labels.until(cell, decision),
    }


def _note(cell: Cell, decision: Decision) -> str:
    if decision.verdict is Verdict.REFUSE:
        return labels.refusal(decision.why, decision.deadline)
    if decision.verdict is Verdict.WAIT:
        return _("complet : vous pouvez vous inscrire sur la liste d’attente")
    if decision.verdict is Verdict.BOOK_LATE:
        return _("hors délai : la demande sera marquée comme telle")
    if decision.verdict is Verdict.ABSENCE:
        if decision.deadline == NEVER:
            return _("ne s’annule pas en ligne : décochez pour annoncer une absence")
        return _("trop tard pour annuler : décochez pour annoncer une absence")
    if decision.verdict is Verdict.RESTORE:
        return _("cochez si l’enfant vient finalement")
    if cell.free is not None and 0 < cell.free <= 5 and decision.verdict is Verdict.BOOK:
        return _("places restantes : %s") % cell.free
    return ""

