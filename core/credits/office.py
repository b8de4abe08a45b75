"""Credits: what was paid too much, used for an invoice or given back."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from pyramid.httpexceptions import HTTPNotFound, HTTPSeeOther
from pyramid.renderers import render_to_response
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from core.api.errors import UserError
from core.api.payments import Means
from core.credits.lists import LEFT, Asked
from core.credits.service import REFUND_MEANS
from core.payments.models import Credit
from core.platform.i18n import gettext as _
from core.platform.tabular.writing import Cents, Table
from core.platform.web import listing
from core.platform.web import query_params as asked
from core.platform.web.forms import amount, number

T = "office"


@view_config(
    route_name="office_credits", renderer=f"{T}/credits.jinja2", permission="office", reads=True
)
def credits_list(request: Request) -> dict[str, Any]:
    """All credits of which something is left, by régie, family, day and amount."""
    which = _which(request)
    page = request.ctx.credit_list.page(which, before=asked.number(request, "avant"))
    return {
        "total": request.ctx.credit_list.total(which),
        **listing.for_page(request, page, "office_credits_file"),
    }


def _which(request: Request) -> Asked:
    return Asked(sort=asked.word(request, "tri", {LEFT}), **listing.filters(request))


@view_config(route_name="office_credits_file", permission="office", reads=True)
def credits_file(request: Request) -> Response:
    """The same credits as a file."""
    which = _which(request)
    return listing.as_file(
        request,
        lambda most: request.ctx.credit_list.page(which, limit=most),
        lambda rows: _table(request, rows),
    )


def _table(request: Request, rows: Sequence[Any]) -> Table:
    columns = (_("Régie"), _("Avoir du"), _("Code famille"), _("Famille"), _("Paiement"),
               _("Montant"), _("Reste"))  # fmt: skip
    return Table(
        "avoirs",
        _("Avoirs"),
        columns,
        [
            (
                request.town.regie_label(row.Credit.regie), row.Credit.created_at,
                row.Family.code if row.Family else "", row.Family.name if row.Family else "",
                row.Payment.receipt_number, Cents(row.Credit.amount), Cents(row.left),
            )
            for row in rows
        ],
    )  # fmt: skip


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
