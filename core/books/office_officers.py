"""The people of a régie, and the *procès-verbaux* of its till."""

from __future__ import annotations

from typing import Any

from pyramid.httpexceptions import HTTPNotFound, HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from core.api.errors import UserError
from core.api.payments import Means
from core.books.office import asked_regie
from core.books.officers import Change, OfficerRole, ReportKind
from core.books.papers import means_table
from core.platform.clock import today
from core.platform.i18n import gettext as _
from core.platform.web.files import download
from core.platform.web.forms import amount, day, number

TEMPLATE = "office/officers.jinja2"


def roles() -> dict[str, str]:
    """Roles of a régie in words."""
    return {
        OfficerRole.REGISSEUR: _("Régisseur titulaire"),
        OfficerRole.DEPUTY: _("Mandataire suppléant"),
        OfficerRole.AGENT: _("Mandataire"),
    }


def kinds() -> dict[str, str]:
    """Occasions of a report in words."""
    return {
        ReportKind.CHANGE: _("Changement de régisseur"),
        ReportKind.CHECK: _("Vérification de caisse"),
    }


@view_config(
    route_name="office_officers", request_method="GET", renderer=TEMPLATE, permission="office"
)
def officers(request: Request) -> dict[str, Any]:
    """Page of the people of a régie, and of the reports of its till."""
    return _page(request)


@view_config(
    route_name="office_officers", request_method="POST", renderer=TEMPLATE, permission="regisseur"
)
def act(request: Request) -> dict[str, Any] | Response:
    """Appoint somebody, end an office, or make a report."""
    regie = asked_regie(request)
    try:
        if request.POST.get("action") == "look":
            change = _look(request, regie)
            if change is not None:
                return _page(request, change=change)
        answer = _act(request, regie)
    except UserError as error:
        request.response.status_int = 422
        return _page(request, error.message)
    request.session.flash(answer, "success")
    return HTTPSeeOther(location=request.route_path("office_officers", _query={"regie": regie}))


@view_config(route_name="office_till_report", permission="office", reads=True)
def report(request: Request) -> Response:
    """A report to sign."""
    books = request.ctx.accounts.officers
    found = books.report(int(request.matchdict["id"]))
    return download(books.paper(found).pdf(request.town.name, language=request.language))


def _look(request: Request, regie: str) -> Change | None:
    """What a new régisseur changes, to be confirmed; None for other people, who are just noted."""
    form = request.POST
    if form.get("role") != OfficerRole.REGISSEUR:
        return None
    return request.ctx.accounts.officers.look(
        regie,
        name=form.get("name", ""),
        act=form.get("act", ""),
        since=day(form.get("since", "")),
    )


def _act(request: Request, regie: str) -> str:
    books, form = request.ctx.accounts.officers, request.POST
    action = form.get("action", "")
    if action in {"look", "appoint"}:
        books.appoint(
            regie,
            role=form.get("role", ""),
            name=form.get("name", ""),
            act=form.get("act", ""),
            since=day(form.get("since", "")),
        )
        return _("La nomination est notée.")
    if action == "end":
        books.end(regie, number(form.get("officer")), day(form.get("until", "")))
        return _("La fin de fonction est notée.")
    if action != "report":
        raise HTTPNotFound
    made = books.make_report(
        regie,
        kind=form.get("kind", ""),
        outgoing=form.get("outgoing", ""),
        incoming=form.get("incoming", ""),
        counted=amount(form.get("counted", "")),
        note=form.get("note", ""),
    )
    return _("Le procès-verbal %(number)s est établi : imprimez-le et signez-le.") % {
        "number": made.name
    }


def _page(
    request: Request, error: str = "", *, change: Change | None = None
) -> dict[str, Any]:
    regie = asked_regie(request)
    books = request.ctx.accounts
    people = books.officers.all(regie)
    cash = sum(
        one.amount for one in books.remittances.in_hand(regie) if one.means == Means.CASH
    )
    in_office = [one.name for one in people if one.until is None]
    return {
        "regie": regie,
        "regies": [info for info in request.ctx.town.regies if info.collects],
        "where": {"regie": regie},
        "people": people,
        "roles": roles(),
        "kinds": kinds(),
        "reports": books.officers.reports(regie),
        "expected": cash + (request.town.file.regies[regie].cash_float or 0),
        "outgoing": next(
            (one.name for one in people if one.role == OfficerRole.REGISSEUR), ""
        ),
        "in_office": in_office,
        "today": today(request.ctx.clock.now()),
        "typed": request.POST,
        "change": change,
        "in_hand": means_table(_("En caisse"), change.in_hand) if change else None,
        "error": error,
    }
