"""Payments: the list, one of them, and money taken at the counter."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import date, datetime, time
from typing import Any

from pyramid.httpexceptions import HTTPNotFound, HTTPSeeOther
from pyramid.renderers import render_to_response
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config
from wtforms import BooleanField, Form, HiddenField, SelectField, StringField
from wtforms.validators import InputRequired, Length, ValidationError

from core.api.context import InvoiceInfo
from core.api.errors import UserError
from core.api.payments import Means
from core.domain.allocation import Due, allocate
from core.domain.counter_dates import DayDoubt, day_doubt
from core.domain.direct_debits import RejectReason
from core.domain.money import AmountError, decimal_text, parse_amount
from core.domain.payment_states import PaymentState
from core.families.models import Family
from core.payments.debit_words import reject_words
from core.payments.models import Payment
from core.payments.standings import for_office
from core.platform.clock import PARIS, today
from core.platform.errors import NotFoundError
from core.platform.i18n import gettext as _
from core.platform.web import query_params as asked
from core.platform.web.files import pdf
from core.platform.web.forms import DayField, number

T = "office"
ANOMALY = "anomaly"
NOON = time(12)


@view_config(route_name="office_payments", renderer=f"{T}/payments.jinja2", permission="office")
def payments(request: Request) -> dict[str, Any]:
    """All payments, by state, régie, means and day of recording."""
    state = asked.word(request, "etat", {*PaymentState, ANOMALY})
    filters = {
        "regie": asked.word(request, "regie", request.town.file.regies),
        "means": asked.means(request, "moyen"),
        "since": asked.day(request, "du"),
        "until": asked.day(request, "au"),
    }
    page = request.ctx.payment_list.page(
        state="" if state == ANOMALY else state,
        anomalies=state == ANOMALY,
        before=asked.number(request, "avant"),
        **filters,
    )
    return {
        "rows": page.rows,
        "state": state,
        "regies": request.ctx.town.regies,
        "all_means": _all_means(request),
        **filters,
        **asked.pages(request, page.more),
    }


def _all_means(request: Request) -> list[str]:
    """Means that a payment of this town may have come by, each once."""
    named = (one.means for key in request.town.file.regies for one in request.town.means(key))
    return list(dict.fromkeys((*(kind for kind in Means if kind is not Means.OTHER), *named)))


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
    if action not in {"dismiss", "reverse"}:
        raise HTTPNotFound
    if not reason:
        raise UserError(_("Saisissez le motif."))
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


def _natures() -> list[str]:
    """Kinds of reversal of a payment; the last says nothing more than the reason does."""
    return [
        _("Chèque impayé"),
        _("Prélèvement rejeté"),
        _("Remboursement"),
        _("Erreur de saisie"),
        _("Autre"),
    ]


def _payment(request: Request, error: str = "") -> Response:
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
        "reject_reasons": reject_words() if found.means == Means.DIRECT_DEBIT else {},
        "typed": request.POST,
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


# --- At the counter ------------------------------------------------------------------------------


class CounterForm(Form):
    """Money that was just given. `key` makes a form that is sent twice one payment."""

    key = HiddenField()
    regie = HiddenField()
    means = SelectField()
    amount = StringField(
        validators=[InputRequired("Saisissez le montant reçu."), Length(max=30)]
    )
    paid_on = DayField(validators=[InputRequired("Saisissez la date du règlement.")])
    payer = StringField(validators=[Length(max=200, message="Cette saisie est trop longue.")])
    note = StringField(validators=[Length(max=200, message="Cette saisie est trop longue.")])
    keep = BooleanField()
    old = BooleanField()
    ask_old = False
    """True if the day is so long gone that the form asks about it."""

    def validate_amount(self, field: StringField) -> None:
        """Cents, of a positive amount."""
        try:
            self.cents = parse_amount(field.data or "")
        except AmountError:
            raise ValidationError(_("Saisissez un montant, comme 56,87.")) from None
        if self.cents <= 0:
            raise ValidationError(_("Saisissez un montant, comme 56,87."))


@view_config(route_name="office_family_payment", request_method="GET", permission="office")
def counter_page(request: Request) -> Response:
    """Page of the invoices that a family owes to a régie, and the form for a payment."""
    family, due = _due(request)
    regie = _regie(request, request.GET.get("regie", ""), due)
    # What a debit takes is listed, and not proposed: its bank would pay it a second time.
    mine = [
        invoice for invoice in due if invoice.regie == regie and invoice.debited_on is None
    ]
    form = CounterForm(
        data={
            "key": secrets.token_urlsafe(16),
            "regie": regie,
            "amount": decimal_text(sum(invoice.balance for invoice in mine)) if mine else "",
            "paid_on": today(request.ctx.clock.now()),
            "payer": family.name,
        }
    )
    return _counter(request, form, {invoice.id for invoice in mine})


@view_config(route_name="office_family_payment", request_method="POST", permission="office")
def counter(request: Request) -> Response:
    """Record it."""
    form = CounterForm(request.POST)
    form.means.choices = _taken_at_counter(request, form.regie.data or "")
    chosen = {number(text) for text in request.POST.getall("invoice")}
    if form.validate():
        try:
            recorded = _record(request, form, chosen)
        except UserError as error:
            form.form_errors.append(error.message)
        else:
            request.session.flash(_("Le règlement est enregistré."), "success")
            if recorded.excess and not form.keep.data:
                # Paid by somebody else while the form was open: nothing is lost, and it is said.
                request.session.flash(
                    _("Une facture a été réglée entre-temps : le trop-perçu est gardé en avoir."),
                    "warning",
                )
            return HTTPSeeOther(
                location=request.route_path("office_payment", id=recorded.payment_id)
            )
    response = _counter(request, form, chosen)
    response.status_int = 422
    return response


def _record(request: Request, form: Any, chosen: set[int]) -> Any:
    family, due = _due(request)
    now, day = request.ctx.clock.now(), form.paid_on.data
    regie = _regie(request, form.regie.data or "", due)
    split = allocate(
        form.cents,
        [Due(i.id, i.balance) for i in due if i.regie == regie and i.id in chosen],
    )
    paid = {share.invoice_id for share in split.shares}
    issued = [invoice.issued_on for invoice in due if invoice.id in paid]
    _look_at_day(request, form, regie, issued)
    if split.excess and not form.keep.data and not _known(request, family, form):
        raise UserError(
            _("Le montant dépasse les factures choisies : cochez « Garder le reste en avoir ».")
        )
    return request.ctx.payments.record(
        regie=regie,
        family_id=family.id,
        means=form.means.data,
        amount=form.cents,
        paid_at=now if day == today(now) else datetime.combine(day, NOON, PARIS),
        payer=form.payer.data or family.name,
        shares=[(share.invoice_id, share.amount) for share in split.shares],
        key=_key(family, form),
        note=form.note.data or "",
        excess=split.excess,  # Confirmed above; another agent's payment leaves no more.
    )


def _look_at_day(request: Request, form: Any, regie: str, issued_on: Sequence[date]) -> None:
    """Refuse a day that cannot be; ask once about one that is long gone.

    Raises:
        UserError: see `day_doubt`.
    """
    day = form.paid_on.data
    closed = request.ctx.accounts.closings.is_closed(regie, day)
    doubt = day_doubt(day, today(request.ctx.clock.now()), issued_on=issued_on, closed=closed)
    form.ask_old = doubt is DayDoubt.OLD
    if doubt is None or (form.ask_old and form.old.data):
        return
    raise UserError(
        {
            DayDoubt.FUTURE: _("Cette date n’est pas encore venue."),
            DayDoubt.BEFORE_INVOICE: _(
                "À cette date, une facture choisie n’était pas encore émise."
            ),
            DayDoubt.CLOSED: _(
                "Le mois de cette date est arrêté : enregistrez le règlement à la date du jour."
            ),
            DayDoubt.OLD: _(
                "Cette date remonte à plus de trois mois. Vérifiez-la, puis cochez « La date est "
                "exacte »."
            ),
        }[doubt]
    )


def _taken_at_counter(request: Request, regie: str) -> list[str]:
    return [one.means for one in request.town.means(regie) if one.at_counter]


def _key(family: Family, form: Any) -> str:
    return f"counter/{family.id}/{form.key.data or secrets.token_urlsafe(16)}"


def _known(request: Request, family: Family, form: Any) -> bool:
    """True if this same form was recorded already: the form itself has paid its invoices."""
    return bool(request.ctx.payments.recorded(_key(family, form)))


def _due(request: Request) -> tuple[Family, Sequence[InvoiceInfo]]:
    family: Family = request.ctx.files.get(int(request.matchdict["id"]))
    unpaid = request.ctx.invoices.unpaid(family.id)
    return family, [invoice for invoice in unpaid if invoice.family_id == family.id]


def _regie(request: Request, wanted: str, due: Sequence[InvoiceInfo]) -> str:
    """The régie asked for, else one whose money is taken here, else any that is owed to."""
    owed = sorted(due, key=lambda invoice: not request.town.collects(invoice.regie))
    return wanted or next((invoice.regie for invoice in owed), "")


def _counter(request: Request, form: Any, chosen: set[int]) -> Response:
    family, due = _due(request)
    regie = _regie(request, form.regie.data or "", due)
    mine = [invoice for invoice in due if invoice.regie == regie]
    collected = [regie for regie in request.ctx.town.regies if regie.collects]
    if regie and regie not in request.town.file.regies:
        raise NotFoundError
    context = {
        "family": family,
        "form": form,
        "invoices": mine,
        "chosen": chosen,
        "attempts": request.ctx.payments.office_words(
            {invoice.under_way for invoice in mine if invoice.under_way}
        ),
        "regie": regie,
        "regies": collected,
        "collects": request.town.collects(regie),
        "counter": _taken_at_counter(request, regie),
    }
    return render_to_response(f"{T}/counter.jinja2", context, request)
