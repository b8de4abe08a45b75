"""The agents' pages: the day, the list, attendance, a child, closing, waiting list, export."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from pyramid.httpexceptions import HTTPNotFound, HTTPSeeOther
from pyramid.response import Response

from core.plugin import PARIS, TenantContext, UserError, ngettext
from core.plugin import gettext as _
from plugins.planning import forms, labels, telling
from plugins.planning.billing import Billing
from plugins.planning.book import Book
from plugins.planning.desk import Desk
from plugins.planning.orders import Orders
from plugins.planning.rules import State, Weeks
from plugins.planning.settings import PlanningSettings
from plugins.planning.views.refusals import or_back, refused

_SCRIPT = Path(__file__).parents[1] / "templates" / "attendance.js"


class Office:
    """One request of an agent."""

    def __init__(self, request: Any) -> None:
        from plugins.planning import plugin  # noqa: PLC0415 - the plugin object imports us

        self.ctx: TenantContext = request.ctx
        self.settings: PlanningSettings = self.ctx.settings(plugin)
        self.actor = str(request.authenticated_userid or "agent")
        self.book = Book(self.ctx, self.settings, actor=self.actor)
        self.desk = Desk(self.ctx, self.book, actor=self.actor)
        self.now = self.ctx.clock.now()
        self.today = self.now.astimezone(PARIS).date()

    def day(self, request: Any) -> date:
        """The day of the page: the one asked for, else today or the next school day."""
        value = request.params.get("jour", "")
        if value:
            return forms.iso_day(value)
        day = self.today
        for _number in range(10):
            if any(one.opens(day, self.book.calendar) for one in self.book.services.values()):
                return day
            day += timedelta(days=1)
        return self.today

    def service(self, request: Any) -> str:
        """The service of the page: the one asked for, else the first."""
        asked = str(request.params.get("service", ""))
        known = list(self.book.services)
        return asked if asked in known or not known else known[0]


def _day_page(request: Any) -> str:
    value = forms.text(request.POST, "jour", 10)
    return str(request.route_path("planning.office", _query={"jour": value} if value else {}))


or_day = or_back(_day_page)
"""Go back to the day with the reason when the view is refused."""


@or_day
def day(request: Any) -> Any:
    """The counts of a day, its closures and orders."""
    office = Office(request)
    shown = office.day(request)
    orders = Orders(office.ctx, office.book)
    services = []
    counts = office.desk.counts(shown)
    for key, service in office.book.services.items():
        rows = [one for one in counts if one.service == key]
        services.append(
            {
                "service": service,
                "open": service.opens(shown, office.book.calendar),
                "rows": rows,
                "total": sum(one.booked for one in rows),
                "order": orders.latest(key, shown) if service.order else None,
                "due": orders.due(service, shown) if service.order else None,
            }
        )
    closures = office.desk.closures(office.today)
    return {
        "day": shown,
        "before": shown - timedelta(days=1),
        "after": shown + timedelta(days=1),
        "services": services,
        "closures": closures,
        "waiting": len(office.desk.waiting(office.today)),
        "places": sorted({one.place for one in counts if one.place}),
        "labels": labels,
        "names": {key: service.label for key, service in office.book.services.items()},
        "today": office.today,
        "exports": Billing(office.ctx, actor=office.actor).latest(),
        "month_first": (office.today.replace(day=1) - timedelta(days=1)).replace(day=1),
        "month_last": office.today.replace(day=1) - timedelta(days=1),
    }


@or_day
def people(request: Any) -> Any:
    """The children of a service's day: to print, and to tap on a telephone."""
    office = Office(request)
    shown, service = office.day(request), office.service(request)
    place = forms.text(request.params, "lieu", 80)
    lines = office.desk.lines(service, shown, place)
    planned = [line for line in lines if line.state in {State.BOOKED, State.ABSENT}]
    others = [line for line in lines if line.state not in {State.BOOKED, State.ABSENT}]
    every = office.desk.lines(service, shown) if place else lines
    return {
        "day": shown,
        "service": service,
        "services": office.book.services,
        "place": place,
        "places": sorted({line.place for line in every if line.place}),
        "planned": planned,
        "unplanned": [line for line in others if line.mark == "present"],
        "others": [line for line in others if line.mark != "present"],
        "labels": labels,
    }


