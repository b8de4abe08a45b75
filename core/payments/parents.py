"""The four steps of a payment, and coming back from it."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

import structlog
from pyramid.httpexceptions import HTTPNotFound, HTTPSeeOther
from pyramid.renderers import render_to_response
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config
from wtforms import HiddenField

from core.api.context import InvoiceInfo
from core.api.errors import PayerField, PermanentError, RetryableError, StartRefusedError
from core.api.payments import Capabilities
from core.domain.attempt_looks import look_of
from core.domain.attempt_status import RESTART_AFTER, Act, Situation
from core.domain.baskets import Chain, chain, lots
from core.domain.payment_states import PaymentState, is_closed
from core.invoices.basket import desks_of, is_offered, item_of
from core.invoices.parents import unpaid_page
from core.links.payment import PAYMENT_LINK, linked
from core.payments.models import Payment
from core.payments.standings import act_words, for_parent
from core.platform.errors import (
    EarlierAttemptError,
    NotFoundError,
    NotPayableError,
    PaymentUnderWayError,
)
from core.platform.i18n import gettext as _
from core.platform.plugins.selection import ProviderChoice
from core.platform.web.files import pdf
from core.platform.web.forms import EmailForm, number
from core.platform.web.security import start_session

log = structlog.get_logger(__name__)

BASKET = "basket"
"""Key of the browser's session for the ids of the invoices that were chosen together."""

MAX_BASKET = 300
"""More ids than any basket has, and fewer than a cookie takes."""


class CheckoutForm(EmailForm):
    """The e-mail for the confirmation. `key` makes a form that is sent twice one payment."""

    key = HiddenField()


@view_config(route_name="checkout", permission="payer")
def checkout(request: Request) -> Response:
    """Step 2: what the next payment of the basket pays, and the e-mail."""
    try:
        basket = _basket(request)
        invoices = _next_lot(request, basket)
        choice = request.ctx.attempts.check(invoices)
    except NotPayableError as error:
        return _refused(request, error.message)
    under_way = [invoice.under_way for invoice in invoices if invoice.under_way]
    if under_way:
        return _under_way(request, under_way[0])
    _remember_basket(request, basket)
    form = CheckoutForm(
        data={"email": _remembered_email(request), "key": secrets.token_urlsafe(16)}
    )
    return _checkout_page(request, form, invoices, choice)


@view_config(route_name="payments", request_method="POST", permission="payer")
def start(request: Request) -> Response:
    """Note the payment, announce it, and send the parent to the provider.

    In one request: on a telephone, each one more is a part of a second. Sent again, the form leads
    to the same payment, announced or not.
    """
    form = CheckoutForm(request.POST)
    try:
        wanted = _wanted(request, request.POST.getall("invoice"))
        told = {number(text) for text in request.POST.getall("told")}
        if request.POST.get("restart"):
            restart = number(request.POST["restart"])
            request.ctx.payments.of_family(restart, request.family_id)
            request.ctx.attempts.give_up(restart)
        if not form.validate():
            invoices = _seen(request, wanted)
            response = _checkout_page(request, form, invoices, request.ctx.attempts.check(invoices))
            response.status_int = 422
            return response
        payment_id = request.ctx.attempts.create(
            request.family_id,
            sorted(wanted),
            email=form.email.data,
            language=request.language,
            key=form.key.data or secrets.token_urlsafe(16),
            told=told,
            starting=True,
        )
    except EarlierAttemptError:
        # One ended while the form was open: tell, and ask again.
        invoices = _seen(request, wanted)
        response = _checkout_page(request, form, invoices, request.ctx.attempts.check(invoices))
        response.status_int = 409
        return response
    except NotPayableError as error:
        return _refused(request, error.message)
    except PaymentUnderWayError as error:
        return _under_way(request, error.payment_id)
    except RetryableError:
        return _away(request)
    return _announced(request, payment_id)


@view_config(route_name="payment_go", permission="payer")
def go(request: Request) -> Response:
    """Go on with a payment that was noted: to the provider, announced if it was not yet."""
    return _announced(request, _own(request).id)


def _announced(request: Request, payment_id: int) -> Response:
    """A plain redirection to the provider's page."""
    try:
        url = request.ctx.attempts.start(payment_id)
    except PaymentUnderWayError as error:
        return _under_way(request, error.payment_id)
    except RetryableError as error:
        log.warning("payment.provider_away", reason=error.reason)
        return _away(request)
    except StartRefusedError as error:
        log.error("payment.refused_at_start", kind=error.kind, reason=error.reason)  # noqa: TRY400 - expected
        if error.payer_field is PayerField.EMAIL:
            return _email_to_correct(request, payment_id, error.message)
        return HTTPSeeOther(location=request.route_path("payment", id=payment_id))
    return HTTPSeeOther(location=url)


