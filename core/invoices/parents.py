"""Pages of the invoices to be paid, and their papers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from pyramid.httpexceptions import HTTPNotFound
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from core.api.context import AttemptInfo, InvoiceInfo
from core.domain.attempt_looks import look_of
from core.domain.baskets import lots
from core.invoices.basket import desks_of, is_offered, item_of
from core.platform.clock import today
from core.platform.web.files import pdf


@view_config(route_name="menu", renderer="menu.jinja2", permission="parent")
def menu(request: Request) -> dict[str, Any]:
    """The menu, with what is due."""
    unpaid = request.ctx.invoices.unpaid(request.family_id)
    due = _to_pay(unpaid)
    return {
        "due_count": len(due),
        "due_total": sum(invoice.balance for invoice in due),
        "attempts": _attempts(request, unpaid),
        "lines": request.ctx.tile_lines(request.family_id),
        "may_ask_debit": bool(request.ctx.debit_requests.offers()),
    }


def _attempts(request: Request, unpaid: Sequence[InvoiceInfo]) -> Mapping[int, AttemptInfo]:
    """Attempts to pay that hold these invoices, by payment."""
    found: Mapping[int, AttemptInfo] = request.ctx.payments.attempts(
        {invoice.under_way for invoice in unpaid if invoice.under_way}
    )
    return found


def _to_pay(unpaid: Sequence[InvoiceInfo]) -> list[InvoiceInfo]:
    """Those that ask something of the family: not what a direct debit takes, or may be paid."""
    return [
        invoice
        for invoice in unpaid
        if invoice.debited_on is None and invoice.under_way is None
    ]


@view_config(route_name="invoices", renderer="invoices.jinja2", permission="parent")
def invoices(request: Request) -> dict[str, Any]:
    """The unpaid invoices, a group for each régie: the first of the four steps."""
    return unpaid_page(request)


def unpaid_page(request: Request, error: str | None = None) -> dict[str, Any]:
    """Values for the page of unpaid invoices."""
    found, shared = request.ctx.invoices.page(request.family_id)
    due = [invoice for invoice, _lines in found]
    choices = request.ctx.selection.of({invoice.regie for invoice in due})
    capabilities = {key: choice and choice.capabilities for key, choice in choices.items()}
    offered = [invoice for invoice in due if is_offered(invoice, capabilities[invoice.regie])]
    ids = {invoice.id for invoice in offered}
    groups = []
    for key, of_regie in groupby(sorted(due, key=lambda i: i.regie), lambda i: i.regie):
        invoices = list(of_regie)
        groups.append(
            {
                "key": key,
                "label": request.town.regie_label(key),
                "tresorerie": request.town.pay_tresorerie(key),
                "online": capabilities[key] is not None,
                "invoices": invoices,
            }
        )
    return {
        "groups": groups,
        "offered": ids,
        "lines": {invoice.id: lines for invoice, lines in found},
        "due_total": sum(invoice.balance for invoice in _to_pay(due)),
        "offered_total": sum(invoice.balance for invoice in offered),
        "payment_count": len(lots([item_of(i) for i in offered], desks_of(capabilities))),
        "shared": shared,
        "attempts": _attempts(request, due),
        "look_of": look_of,
        "today": today(request.ctx.clock.now()),
        "error": error,
    }


@view_config(route_name="invoice_pdf", permission="payer")
def invoice_pdf(request: Request) -> Response:
    """An invoice's PDF, before and after payment, for good."""
    invoice_id = int(request.matchdict["id"])
    only = request.signed_in.only_invoice_ids
    seen = request.ctx.invoices.seen_by(request.family_id, [invoice_id])
    if not seen or (only and invoice_id not in only):
        raise HTTPNotFound
    return pdf(request.ctx.invoices.document(invoice_id, keep=True))
