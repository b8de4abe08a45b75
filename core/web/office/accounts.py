"""The books: a month of a régie, its tables as files, and its closing."""

from __future__ import annotations

from datetime import date, timedelta

from pyramid.httpexceptions import HTTPNotFound, HTTPSeeOther
from pyramid.renderers import render_to_response
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from core.api.errors import UserError
from core.clock import today
from core.i18n import gettext as _
from core.web.office import asked
from core.web.office.files import download

T = "core:web/templates/office"
SHOWN = ("versement", "imputation")


@view_config(route_name="office_accounts", request_method="GET", permission="office")
def accounts(request: Request) -> Response:
    """What came in, by means and by activity, and all there is to take away."""
    return _page(request)


@view_config(route_name="office_accounts", request_method="POST", permission="regisseur")
def close(request: Request) -> Response:
    """Close the month."""
    regie, month = _asked(request)
    try:
        request.ctx.accounts.close(regie, month)
    except UserError as error:
        response = _page(request, error.message)
        response.status_int = 422
        return response
    request.session.flash(_("Le mois est arrêté."), "success")
    query = {"regie": regie, "mois": f"{month:%Y-%m}"}
    return HTTPSeeOther(location=request.route_path("office_accounts", _query=query))


@view_config(route_name="office_account_file", permission="office")
def account_file(request: Request) -> Response:
    """A table as a file."""
    name = request.matchdict["name"]
    if name not in request.ctx.accounts.tables():
        raise HTTPNotFound
    table = request.ctx.accounts.table(name, *_asked(request))
    kind = request.matchdict["format"]
    if kind == "pdf":
        return download(table.pdf(request.town.name, language=request.language))
    return download(table.csv() if kind == "csv" else table.xlsx())


def _asked(request: Request) -> tuple[str, date]:
    """The régie and the month of the address, else the first one and this month."""
    regies = request.ctx.accounts.regies()
    if not regies:
        raise HTTPNotFound
    month = asked.day(request, "mois") or _month(request.GET.get("mois", ""))
    if month is None or not 2000 <= month.year <= 2100:
        month = today(request.ctx.clock.now())
    return asked.word(request, "regie", set(regies)) or regies[0], month.replace(day=1)


def _month(typed: str) -> date | None:
    try:
        return date.fromisoformat(f"{typed}-01")
    except ValueError:
        return None


def _page(request: Request, error: str = "") -> Response:
    regie, month = _asked(request)
    books = request.ctx.accounts
    following = (month.replace(day=28) + timedelta(days=4)).replace(day=1)
    context = {
        "regie": regie,
        "regies": [info for info in request.ctx.town.regies if info.collects],
        "month": month,
        "last_day": following - timedelta(days=1),
        "previous": (month - timedelta(days=1)).replace(day=1),
        "following": following,
        "over": following <= today(request.ctx.clock.now()),
        "shown": [books.table(name, regie, month) for name in SHOWN],
        "entries": len(books.journal(regie, month).entries),
        "tables": books.tables(),
        "checked": books.closing(regie, month),
        "names": request.ctx.agents.names(),
        "error": error,
    }
    return render_to_response(f"{T}/accounts.jinja2", context, request)
