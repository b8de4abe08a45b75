"""Credits: what was paid too much, used for an invoice or given back."""

from __future__ import annotations

import secrets
from typing import Any

from pyramid.httpexceptions import HTTPNotFound, HTTPSeeOther
from pyramid.renderers import render_to_response
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from core.api.errors import UserError
from core.api.payments import Means
from core.credits.service import REFUND_MEANS
from core.payments.models import Credit
from core.platform.i18n import gettext as _
from core.platform.web import query_params as asked
from core.platform.web.forms import amount, number

T = "office"
ROWS_PER_PAGE = 50


@view_config(
    route_name="office_credits", renderer=f"{T}/credits.jinja2", permission="office", reads=True
)
def credits_list(request: Request) -> dict[str, Any]:
    """All credits of which something is left."""
    regie = asked.word(request, "regie", request.town.file.regies)
    rows = request.ctx.credits.waiting(
        regie=regie, before=asked.number(request, "avant"), limit=ROWS_PER_PAGE + 1
    )
    more = rows[ROWS_PER_PAGE - 1].Credit.id if len(rows) > ROWS_PER_PAGE else None
    return {
        "rows": rows[:ROWS_PER_PAGE],
        "regie": regie,
        "regies": request.ctx.town.regies,
        **asked.pages(request, more),
    }


@view_config(route_name="office_credit", request_method="GET", permission="office")
def credit(request: Request) -> Response:
    """One credit: what is left of it, what became of the rest, and what to do with it."""
    return _credit(request)


@view_config(route_name="office_credit", request_method="POST", permission="office")
def act(request: Request) -> Response:
    """Pay an invoice with it, give it back, or undo one of these."""
    found, _left = request.ctx.credits.get(int(request.matchdict["id"]))
    try:
        message = _act(request, found)
    except UserError as error:
        response = _credit(request, error.message)
        response.status_int = 422
        return response
    request.session.flash(message, "success")
    return HTTPSeeOther(location=request.route_path("office_credit", id=found.id))


def _act(request: Request, found: Credit) -> str:
    action = request.POST.get("action", "")
    credits_ = request.ctx.credits
    key = f"{found.id}/{request.POST.get('key') or secrets.token_urlsafe(16)}"
    if action == "pay":
        if "invoice" not in request.POST:
            raise UserError(_("Choisissez une facture."))
        invoice_id = number(request.POST["invoice"])
        credits_.pay(found.id, invoice_id, _amount(request), key=key)
        return _("L’avoir a payé la facture.")
    if action not in {"refund", "undo"}:
        raise HTTPNotFound
    if not request.agent.is_regisseur:
        raise UserError(_("Seul le régisseur rembourse un avoir, ou revient sur son emploi."))
    reason = request.POST.get("reason", "").strip()[:500]
    if not reason:
        raise UserError(_("Saisissez le motif."))
    if action == "undo":
        credits_.undo(number(request.POST.get("use")), reason=reason)
        return _("C’est annulé : la somme est de nouveau en avoir.")
    means = request.POST.get("means", "")
    if means not in REFUND_MEANS:
        raise UserError(_("Choisissez un moyen de paiement."))
    credits_.refund(found.id, _amount(request), means=Means(means), note=reason, key=key)
    return _("Le remboursement est enregistré au journal.")


def _amount(request: Request) -> int:
    return amount(request.POST.get("amount", ""))


def _credit(request: Request, error: str = "") -> Response:
    found, left = request.ctx.credits.get(int(request.matchdict["id"]))
    known = found.family_id  # None: money of which nobody knows yet whose it is
    due = [
        invoice
        for invoice in (request.ctx.invoices.unpaid(known) if known is not None else ())
        if invoice.family_id == known and invoice.regie == found.regie
        and invoice.debited_on is None  # Its bank pays the whole of it.
    ]
    context = {
        "credit": found,
        "left": left,
        "family": request.ctx.families.get(known) if known is not None else None,
        "payment": request.ctx.payment_list.get(found.payment_id),
        "origin": request.ctx.billing.get(found.invoice_id) if found.invoice_id else None,
        "uses": request.ctx.credits.uses(found.id),
        "due": due,
        "refund_means": REFUND_MEANS,
        "key": request.POST.get("key") or secrets.token_urlsafe(16),
        "typed": request.POST,
        "names": request.ctx.agents.names(),
        "error": error,
    }
    return render_to_response(f"{T}/credit.jinja2", context, request)
