"""The first page, finding things, effects that died, and the audit trail."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import date
from typing import Any

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from core.api.web import TodoEntry
from core.domain.figures import share
from core.overview.figures import RECENT
from core.platform.clock import today
from core.platform.documents.letterhead import letterhead
from core.platform.documents.render import render_report
from core.platform.errors import NotFoundError
from core.platform.i18n import gettext as _
from core.platform.plugins.calls import report_fault
from core.platform.tabular.writing import Table
from core.platform.web import labels as words
from core.platform.web import listing
from core.platform.web import query_params as asked
from core.platform.web.files import download

T = "office"
TRAIL_LIMIT = 100_000


@view_config(route_name="office", renderer=f"{T}/dashboard.jinja2", permission="office")
def dashboard(request: Request) -> dict[str, Any]:
    """Page of the money that came in, and of the work that waits for a person."""
    charts = request.ctx.charts.get(request.language)
    report = charts.report
    return {
        "figures": request.ctx.figures.waiting(),
        "report": report,
        "drawn_at": charts.at,
        "labels": [f"{month.first:%m/%y}" for month in report.months],
        "share": share,
        "told": list(zip(*(month.told for month in report.months), strict=True)),
        "recent": RECENT,
        "uploads": request.ctx.uploads.waiting(),
        "others": todo(request),
        "over_ceilings": request.ctx.accounts.remittances.over_ceilings(),
        "unlisted": request.ctx.handovers.waiting(),
        "open_months": request.ctx.accounts.closings.still_open(request.ctx.accounts.regies()),
    }


def todo(request: Request) -> list[tuple[TodoEntry, str]]:
    """Work that waits in plugins' pages, with URLs; a wrong route costs its entry, not the page."""
    found = []
    for plugin, entry in request.ctx.todo_entries():
        try:
            url = request.route_path(entry.route, _query=dict(entry.query))
        except KeyError as error:
            report_fault(plugin, "todo_entries", error)
            continue
        found.append((entry, url))
    return found


@view_config(route_name="office_report", permission="office")
def report(request: Request) -> Response:
    """The charts of a month on paper."""
    month = date(int(request.matchdict["year"]), int(request.matchdict["month"]), 1)
    if month > today(request.ctx.clock.now()):
        raise NotFoundError
    drawn = request.ctx.charts.of_month(month)
    paper = render_report(letterhead(request.ctx.config), drawn, month, request.language)
    return download(paper)


@view_config(
    route_name="office_search", renderer=f"{T}/search.jinja2", permission="office", reads=True
)
def search(request: Request) -> dict[str, Any] | Response:
    """Find by anything that stands on paper; a single family is gone to at once."""
    typed = asked.word(request, "q")
    found = request.ctx.search.find(typed)
    if len(found.families) == 1 and not found.invoices and not found.payments:
        return HTTPSeeOther(location=request.route_path("office_family", id=found.families[0].id))
    return {"q": typed, "found": found}


@view_config(
    route_name="office_outbox",
    request_method="GET",
    renderer=f"{T}/outbox.jinja2",
    permission="office",
)
def outbox(request: Request) -> dict[str, Any]:
    """Effects that were given up, and addresses that refuse mail."""
    return {"rows": request.ctx.dead_effects.page(), "refused": request.ctx.alerts.refused()}


@view_config(route_name="office_outbox", request_method="POST", permission="office")
def retry(request: Request) -> Response:
    """Try one again."""
    try:
        row_id = uuid.UUID(request.POST.get("id", ""))
    except ValueError:
        raise NotFoundError from None
    request.ctx.dead_effects.retry(row_id)
    request.session.flash(_("L’envoi est relancé."), "success")
    return HTTPSeeOther(location=request.route_path("office_outbox"))


@view_config(route_name="office_audit", renderer=f"{T}/audit.jinja2", permission="keys", reads=True)
def audit(request: Request) -> dict[str, Any]:
    """Page of the audit trail: who did what, when."""
    page = request.ctx.trail.page(**_trail(request), before=asked.number(request, "avant"))
    return {
        "rows": page.rows,
        "names": request.ctx.agents.names(),
        "called": request.ctx.subjects.names(entry.subject for entry in page.rows),
        **_asked_for(request),
        **listing.for_page(request, page, "office_audit_file"),
    }


@view_config(route_name="office_audit_file", permission="keys", reads=True)
def audit_file(request: Request) -> Response:
    """The same trail as a file."""
    which = _trail(request)
    return listing.as_file(
        request,
        lambda most: request.ctx.trail.page(**which, limit=most),
        lambda rows: _trail_table(request, rows),
        most=TRAIL_LIMIT,
    )


def _trail_table(request: Request, rows: Sequence[Any]) -> Table:
    names = request.ctx.agents.names()
    called = request.ctx.subjects.names({entry.subject for entry in rows})
    return Table(
        "tracabilite",
        _("Traçabilité"),
        (_("Date"), _("Auteur"), _("Action"), _("Objet"), _("Détails")),
        [
            (
                entry.at,
                words.actor(entry.actor, names),
                words.action(entry.action),
                words.subject(entry.subject, called),
                words.details(entry),
            )
            for entry in rows
        ],
    )


def _trail(request: Request) -> dict[str, Any]:
    asked_for = _asked_for(request)
    typed = asked_for.pop("subject")
    subjects = request.ctx.subjects.find(typed) if typed.strip() else None
    return {
        **asked_for,
        "subjects": subjects,
        "since": asked.day(request, "du"),
        "until": asked.day(request, "au"),
    }


def _asked_for(request: Request) -> dict[str, str]:
    return {
        "actor": asked.word(request, "auteur"),
        "subject": asked.word(request, "objet"),
        "action": asked.word(request, "action"),
    }
