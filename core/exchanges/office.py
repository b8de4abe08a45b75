"""Exports of payments to the billing software: made, looked at, fetched, and the token for it."""

from __future__ import annotations

from typing import Any

from pyramid.httpexceptions import HTTPNotFound, HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from core.api.errors import UserError
from core.books.office import asked_regie
from core.exchanges.columns import MOVEMENTS
from core.exchanges.pull import export_response
from core.exchanges.states import OUT
from core.platform.i18n import gettext as _
from core.platform.web import query_params as asked

LIST, ONE = "office/exports.jinja2", "office/export.jinja2"


@view_config(route_name="office_exports", request_method="GET", renderer=LIST, permission="office")
def exports(request: Request) -> dict[str, Any]:
    """The exports that were made, and what waits for the next."""
    return _list(request)


@view_config(route_name="office_exports", request_method="POST", renderer=LIST, permission="office")
def act(request: Request) -> dict[str, Any] | Response:
    """Make an export, or renew or end the token."""
    regie = asked_regie(request)
    action = request.POST.get("action", "")
    try:
        if action in {"renew", "end"}:
            return _token(request, action)
        if action != "make":
            raise UserError(_("Cette action n’est pas permise"))  # noqa: TRY301
        made = request.ctx.payment_exports.make(regie)
        if made is None:
            raise UserError(_("Aucun règlement n’attend d’export."))  # noqa: TRY301
    except UserError as error:
        request.response.status_int = 422
        return _list(request, error=error.message)
    request.session.flash(
        _("L’export n°\u00a0%(number)s est prêt.") % {"number": made.number}, "success"
    )
    return HTTPSeeOther(location=request.route_path("office_export", id=made.id))


@view_config(route_name="office_export", request_method="GET", renderer=ONE, permission="office")
def export(request: Request) -> dict[str, Any]:
    """One export, line by line: looking at it here changes nothing."""
    found = request.ctx.payment_exports.get(int(request.matchdict["id"]))
    page = request.ctx.payment_exports.lines(
        found.id, after=asked.number(request, "apres") or 0
    )
    return {
        "export": found,
        "lines": page.rows,
        "kinds": movement_words(),
        "kind_of": _kind_of,
        "where": {"regie": found.regie},
        **asked.pages(request, page.more, name="apres"),
    }


@view_config(route_name="office_export", request_method="POST", permission="regisseur")
def again(request: Request) -> Response:
    """Let an export leave once more."""
    found = request.ctx.payment_exports.get(int(request.matchdict["id"]))
    if request.POST.get("action") != "again":
        raise HTTPNotFound
    request.ctx.payment_exports.again(found.id)
    request.session.flash(_("L’export sera remis une nouvelle fois."), "success")
    return HTTPSeeOther(location=request.route_path("office_export", id=found.id))


@view_config(route_name="office_export_file", request_method="GET", permission="office")
def file(request: Request) -> Response:
    """The file. Whoever may write hands it over by taking it; a reader only looks."""
    found = request.ctx.payment_exports.get(int(request.matchdict["id"]))
    if request.agent.may_write:
        request.ctx.payment_exports.leave(found.id, request.agent.actor)
    return export_response(found, request.ctx.payment_exports.content(found.id))


def movement_words() -> dict[str, str]:
    """The kinds of movements, in words."""
    return {
        "paid": _("Règlement"),
        "reversed": _("Annulation d’un règlement"),
        "freed": _("Somme mise en avoir"),
        "freed_reversed": _("Annulation d’une somme mise en avoir"),
        "corrected": _("Moyen corrigé"),
    }


def _kind_of(line: Any) -> str:
    kinds = list(MOVEMENTS)
    if line.is_correction:
        return "corrected"
    return kinds[(0 if line.allocation_id else 2) + (1 if line.is_reversal else 0)]


def _token(request: Request, action: str) -> dict[str, Any] | Response:
    if not request.agent.is_regisseur:
        raise UserError(_("Seul le régisseur crée ou supprime le jeton."))
    if action == "end":
        request.ctx.exchange_tokens.end()
        request.session.flash(_("Le jeton est supprimé : plus rien ne se retire."), "success")
        return HTTPSeeOther(
            location=request.route_path("office_exports", _query={"regie": asked_regie(request)})
        )
    # Shown by this answer only: no page has it a second time.
    request.response.headers["Cache-Control"] = "no-store"
    return _list(request, token=request.ctx.exchange_tokens.renew())


def _list(request: Request, *, error: str = "", token: str = "") -> dict[str, Any]:
    regie = asked_regie(request)
    page = request.ctx.payment_exports.page(regie, before=asked.number(request, "avant"))
    count, total = request.ctx.payment_exports.waiting(regie)
    return {
        "regie": regie,
        "regies": [info for info in request.ctx.town.regies if info.collects],
        "where": {"regie": regie},
        "rows": page.rows,
        "count": count,
        "total": total,
        "since": request.ctx.payment_exports.layout(regie).since,
        "places": [
            one
            for one in request.ctx.exchange_states.all()
            if (one.direction, one.name) == (OUT, regie)
        ],
        "token": token,
        "current": request.ctx.exchange_tokens.current(),
        "address": f"{request.ctx.base_url}/echanges/reglements/{regie}",
        "error": error,
        **({} if request.method == "POST" else asked.pages(request, page.more)),
    }
