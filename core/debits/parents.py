"""*Prélèvement automatique*: a family asks to be debited, and gets the form to sign."""

from __future__ import annotations

from typing import Any

from pyramid.httpexceptions import HTTPNotFound, HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from core.debits.models import RequestState
from core.platform.i18n import gettext as _
from core.platform.web import query_params as asked
from core.platform.web.files import pdf


@view_config(route_name="debit", request_method="GET", renderer="debit.jinja2", permission="parent")
def debit(request: Request) -> dict[str, Any]:
    """Offers of each régie, and the state of the family's requests."""
    offers = request.ctx.debit_requests.offers()
    last = request.ctx.debit_requests.last(request.family_id)
    regies = [offer.regie for offer in offers]
    # One that was asked for stays in sight, though its régie takes no more.
    regies += [
        regie
        for regie, found in last.items()
        if regie not in regies and found.state == RequestState.ASKED
    ]
    return {"offers": {offer.regie: offer for offer in offers}, "regies": regies, "last": last}


@view_config(route_name="debit", request_method="POST", permission="parent")
def act(request: Request) -> Response:
    """Ask, or take a request back."""
    regie = request.POST.get("regie", "")
    if regie not in request.town.file.regies:
        raise HTTPNotFound
    if request.POST.get("action") == "withdraw":
        request.ctx.debit_requests.withdraw(request.family_id, regie)
        message = _("Votre demande est retirée.")
    else:
        request.ctx.debit_requests.ask(request.family_id, regie)
        message = _(
            "Votre demande est notée. Imprimez le formulaire, remplissez-le, signez-le et "
            "remettez-le à la régie."
        )
    request.session.flash(message, "success")
    return HTTPSeeOther(location=request.route_path("debit"))


@view_config(route_name="debit_form", permission="parent")
def debit_form(request: Request) -> Response:
    """The form to sign: the account is written on paper only."""
    regie = asked.word(request, "regie", request.town.file.regies)
    offer = request.ctx.debit_requests.offer(regie) if regie else None
    if offer is None or not offer.is_open:
        raise HTTPNotFound
    return pdf(request.ctx.debit_requests.form(regie, request.family_id, request.language))