def _email_to_correct(request: Request, payment_id: int, message: str) -> Response:
    """Step 2 again, with what is wrong at its field. The form begins another attempt."""
    payment = request.ctx.payments.row(payment_id)
    form = CheckoutForm(data={"email": _typed(request, payment), "key": secrets.token_urlsafe(16)})
    form.email.errors = [
        message
        or _("Le service de paiement n’accepte pas cette adresse : saisissez-en une autre.")
    ]
    try:
        invoices = _seen(request, set(request.ctx.payments.invoice_ids(payment_id)))
        choice = request.ctx.attempts.check(invoices)
    except NotPayableError as error:
        return _refused(request, error.message)
    response = _checkout_page(request, form, invoices, choice)
    response.status_int = 422
    return response


@view_config(
    route_name="payment_return", request_method="POST", require_csrf=False, form=False
)
def come_back_by_post(request: Request) -> Response:
    """Lead a provider's form on to the same address, as a link would.

    A browser sends no cookie (SameSite=Lax) with a form of another site: who is signed in is known
    again at the next step. Nothing in the form is read, and no cookie is set.
    """
    return HTTPSeeOther(
        location=request.route_path("payment_return", id=request.matchdict["id"])
    )


@view_config(route_name="payment_return", request_method="GET", permission="payer")
def come_back(request: Request) -> Response:
    """The parent comes back. What the address says proves nothing: the provider is asked."""
    payment = _own(request)
    try:
        request.ctx.attempts.poll(payment.id)
    except RetryableError as error:
        log.warning("payment.provider_away", reason=error.reason)
    except PermanentError as error:
        log.error("payment.cannot_ask", reason=error.reason)  # noqa: TRY400 - expected
    return HTTPSeeOther(location=request.route_path("payment", id=payment.id))


@view_config(route_name="payment", permission="payer")
def payment(request: Request) -> Response:
    """Step 4, or the wait for it: what became of the payment."""
    payment = _own(request)
    standing = request.ctx.attempts.standing(payment)
    context: dict[str, Any] = {
        "payment": payment,
        "invoices": _invoices(request, payment),
        "standing": standing,
        "meaning": for_parent(standing.situation),
        "act_words": act_words,
        "look": look_of(standing.situation),
    }
    if standing.situation in {Situation.PAID, Situation.PROMISED, Situation.REVERSED}:
        context["excess"] = request.ctx.payments.excess(payment.id)
        context["chain"] = _chain(request, context["invoices"])
        return render_to_response("payment_done.jinja2", context, request)
    if {Act.RETRY, Act.CORRECT} & set(standing.acts):
        context["invoices"] = [invoice for invoice in context["invoices"] if invoice.payable]
    context["opening"] = (
        standing.situation is Situation.OPENING and payment.starting_at is not None
    )
    name = "payment_waiting" if standing.watched else "payment_failed"
    return render_to_response(f"{name}.jinja2", context, request)


@view_config(route_name="payment_state", renderer="json", permission="payer")
def payment_state(request: Request) -> dict[str, Any]:
    """For the page that waits: where the payment stands. Reads a row, asks nobody.

    `final`: the page that shows the situation `vu` has something else to show.
    """
    payment = _own(request)
    seen = request.GET.get("vu")
    changed = seen and request.ctx.attempts.standing(payment).situation != seen
    final = bool(changed) if seen else is_closed(PaymentState(payment.state))
    return {"state": payment.state, "final": final}


@view_config(route_name="receipt", permission="payer")
def receipt(request: Request) -> Response:
    """The receipt (*reçu*), for good."""
    return pdf(request.ctx.payments.receipt_of(_own(request, readable=True)))


@view_config(
    route_name="payment_link", request_method="GET", renderer="payment_link.jinja2"
)
def payment_link_page(request: Request) -> dict[str, Any]:
    """A link from a message: shown before it is used, since chats open links for previews."""
    return _link_page(request)


