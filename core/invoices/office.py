"""Invoices: the list, and one of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from pyramid.httpexceptions import HTTPNotFound, HTTPSeeOther
from pyramid.renderers import render_to_response
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from core.api.errors import UserError
from core.api.invoices import InvoiceKind
from core.invoices.lists import AMOUNT, ISSUED, Asked
from core.invoices.models import InvoiceState
from core.invoices.service import overpaid
from core.platform.i18n import gettext as _
from core.platform.tabular.writing import Cents, Table
from core.platform.templating import money
from core.platform.web import listing
from core.platform.web import query_params as asked
from core.platform.web.files import pdf
from core.platform.web.forms import day as typed_day

T = "office"
MAX_ID_DIGITS = 18
UNPAID, OVERPAID, TO_LINK, DEBIT = "unpaid", "overpaid", "to_link", "debit"
NO_STATES = {UNPAID, OVERPAID, TO_LINK, DEBIT}


@view_config(
    route_name="office_invoices", renderer=f"{T}/invoices.jinja2", permission="office", reads=True
)
def invoices(request: Request) -> dict[str, Any]:
    """All invoices, by state, régie, family, day and amount, with what they come to."""
    which = _which(request)
    page = request.ctx.invoice_list.page(which, before=asked.number(request, "avant"))
    return {
        "state": asked.word(request, "etat", {*InvoiceState, *NO_STATES}),
        "total": request.ctx.invoice_list.total(which),
        **listing.for_page(request, page, "office_invoices_file"),
    }


def _which(request: Request) -> Asked:
    state = asked.word(request, "etat", {*InvoiceState, *NO_STATES})
    return Asked(
        state="" if state in NO_STATES else state,
        unpaid=state == UNPAID,
        overpaid=state == OVERPAID,
        to_link=state == TO_LINK,
        under_debit=state == DEBIT,
        sort=asked.word(request, "tri", {ISSUED, AMOUNT}),
        **listing.filters(request),
    )


@view_config(route_name="office_invoices_file", permission="office", reads=True)
def invoices_file(request: Request) -> Response:
    """The same invoices as a file."""
    which = _which(request)
    return listing.as_file(
        request,
        lambda most: request.ctx.invoice_list.page(which, limit=most),
        lambda rows: _table(request, rows),
    )


def _left(row: Any) -> Cents | None:
    """Rest of an invoice that its family owes, or owed to the trésorerie."""
    owes = row.Invoice.kind == InvoiceKind.INVOICE and row.Invoice.state in {
        InvoiceState.PUBLISHED,
        InvoiceState.HANDED_OVER,
    }
    return Cents(row.left) if owes else None


def _table(request: Request, rows: Sequence[Any]) -> Table:
    columns = (
        *(_("Régie"), _("Facture"), _("Libellé"), _("Code famille"), _("Famille")),
        *(_("Émise le"), _("Échéance"), _("Montant"), _("Reste dû"), _("État")),
    )
    states = {
        InvoiceState.DRAFT: _("À publier"),
        InvoiceState.PUBLISHED: _("Publiée"),
        InvoiceState.CANCELLED: _("Annulée"),
        InvoiceState.HANDED_OVER: _("Transmise à la trésorerie"),
    }
    return Table(
        "factures",
        _("Factures"),
        columns,
        [
            (
                request.town.regie_label(row.Invoice.regie), row.Invoice.number, row.Invoice.label,
                row.Family.code, row.Family.name, row.Invoice.issued_on, row.Invoice.due_on,
                Cents(row.Invoice.amount), _left(row),
                states[row.Invoice.state],
            )
            for row in rows
        ],
    )  # fmt: skip


@view_config(route_name="office_invoice", request_method="GET", permission="office")
def invoice(request: Request) -> Response:
    """One invoice: its lines, what was paid on it, what happened to it."""
    return _invoice(request)


@view_config(route_name="office_invoice", request_method="POST", permission="office")
def act(request: Request) -> Response:
    """Cancel it, hand it over, take it back, or give back what was paid before its credit note."""
    invoice_id = int(request.matchdict["id"])
    action, reason = request.POST.get("action", ""), request.POST.get("reason", "").strip()
    billing = request.ctx.billing
    try:
        if action == "cancel":
            if not reason:
                raise UserError(_("Saisissez le motif."))  # noqa: TRY301
            billing.cancel(invoice_id, reason=reason[:500])
            message = _("La facture est annulée.")
        elif action == "hand_over":
            billing.hand_over(invoice_id)
            message = _("La facture est transmise à la trésorerie.")
        elif action == "withdraw":
            billing.set_debit(invoice_id, debit=False)
            message = _("La facture n’est plus prélevée : elle se règle comme les autres.")
        elif action == "debit":
            billing.set_debit(invoice_id, debit=True, on=_debit_day(request))
            message = _("La facture est de nouveau prélevée.")
        elif action == "take_back":
            request.ctx.handovers.take_back(
                invoice_id, recalled=request.agent.is_regisseur
            )
            message = _("La facture est de nouveau payable ici.")
        elif action == "link":
            billing.link(invoice_id, _chosen(request.POST.get("origin", "")))
            message = _("L’avoir est rattaché à sa facture.")
        elif action == "set_aside":
            if not reason:
                raise UserError(_("Saisissez le motif."))  # noqa: TRY301
            billing.set_aside(invoice_id, reason=reason[:500])
            message = _("C’est noté : rien n’attend plus pour cette pièce.")
        elif action == "free":
            released = request.ctx.credits.free(invoice_id)
            message = _("%(amount)s sont en avoir pour la famille qui les a payés.") % {
                "amount": money(released)
            }
        else:
            raise HTTPNotFound
    except UserError as error:
        response = _invoice(request, error.message)
        response.status_int = 422
        return response
    request.session.flash(message, "success")
    return HTTPSeeOther(location=request.route_path("office_invoice", id=invoice_id))


def _chosen(typed: str) -> int:
    if not typed.isdecimal() or len(typed) >= MAX_ID_DIGITS:
        raise UserError(_("Choisissez la facture que cet avoir corrige."))
    return int(typed)


def _invoice(request: Request, error: str = "") -> Response:
    found = request.ctx.billing.get(int(request.matchdict["id"]))
    waits = request.ctx.billing.waits(found.id)
    context = {
        "invoice": found,
        "waits": waits,
        "origins": request.ctx.billing.origins(found.id) if waits else [],
        "info": request.ctx.invoices.get(found.id),
        "family": request.ctx.families.get(found.family_id),
        "lines": request.ctx.invoices.lines(found.id),
        "payments": request.ctx.payment_list.of_invoice(found.id),
        "was_debited": request.ctx.debits.was_debited(found.id),
        "overpaid": overpaid(found),
        "handovers": request.ctx.handovers.of_invoice(found.id),
        "given_back": request.ctx.credits.from_invoice(found.id),
        "changes": request.ctx.corrections.of_invoice(found.id),
        "credits": [
            row
            for row in request.ctx.credits.waiting(family_id=found.family_id, regie=found.regie)
            if row.left > 0
        ],
        "trail": request.ctx.trail.page(subject=f"invoice:{found.id}").rows,
        "names": request.ctx.agents.names(),
        "error": error,
    }
    return render_to_response(f"{T}/invoice.jinja2", context, request)


@view_config(route_name="office_invoice_pdf", permission="office")
def invoice_pdf(request: Request) -> Response:
    """The invoice as the family has it."""
    return pdf(request.ctx.invoices.document(int(request.matchdict["id"])))


def _debit_day(request: Request) -> date | None:
    """The day of the next debit, as it was typed; None where nothing was."""
    typed = request.POST.get("debit_on", "")
    return typed_day(typed) if typed else None
