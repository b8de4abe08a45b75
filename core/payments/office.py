"""Payments: the list, and one of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pyramid.httpexceptions import HTTPNotFound, HTTPSeeOther
from pyramid.renderers import render_to_response
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from core.api.errors import UserError
from core.api.payments import Means
from core.domain.direct_debits import RejectReason
from core.domain.payment_states import PaymentState
from core.payments.lists import AMOUNT, Asked
from core.payments.models import Payment
from core.payments.standings import for_office
from core.platform.i18n import gettext as _
from core.platform.means_words import means_label
from core.platform.tabular.writing import Cents, Table
from core.platform.web import listing
from core.platform.web import query_params as asked
from core.platform.web.files import pdf

T = "office"
ANOMALY = "anomaly"


@view_config(
    route_name="office_payments", renderer=f"{T}/payments.jinja2", permission="office", reads=True
)
def payments(request: Request) -> dict[str, Any]:
    """All payments, by state, régie, means, family, day and amount, with what they come to."""
    which = _which(request)
    page = request.ctx.payment_list.page(which, before=asked.number(request, "avant"))
    return {
        "state": asked.word(request, "etat", {*PaymentState, ANOMALY}),
        "means": which.means,
        "all_means": _all_means(request),
        "total": request.ctx.payment_list.total(which),
        **listing.for_page(request, page, "office_payments_file"),
    }


def _which(request: Request) -> Asked:
    state = asked.word(request, "etat", {*PaymentState, ANOMALY})
    return Asked(
        state="" if state == ANOMALY else state,
        anomalies=state == ANOMALY,
        means=asked.means(request, "moyen"),
        sort=asked.word(request, "tri", {AMOUNT}),
        **listing.filters(request),
    )


@view_config(route_name="office_payments_file", permission="office", reads=True)
def payments_file(request: Request) -> Response:
    """The same payments as a file."""
    which = _which(request)
    return listing.as_file(
        request,
        lambda most: request.ctx.payment_list.page(which, limit=most),
        lambda rows: _table(request, rows),
    )


def _table(request: Request, rows: Sequence[Any]) -> Table:
    columns = (_("Régie"), _("Reçu"), _("Code famille"), _("Famille"), _("Réglé par"), _("Date"),
               _("Enregistré le"), _("Moyen"), _("Montant"), _("État"))  # fmt: skip
    return Table(
        "paiements",
        _("Paiements"),
        columns,
        [
            (
                request.town.regie_label(row.Payment.regie), row.Payment.receipt_number or "",
                row.Family.code if row.Family else "", row.Family.name if row.Family else "",
                row.Payment.payer, row.Payment.paid_at, row.Payment.settled_at,
                means_label(row.Payment.means) if row.Payment.means else "",
                Cents(row.Payment.amount), request.ctx.payments.office_label(row.Payment),
            )
            for row in rows
        ],
    )  # fmt: skip


def _all_means(request: Request) -> list[tuple[str, str]]:
    """Means that a payment of this town may have come by, each once, and their labels."""
    named = (one.means for key in request.town.file.regies for one in request.town.means(key))
    all_means = dict.fromkeys((*(kind for kind in Means if kind is not Means.OTHER), *named))
    return [(means, means_label(means)) for means in all_means]


@view_config(route_name="office_payment", request_method="GET", permission="office")
def payment(request: Request) -> Response:
    """One payment: what it paid, what the provider said, what happened to it."""
    return _payment(request)


@view_config(route_name="office_payment", request_method="POST", permission="office")
def act(request: Request) -> Response:
    """Ask the provider, dismiss an anomaly, or take the payment back."""
    found = _row(request)
    reason = request.POST.get("reason", "").strip()[:500]
    try:
        if request.POST.get("action") == "look":
            return _payment(request, preview=_look(request, found, reason))
        message = _act(request, found, request.POST.get("action", ""), reason)
    except UserError as error:
        response = _payment(request, error.message)
        response.status_int = 422
        return response
    request.session.flash(message, "success")
    return HTTPSeeOther(location=request.route_path("office_payment", id=found.id))


def _act(request: Request, found: Payment, action: str, reason: str) -> str:
    if action == "ask":
        request.ctx.payments.ask_again(found.provider, found.provider_reference)
        return _("Le service de paiement est interrogé : actualisez cette page dans un instant.")
    if action == "reject":
        return _reject(request, found)
    if action not in {"dismiss", "reverse", "correct"}:
        raise HTTPNotFound
    if not reason:
        raise UserError(_("Saisissez le motif."))
    if action == "correct":
        return _correct(request, found, reason)
    if action == "dismiss":
        request.ctx.payments.dismiss_anomaly(found.id, reason=reason)
        return _("L’anomalie est classée.")
    if not request.agent.is_regisseur:
        raise UserError(_("Seul le régisseur annule un paiement."))
    if found.state != PaymentState.SETTLED:
        raise UserError(_("Ce paiement n’est pas, ou plus, encaissé."))
    if found.family_id is None:
        raise UserError(_("Cette recette reste à classer : elle s’annule là où elle est née."))
    nature = request.POST.get("nature", "")
    named = f"{nature}\u00a0: {reason}" if nature in _natures()[:-1] else reason
    request.ctx.payments.reverse(found.id, reason=named)
    return _("Le paiement est annulé : ses factures sont de nouveau dues.")


def _reject(request: Request, found: Payment) -> str:
    """Note that the bank sent a recurring direct debit back."""
    if not request.agent.is_regisseur:
        raise UserError(_("Seul le régisseur annule un paiement."))
    code = request.POST.get("code", "")
    if code not in set(RejectReason):
        raise UserError(_("Choisissez le motif de la banque."))
    request.ctx.debits.reject(found.id, RejectReason(code))
    return _("Le rejet est constaté : ses factures se règlent de nouveau, et la famille l’apprend.")


def _look(request: Request, found: Payment, reason: str) -> dict[str, Any]:
    """Show what another means would change, before anything is done."""
    _may_correct(request)
    if not reason:
        raise UserError(_("Saisissez le motif."))
    means = request.POST.get("means", "")
    return {
        "means": means,
        "reason": reason,
        "moved": request.ctx.accounts.corrections.look(found.id, means),
    }


def _may_correct(request: Request) -> None:
    if not request.agent.is_regisseur:
        raise UserError(_("Seul le régisseur corrige le moyen d’un règlement."))


def _correct(request: Request, found: Payment, reason: str) -> str:
    """Put a wrong means right."""
    _may_correct(request)
    request.ctx.accounts.corrections.correct(
        found.id, request.POST.get("means", ""), reason=reason
    )
    return _("Le moyen est corrigé : le journal, les états et les bordereaux le suivent.")


def _natures() -> list[str]:
    """Kinds of reversal of a payment; the last says nothing more than the reason does."""
    return [
        _("Chèque impayé"),
        _("Prélèvement rejeté"),
        _("Remboursement"),
        _("Erreur de saisie"),
        _("Autre"),
    ]


def _payment(
    request: Request, error: str = "", *, preview: dict[str, Any] | None = None
) -> Response:
    found = _row(request)
    context = {
        "payment": found,
        "family": request.ctx.families.get(found.family_id) if found.family_id else None,
        "items": request.ctx.payment_list.invoices_of(found.id),
        "credits": [
            credit
            for credit in request.ctx.credits.of_payment(found.id)
            if credit.reversed_at is None
        ],
        "natures": [
            nature
            for nature in _natures()
            # A rejection has a form of its own, which asks for the bank's reason.
            if found.means != Means.DIRECT_DEBIT or nature != _("Prélèvement rejeté")
        ],
        "reject_reasons": request.ctx.debits.reasons() if found.means == Means.DIRECT_DEBIT else {},
        "other_means": request.ctx.accounts.corrections.open_to(found),
        "typed": request.POST,
        "preview": preview,
        "together": request.ctx.desk.of_visit(found),
        "titles": request.ctx.titles.of([found.id]).get(found.id, ()),
        "answers": request.ctx.payment_list.answers(found.id),
        "trail": request.ctx.trail.page(subject=f"payment:{found.id}").rows,
        "names": request.ctx.agents.names(),
        "meaning": for_office(request.ctx.attempts.standing(found).situation),
        "error": error,
    }
    return render_to_response(f"{T}/payment.jinja2", context, request)


def _row(request: Request) -> Payment:
    found: Payment = request.ctx.payment_list.get(int(request.matchdict["id"]))
    return found


@view_config(route_name="office_receipt", permission="office")
def receipt(request: Request) -> Response:
    """The receipt, as the family has it."""
    return pdf(request.ctx.payments.receipt(_row(request).id))