def _link_page(request: Request) -> dict[str, Any]:
    """The invoices while the link works; that nothing is to pay, even when it works no more."""
    name, sign_in = request.matchdict["token"], request.ctx.sign_in
    token = sign_in.peek(PAYMENT_LINK, name)
    known = token or sign_in.seen(PAYMENT_LINK, name)
    invoices = request.ctx.invoices.several(linked(known.payload)) if known else []
    if token is None or not invoices:
        request.response.status_int = 404
    done = [invoice for invoice in invoices if invoice.balance == 0]
    shown = invoices if token else done
    return {
        "to_pay": [invoice for invoice in shown if invoice.payable],
        "closed": [invoice for invoice in shown if invoice.balance and not invoice.payable],
        "done": done,
        "used": known is not None and known.used_at is not None,
    }


@view_config(
    route_name="payment_link", request_method="POST", renderer="payment_link.jinja2"
)
def payment_link(request: Request) -> dict[str, Any] | Response:
    """Use the link: this browser may now pay its invoices, and do nothing else."""
    opened = request.ctx.sign_in.open_payment_link(request.matchdict["token"])
    if opened is None:
        return _link_page(request)
    token, ids = opened
    # What was paid since the link was made is left out; with nothing left, the next page says why.
    left = [invoice.id for invoice in request.ctx.invoices.several(ids) if invoice.payable]
    chosen = [("invoice", invoice_id) for invoice_id in left or ids]
    response = HTTPSeeOther(location=request.route_path("checkout", _query=chosen))
    start_session(request, response, token)
    return response


@view_config(route_name="bill", request_method="GET", renderer="bill.jinja2")
def bill_page(request: Request) -> dict[str, Any]:
    """The invoice of a paper bill, for whoever holds the paper: what it shows, paid or not."""
    invoice = _billed(request)
    return {"invoice": invoice, "lines": request.ctx.invoices.lines(invoice.id)}


@view_config(route_name="bill", request_method="POST")
def pay_bill(request: Request) -> Response:
    """Go and pay the invoice of a paper bill: without codes, and nothing else of the family's."""
    invoice = _billed(request)
    response = HTTPSeeOther(
        location=request.route_path("checkout", _query={"invoice": invoice.id})
    )
    if request.family is None or request.family_id != invoice.family_id:
        token = request.ctx.web_sessions.open(
            invoice.family_id, only_invoice_ids=[invoice.id]
        )
        start_session(request, response, token)
    return response


# --- Pieces ------------------------------------------------------------------------------------


def _billed(request: Request) -> InvoiceInfo:
    """The published invoice of the address."""
    invoice_id = request.ctx.bills.invoice_id(request.matchdict["token"])
    invoice = request.ctx.invoices.get(invoice_id) if invoice_id else None
    if invoice is None:
        raise HTTPNotFound
    found: InvoiceInfo = invoice
    return found


def _wanted(request: Request, numbers: Sequence[str]) -> set[int]:
    """The ids that were chosen; who came by a payment link may choose its invoices only."""
    wanted = {number(text) for text in numbers}
    only = request.signed_in.only_invoice_ids
    if only and wanted - only:
        raise NotFoundError
    return wanted


def _seen(request: Request, wanted: set[int]) -> Sequence[InvoiceInfo]:
    """The invoices of these ids, if all are this visitor's to see."""
    invoices: Sequence[InvoiceInfo] = request.ctx.invoices.seen_by(
        request.family_id, sorted(wanted)
    )
    if len(invoices) != len(wanted):
        raise NotFoundError
    return invoices


def _own(request: Request, *, readable: bool = False) -> Payment:
    """The payment of the path, if it is this visitor's.

    `readable`: also one that another household made, if this family sees every invoice of it.
    """
    payment_id = int(request.matchdict["id"])
    only = request.signed_in.only_invoice_ids
    ids = request.ctx.payments.invoice_ids(payment_id)
    if only and not (ids and only.issuperset(ids)):
        raise HTTPNotFound
    if readable and len(request.ctx.invoices.seen_by(request.family_id, ids)) == len(ids) > 0:
        found: Payment = request.ctx.payments.row(payment_id)
        return found
    own: Payment = request.ctx.payments.of_family(payment_id, request.family_id)
    return own


def _invoices(request: Request, payment: Payment) -> Sequence[InvoiceInfo]:
    found: Sequence[InvoiceInfo] = request.ctx.invoices.several(
        request.ctx.payments.invoice_ids(payment.id)
    )
    return found


def _basket(request: Request) -> Sequence[InvoiceInfo]:
    """The invoices that were chosen, of whatever régies; all that can be paid for *Tout régler*."""
    if request.GET.get("tout") and request.family is not None:
        due = request.ctx.invoices.unpaid(request.family_id)
        capabilities = _capabilities(request, due)
        return [invoice for invoice in due if is_offered(invoice, capabilities[invoice.regie])]
    return _seen(request, _wanted(request, request.GET.getall("invoice")))