def post_mark(request: Any) -> Any:
    """Take one tap. A telephone may send it again: the answer is the same, and nothing changes."""
    office = Office(request)
    form = request.POST
    by_script = form.get("script") == "1"
    try:
        shown = forms.iso_day(forms.text(form, "jour", 10))
        office.desk.mark(
            forms.whole(form.get("child")),
            forms.text(form, "service", 30),
            shown,
            forms.text(form, "mark", 10),
            _tapped(forms.text(form, "tapped", 20)),
        )
    except UserError as refusal:
        if by_script:
            return Response(status=422, text=refusal.message, content_type="text/plain")
        return refused(request, refusal, request.route_path("planning.people"))
    if by_script:
        return Response(status=204)
    query = {"jour": shown.isoformat(), "service": forms.text(form, "service", 30)}
    if forms.text(form, "lieu", 80):
        query["lieu"] = forms.text(form, "lieu", 80)
    return HTTPSeeOther(
        request.route_path("planning.people", _query=query, _anchor=f"child-{form.get('child')}")
    )


@or_day
def post_close(request: Any) -> Any:
    """Close a day, or take it back."""
    office = Office(request)
    form = request.POST
    shown = forms.typed_day(form, "jour", _("Jour"))
    if form.get("action") == "reopen":
        count = office.desk.reopen(
            shown, forms.text(form, "service", 30), forms.text(form, "lieu", 80)
        )
        words = ngettext(
            "Rouvert : %s enfant retrouve sa réservation.",
            "Rouvert : %s enfants retrouvent leur réservation.",
            count,
        )
    else:
        count = office.desk.close(
            shown, set(form.getall("service")), forms.text(form, "lieu", 80),
            forms.text(form, "reason"),
        )  # fmt: skip
        words = ngettext(
            "Fermé : %s enfant est concerné, sa famille reçoit un message.",
            "Fermé : %s enfants sont concernés, leurs familles reçoivent un message.",
            count,
        )
    request.session.flash(words % count, "success")
    return HTTPSeeOther(request.route_path("planning.office", _query={"jour": shown.isoformat()}))


@or_day
def child(request: Any) -> Any:
    """A child's week, homes and trail."""
    office = Office(request)
    found = office.ctx.families.child(forms.whole(request.matchdict["id"]))
    if found is None:
        raise HTTPNotFound
    monday = forms.week_of(request.GET, office.day(request))
    days = [monday + timedelta(days=number) for number in range(7)]
    cells = office.book.look([found.id], days)
    homes = office.desk.homes(found.id)
    families = [office.ctx.families.get(family_id) for family_id in found.family_ids]
    return {
        "child": found,
        "monday": monday,
        "before": monday - timedelta(days=7),
        "after": monday + timedelta(days=7),
        "days": [
            (one, [cells[found.id, key, one] for key, service in office.book.services.items()
                   if (found.id, key, one) in cells
                   and (service.opens(one, office.book.calendar)
                        or cells[found.id, key, one].state not in {None, State.CANCELLED})])
            for one in days
        ],
        "enrolments": sorted(
            office.book.enrolled([found.id], office.today, office.book.calendar.last),
            key=lambda e: (e.service, e.first),
        ),
        "families": [one for one in families if one is not None],
        "homes": homes,
        "all_weeks": list(Weeks),
        "trail": office.desk.trail(found.id),
        "names": {key: service.label for key, service in office.book.services.items()},
        "calendar": office.book.calendar,
        "labels": labels,
        "key": str(uuid.uuid4()),
    }  # fmt: skip


@or_day
def post_child(request: Any) -> Any:
    """Change a day with a reason, decide on an absence, or say whose weeks are whose."""
    office = Office(request)
    form, action = request.POST, request.POST.get("action", "")
    child_id = forms.whole(request.matchdict["id"])
    if office.ctx.families.child(child_id) is None:
        raise HTTPNotFound
    back = request.route_path(
        "planning.child", id=child_id, _query={"jour": forms.text(form, "week", 10)}
    )
    try:
        if action == "home":
            weeks = forms.weeks(form)
            office.desk.set_home(
                child_id, forms.whole(form.get("family")), weeks, forms.whole(form.get("handover"))
            )
        else:
            _one_day(office, form, child_id, action)
    except UserError as refusal:
        return refused(request, refusal, back)
    request.session.flash(_("C’est enregistré."), "success")
    return HTTPSeeOther(back)


