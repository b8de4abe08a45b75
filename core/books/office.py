"""The books: a month of a régie, its statements on pages and as files, and its closing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from pyramid.httpexceptions import HTTPNotFound, HTTPSeeOther
from pyramid.renderers import render_to_response
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from core.api.errors import UserError
from core.books.entries import Chosen
from core.books.period import Period
from core.books.statements import entry_table, labels
from core.domain.dates import YEARS, DateError, parse_day
from core.platform.clock import today
from core.platform.i18n import gettext as _
from core.platform.tabular.writing import Table
from core.platform.web import query_params as asked
from core.platform.web.files import download

T = "office"
ROWS_PER_PAGE = 100
MAX_PAPER_ROWS = 3000
"""Rows of a PDF: some hundred pages. Longer statements are for spreadsheets, or day by day."""
DIRECTIONS = {"recu": True, "rendu": False}


@view_config(
    route_name="office_accounts", request_method="GET", permission="office", reads=True
)
def accounts(request: Request) -> Response:
    """Page of the money that came in, by means, and of all that can be opened or downloaded."""
    return _page(request)


@view_config(route_name="office_accounts", request_method="POST", permission="regisseur")
def close(request: Request) -> Response:
    """Close the month."""
    period = asked_period(request)
    try:
        request.ctx.accounts.closings.close(
            replace(period, day=None, whole_year=False)
        )
    except UserError as error:
        response = _page(request, error.message)
        response.status_int = 422
        return response
    request.session.flash(_("Le mois est arrêté."), "success")
    return HTTPSeeOther(location=request.route_path("office_accounts", _query=period_query(period)))


@view_config(
    route_name="office_account_table", renderer=f"{T}/account_table.jinja2",
    permission="office", reads=True,
)
def account_table(request: Request) -> dict[str, Any]:
    """A statement on a page: each row opens what it is made of."""
    period = asked_period(request)
    name = _name(request)
    activity = asked.word(request, "prestation")
    statements = request.ctx.accounts.statements
    table = (
        statements.parts(period, activity, asked.number(request, "exercice"))
        if name == "imputation" and activity
        else statements.make(name, period)
    )
    after = asked.number(request, "apres") or 0
    rows = table.lines
    more = after + ROWS_PER_PAGE if len(rows) > after + ROWS_PER_PAGE else None
    return {
        **_context(period),
        "name": name,
        "label": activity or labels()[name],
        "means": "",
        "table": table,
        "rows": rows[after : after + ROWS_PER_PAGE],
        "files": not activity,
        **asked.pages(request, more, name="apres"),
    }


@view_config(
    route_name="office_entries", renderer=f"{T}/account_table.jinja2",
    permission="office", reads=True,
)
def entries(request: Request) -> dict[str, Any]:
    """Entries of the journal: all of a month, or those that make one figure."""
    period = asked_period(request)
    way = asked.word(request, "sens", DIRECTIONS)
    chosen = Chosen(asked.means(request, "moyen"), DIRECTIONS.get(way))
    books = request.ctx.accounts.entries
    found = books.read(
        period, chosen, after=asked.number(request, "apres") or 0, limit=ROWS_PER_PAGE + 1
    )
    table = entry_table(found[:ROWS_PER_PAGE], books.sums(period, chosen))
    more = found[ROWS_PER_PAGE - 1].number if len(found) > ROWS_PER_PAGE else None
    return {
        **_context(period),
        "name": "",
        "label": _("Écritures"),
        "means": chosen.means,
        "table": table,
        "rows": table.lines,
        "files": False,
        **asked.pages(request, more, name="apres"),
    }


@view_config(route_name="office_account_file", permission="office", reads=True)
def account_file(request: Request) -> Response:
    """A statement as a file."""
    period, name = asked_period(request), _name(request)
    table: Table = request.ctx.accounts.statements.make(name, period)
    kind = request.matchdict["format"]
    if kind == "pdf":
        if len(table.rows) > MAX_PAPER_ROWS:
            request.session.flash(
                _("Cet état est trop long pour un PDF : prenez le tableur, ou un seul jour."),
                "error",
            )
            where = request.route_path(
                "office_account_table", name=name, _query=period_query(period)
            )
            return HTTPSeeOther(location=where)
        return download(table.pdf(request.town.name, language=request.language))
    return download(table.csv() if kind == "csv" else table.xlsx())


def _name(request: Request) -> str:
    name: str = request.matchdict["name"]
    if name not in labels():
        raise HTTPNotFound
    return name


def asked_regie(request: Request) -> str:
    """The régie of the address, else the first one that has books.

    Raises:
        HTTPNotFound: none has.
    """
    regies: Sequence[str] = request.ctx.accounts.regies()
    if not regies:
        raise HTTPNotFound
    return asked.word(request, "regie", set(regies)) or regies[0]


def asked_period(request: Request) -> Period:
    """The régie and the month of the address, else the first one and this month.

    Or one day of it, or a whole year.
    """
    regie = asked_regie(request)
    year = asked.number(request, "annee")
    if year is not None and year in YEARS:
        return Period(regie, date(year, 1, 1), whole_year=True)
    day = asked.day(request, "jour")
    month = day or asked.day(request, "mois") or _month(request.GET.get("mois", ""))
    if month is None:
        month, day = today(request.ctx.clock.now()), None
    return Period(regie, month.replace(day=1), day)


def _month(typed: str) -> date | None:
    try:
        return parse_day(f"{typed}-01")
    except DateError:
        return None


def period_query(period: Period) -> dict[str, str]:
    """The address of a period."""
    if period.whole_year:
        return {"regie": period.regie, "annee": f"{period.month:%Y}"}
    when = (
        {"jour": period.day.isoformat()} if period.day else {"mois": f"{period.month:%Y-%m}"}
    )
    return {"regie": period.regie, **when}


def _context(period: Period) -> dict[str, Any]:
    return {
        "period": period,
        "regie": period.regie,
        "where": period_query(period),
        "back": period_query(replace(period, day=None)),
    }


def _beginning(period: Period, day: date) -> Period:
    """The month or year of a day, as `period` is one."""
    return replace(period, month=day.replace(day=1))


def _page(request: Request, error: str = "") -> Response:
    period = replace(asked_period(request), day=None)
    books = request.ctx.accounts
    following = period.last_day + timedelta(days=1)
    slip = books.statements.make("moyens", period)
    context = {
        **_context(period),
        "regies": [info for info in request.ctx.town.regies if info.collects],
        "month": period.month,
        "previous": period_query(_beginning(period, period.month - timedelta(days=1))),
        "following": period_query(_beginning(period, following)),
        "over": following <= today(request.ctx.clock.now()),
        "sums": books.entries.sums(period),
        "table": slip,
        "rows": slip.lines,
        "labels": labels(),
        "checked": None if period.whole_year else books.closings.checked(period),
        "names": request.ctx.agents.names(),
        "error": error,
    }
    return render_to_response(f"{T}/accounts.jinja2", context, request)
