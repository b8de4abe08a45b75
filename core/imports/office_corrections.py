"""Correcting one invoice by hand."""

from __future__ import annotations

from typing import Any

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.renderers import render_to_response
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from core.api.errors import UserError
from core.domain.money import decimal_text
from core.imports.corrections import Corrected, Line
from core.invoices.models import Invoice
from core.platform.i18n import gettext as _
from core.platform.web.forms import amount, day

T = "office"


@view_config(route_name="office_correction", request_method="GET", permission="office")
def correction(request: Request) -> Response:
    """The form, as the invoice stands."""
    return _page(request, _typed(request))


@view_config(route_name="office_correction", request_method="POST", permission="office")
def correct(request: Request) -> Response:
    """Correct it; what was typed stays on the page when something is wrong."""
    invoice = _invoice(request)
    reason = request.POST.get("reason", "").strip()[:500]
    try:
        if not reason:
            raise UserError(_("Saisissez le motif."))  # noqa: TRY301
        batch_id = request.ctx.corrections.correct(
            invoice.id, _change(request), seen=request.POST.get("seen", ""), reason=reason
        )
    except UserError as error:
        typed = {key: value for key, value in request.POST.items() if isinstance(value, str)}
        response = _page(request, _typed(request) | typed, error.message)
        response.status_int = 422
        return response
    request.session.flash(_("La facture est corrigée."), "success")
    return HTTPSeeOther(location=request.route_path("office_import", id=batch_id))


def _change(request: Request) -> Corrected:
    label = request.POST.get("label", "").strip()[:200]
    if not label:
        raise UserError(_("Saisissez le libellé."))
    if not request.POST.get("due_on", "").strip():
        raise UserError(_("Saisissez l’échéance."))
    due_on = day(request.POST["due_on"])
    lines = []
    for line in request.ctx.invoices.lines(int(request.matchdict["id"])):
        activity = request.POST.get(f"activity-{line.rank}", "").strip()[:200]
        typed = request.POST.get(f"amount-{line.rank}", "").strip()
        lines.append(Line(line.rank, activity or line.activity, amount(typed) if typed else None))
    whole = None if lines else amount(request.POST.get("amount", ""))
    return Corrected(label, due_on, tuple(lines), whole)


def _invoice(request: Request) -> Invoice:
    found: Invoice = request.ctx.billing.get(int(request.matchdict["id"]))
    return found


def _typed(request: Request) -> dict[str, str]:
    """The form's fields as the invoice stands."""
    invoice = _invoice(request)
    fields = {
        "seen": invoice.content_hash,
        "reason": "",
        "label": invoice.label,
        "due_on": invoice.due_on.isoformat(),
        "amount": decimal_text(invoice.amount),
    }
    for line in request.ctx.invoices.lines(invoice.id):
        fields[f"activity-{line.rank}"] = line.activity
        fields[f"amount-{line.rank}"] = decimal_text(line.amount)
    return fields


def _page(request: Request, typed: dict[str, Any], error: str = "") -> Response:
    invoice = _invoice(request)
    context = {
        "invoice": invoice,
        "lines": request.ctx.invoices.lines(invoice.id),
        "typed": typed,
        "error": error,
    }
    return render_to_response(f"{T}/correction.jinja2", context, request)