def _one_day(office: Office, form: Any, child_id: int, action: str) -> None:
    shown = forms.iso_day(forms.text(form, "day", 10))
    service = forms.text(form, "service", 30)
    if service not in office.book.services:
        raise UserError(_("Choisissez au moins un service."))
    if action in {"justified", "unjustified"}:
        office.desk.justify(child_id, service, shown, justified=action == "justified")
        return
    if action not in {State.BOOKED, State.CANCELLED, State.ABSENT}:
        raise UserError(_("Ce changement est illisible."))
    reason = forms.text(form, "reason")
    if not reason:
        raise UserError(_("Dites pourquoi : la raison reste dans l’historique."))
    key = f"{office.actor}:{forms.key(form)}"
    outcome = office.book.set_state(
        [(child_id, service, shown, State(action))], key=key, reason=reason
    )
    telling.tell(office.ctx, outcome, family_id=None)


@or_day
def waiting(request: Any) -> Any:
    """The waiting lists, and children who may book and did not."""
    office = Office(request)
    rows = office.desk.waiting(office.today)
    monday = forms.week_of(request.GET, office.today + timedelta(days=7))
    children = office.ctx.families.children_by_id({row.child_id for row in rows})
    return {
        "rows": rows,
        "children": children,
        "without": office.desk.without(monday),
        "monday": monday,
        "names": {key: service.label for key, service in office.book.services.items()},
        "labels": labels,
    }


@or_day
def export(request: Any) -> Any:
    """Every day of a period, or an export of before as it was."""
    office = Office(request)
    billing = Billing(office.ctx, actor=office.actor)
    if request.GET.get("numero"):
        found = billing.again(forms.whole(request.GET.get("numero")))
        if found is None:
            raise HTTPNotFound
        return _csv(request, f"planning-export-{found.id}.csv", found.content)
    first = forms.typed_day(request.GET, "first", _("Du"))
    last = forms.typed_day(request.GET, "last", _("Au"))
    return _csv(request, f"planning-{first}-{last}.csv", billing.whole(first, last))


@or_day
def post_export(request: Any) -> Any:
    """Export what is new; the file is then fetched from the list, as often as is needed."""
    office = Office(request)
    first = forms.typed_day(request.POST, "first", _("Du"))
    last = forms.typed_day(request.POST, "last", _("Au"))
    made = Billing(office.ctx, actor=office.actor).export(first, last)
    if made is None:
        request.session.flash(_("Rien de nouveau à exporter sur cette période."), "info")
    else:
        words = ngettext(
            "Export n° %(number)s : %(count)s ligne, à télécharger ci-dessous.",
            "Export n° %(number)s : %(count)s lignes, à télécharger ci-dessous.",
            made.count,
        )
        request.session.flash(words % {"number": made.id, "count": made.count}, "success")
    return HTTPSeeOther(request.route_path("planning.office", _anchor="export"))


def _csv(request: Any, name: str, content: str) -> Any:
    response = request.response
    response.content_type = "text/csv"
    response.charset = "utf-8"
    response.content_disposition = f'attachment; filename="{name}"'
    # The mark tells spreadsheets that the accents are UTF-8.
    response.body = b"\xef\xbb\xbf" + content.encode()
    return response


def script(request: Any) -> Any:
    """The script of the list: what is tapped without a network is sent later."""
    response = request.response
    response.content_type = "text/javascript"
    response.headers["Cache-Control"] = "public, max-age=3600"
    response.body = _SCRIPT.read_bytes()
    return response


def _tapped(value: str) -> datetime | None:
    """The moment that a telephone gives, in milliseconds since 1970; None for what is none."""
    if not value.isascii() or not value.isdigit() or len(value) > 14:
        return None
    return datetime.fromtimestamp(int(value) / 1000, UTC)