def _next_lot(request: Request, basket: Sequence[InvoiceInfo]) -> Sequence[InvoiceInfo]:
    """The invoices of the basket's next payment. What was settled since it was filled is passed."""
    due = [invoice for invoice in basket if invoice.balance]
    if not due or not all(invoice.payable for invoice in due):
        return due or basket
    found = lots([item_of(i) for i in due], desks_of(_capabilities(request, due)))
    return [invoice for invoice in due if invoice.id in found[0].invoice_ids]


def _capabilities(
    request: Request, invoices: Sequence[InvoiceInfo]
) -> dict[str, Capabilities | None]:
    choices = request.ctx.selection.of({invoice.regie for invoice in invoices})
    return {regie: choice and choice.capabilities for regie, choice in choices.items()}


def _remember_basket(request: Request, basket: Sequence[InvoiceInfo]) -> None:
    """Keep in the browser what was chosen together, until its last payment is made.

    A retry of one of these payments chooses some of it again: the rest is not forgotten for that.
    """
    known = request.session.get(BASKET, [])
    ids = sorted(invoice.id for invoice in basket)[:MAX_BASKET]
    again = set(ids) <= set(known) and not request.GET.get("panier")
    if request.family is not None and not again and ids != known:
        request.session[BASKET] = ids


def _chain(request: Request, invoices: Sequence[InvoiceInfo]) -> Chain | None:
    """The payments of the basket that holds these invoices; None for a basket of one payment."""
    known = set(request.session.get(BASKET, []))
    if request.family is None or not known > {invoice.id for invoice in invoices}:
        return None
    basket = request.ctx.invoices.seen_by(request.family_id, sorted(known))
    desks = desks_of(_capabilities(request, basket))
    done = [item_of(invoice) for invoice in basket if not invoice.balance]
    todo = [
        item_of(i) for i in basket if i.balance and i.payable and not i.under_way
    ]
    found = chain(done, todo, desks)
    return found if found.count > 1 else None


def _checkout_page(
    request: Request, form: CheckoutForm, invoices: Sequence[InvoiceInfo], choice: ProviderChoice
) -> Response:
    context = {
        "form": form,
        "invoices": invoices,
        "total": sum(invoice.balance for invoice in invoices),
        "direct_debit": choice.capabilities.direct_debit,
        "provider": choice.label,
        "earlier": request.ctx.attempts.earlier([invoice.id for invoice in invoices]),
        "chain": _chain(request, invoices),
    }
    return render_to_response("checkout.jinja2", context, request)


def _under_way(request: Request, payment_id: int) -> Response:
    """Another attempt may still settle: lead back to it rather than charge twice."""
    payment = request.ctx.payments.row(payment_id)
    standing = request.ctx.attempts.standing(payment)
    if payment.family_id != request.family_id:
        message = _("L’autre foyer est en train de payer cette facture.")
        if payment.may_be_paid:
            message = _("La régie vérifie un paiement de l’autre foyer pour cette facture.")
        return _refused(request, message)
    context = {
        "payment": payment,
        "invoices": _invoices(request, payment),
        "standing": standing,
        "meaning": for_parent(standing.situation),
        "act_words": act_words,
        "look": look_of(standing.situation),
        "free_at": payment.created_at + RESTART_AFTER,
    }
    response = render_to_response("payment_under_way.jinja2", context, request)
    response.status_int = 409
    return response


def _refused(request: Request, message: str) -> Response:
    if request.family is None:
        raise HTTPNotFound
    response = render_to_response(
        "invoices.jinja2", unpaid_page(request, error=message), request
    )
    response.status_int = 422
    return response


def _typed(request: Request, payment: Payment) -> str:
    """The e-mail typed for a payment, which somebody else of the family may have made."""
    return "" if request.by_link else payment.email


def _away(request: Request) -> Response:
    request.session.flash(
        _("Le service de paiement ne répond pas en ce moment. Rien n’a été débité : merci de"
          " réessayer dans quelques minutes."),
        "error",
    )  # fmt: skip
    route = "invoices" if request.family is not None else "home"
    return HTTPSeeOther(location=request.route_path(route))


def _remembered_email(request: Request) -> str:
    """The e-mail of this family's last payment, else the first address it registered.

    None for who came by a payment link: whoever holds it learns of one invoice only.
    """
    if request.by_link:
        return ""
    last = request.ctx.payments.last_email(request.family_id)
    addresses = request.ctx.families.emails(request.family_id)
    return last or (addresses[0] if addresses else "")

