"""Families that want to be debited: their requests, and what each régie offers them."""

from __future__ import annotations

from typing import Any

from pyramid.httpexceptions import HTTPNotFound, HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from core.api.errors import UserError
from core.debits.requests import MAX_FORM_BYTES
from core.platform.i18n import gettext as _
from core.platform.web import query_params as asked
from core.platform.web.files import pdf
from core.platform.web.forms import number

REQUESTS = "office/debit_requests.jinja2"
OFFER = "office/debit_offer.jinja2"


@view_config(
    route_name="office_debit_requests", request_method="GET", renderer=REQUESTS, permission="office"
)
def requests(request: Request) -> dict[str, Any]:
    """The requests that wait, and the last that were answered."""
    return _requests(request)


@view_config(
    route_name="office_debit_requests",
    request_method="POST",
    renderer=REQUESTS,
    permission="office",
)
def answer(request: Request) -> dict[str, Any] | Response:
    """Say yes, or no and why: the family is told."""
    action = request.POST.get("action", "")
    request_id = number(request.POST.get("id", ""))
    if action not in {"accept", "refuse"}:
        raise HTTPNotFound
    try:
        request.ctx.debit_requests.answer(
            request_id, accept=action == "accept", note=request.POST.get("note", "")
        )
    except UserError as error:
        request.response.status_int = 422
        return _requests(request, error.message)
    request.session.flash(_("La réponse part vers la famille."), "success")
    return HTTPSeeOther(location=request.route_path("office_debit_requests"))


def _requests(request: Request, error: str = "") -> dict[str, Any]:
    return {
        "waiting": request.ctx.debit_requests.waiting(),
        "answered": request.ctx.debit_requests.answered(),
        "offers": {offer.regie for offer in request.ctx.debit_requests.offers()},
        "names": request.ctx.agents.names(),
        "typed": request.POST,
        "error": error,
    }


@view_config(
    route_name="office_debit_offer", request_method="GET", renderer=OFFER, permission="office"
)
def offer(request: Request) -> dict[str, Any]:
    """Page of what a régie offers families who want to be debited."""
    return _offer(request)


@view_config(
    route_name="office_debit_offer", request_method="POST", renderer=OFFER, permission="regisseur"
)
def set_offer(request: Request) -> dict[str, Any] | Response:
    """Change it, or its form."""
    regie = asked.regie(request)
    try:
        message = _set(request, regie, request.POST.get("action", ""))
    except UserError as error:
        request.response.status_int = 422
        return _offer(request, error.message)
    request.session.flash(message, "success")
    return HTTPSeeOther(location=request.route_path("office_debit_offer", _query={"regie": regie}))


def _set(request: Request, regie: str, action: str) -> str:
    if action == "upload":
        given = request.POST.get("file")
        if not hasattr(given, "file"):
            raise UserError(_("Choisissez votre formulaire."))
        with given.file:
            content = given.file.read(MAX_FORM_BYTES + 1)
        request.ctx.debit_requests.set_form(regie, content)
        return _("Votre formulaire est enregistré : les familles le reçoivent.")
    if action == "remove":
        request.ctx.debit_requests.remove_form(regie)
        return _("Les familles reçoivent de nouveau le mandat que le portail imprime.")
    if action != "save":
        raise HTTPNotFound
    lines = [line.strip() for line in request.POST.get("address", "").splitlines()]
    request.ctx.debit_requests.set_offer(
        regie,
        is_open=bool(request.POST.get("is_open")),
        creditor=request.POST.get("creditor", "").strip(),
        ics=request.POST.get("ics", ""),
        address=[line for line in lines if line],
        next_steps=request.POST.get("next_steps", "").strip(),
    )
    return _("L’offre de prélèvement est enregistrée.")


@view_config(route_name="office_debit_form", permission="office")
def form(request: Request) -> Response:
    """The form, as a family that is not known yet gets it."""
    return pdf(request.ctx.debit_requests.form(asked.regie(request), None, request.language))


def _offer(request: Request, error: str = "") -> dict[str, Any]:
    regie = asked.regie(request)
    found = request.ctx.debit_requests.offer(regie)
    shown = {
        "is_open": found.is_open if found else False,
        "creditor": (found and found.creditor) or request.town.name,
        "ics": found.ics if found else "",
        "address": "\n".join(found.address if found else request.town.file.contact.address),
        "next_steps": found.next_steps if found else "",
    }
    if error and request.POST.get("action") == "save":
        shown |= {name: request.POST.get(name, "") for name in shown}
    return {
        "regie": regie,
        "regies": request.ctx.town.regies,
        "offer": found,
        "shown": shown,
        "may_set": request.agent.is_regisseur,
        "error": error,
    }
