"""*Être averti*: addresses that are told of new invoices."""

from __future__ import annotations

from typing import Any

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config
from wtforms import Form, StringField
from wtforms.validators import InputRequired, Length

from core.api.web import Audience
from core.messages.alerts import MAX_ALERT_ADDRESSES
from core.platform.errors import TooManyAddressesError, TooManyMailsError
from core.platform.i18n import gettext as _
from core.platform.web.forms import is_email, number
from core.platform.web.rendering import valid_entries

LANGUAGE_NAMES = {"fr": "Français", "en": "English"}
"""Each as who reads it calls it."""


class AddressForm(Form):
    """One more address."""

    address = StringField(
        filters=[lambda value: value.strip() if value else value],
        validators=[InputRequired("Saisissez l’adresse à avertir."), Length(max=254), is_email],
    )


@view_config(
    route_name="alerts", request_method="GET", renderer="alerts.jinja2", permission="parent"
)
def alerts_page(request: Request) -> dict[str, Any]:
    """The family's addresses, and the ways to other channels."""
    return _page(request, AddressForm())


@view_config(
    route_name="alerts", request_method="POST", renderer="alerts.jinja2", permission="parent"
)
def alerts(request: Request) -> dict[str, Any] | Response:
    """Add, remove, or mail the link again."""
    action, form = request.POST.get("action"), AddressForm(request.POST)
    if action == "add":
        if not form.validate():
            request.response.status_int = 422
            return _page(request, form)
        try:
            request.ctx.alerts.add(request.family_id, form.address.data)
        except (TooManyAddressesError, TooManyMailsError) as error:
            form.form_errors.append(error.message)
            request.response.status_int = 422
            return _page(request, form)
        message = _("Un message vient de partir vers cette adresse : ouvrez-le pour la confirmer.")
    elif action == "choose":
        request.ctx.messages.choose(request.family_id, request.POST.getall("kind"))
        message = _("Votre choix est enregistré.")
    elif action == "language":
        chosen = request.POST.get("language", "")
        if chosen in request.town.languages:
            request.ctx.families.set_language(request.family_id, chosen)
        message = _("Votre choix est enregistré.")
    else:
        contact_id = number(request.POST.get("id", ""))
        if action == "remove":
            request.ctx.alerts.remove(request.family_id, contact_id)
            message = _("L’adresse est retirée.")
        else:
            try:
                request.ctx.alerts.resend(request.family_id, contact_id)
            except TooManyMailsError as error:
                request.session.flash(error.message, "error")
                return HTTPSeeOther(location=request.route_path("alerts"))
            message = _("Le message de confirmation vient de repartir.")
    request.session.flash(message, "success")
    return HTTPSeeOther(location=request.route_path("alerts"))


def _page(request: Request, form: AddressForm) -> dict[str, Any]:
    return {
        "addresses": request.ctx.alerts.addresses(request.family_id),
        "form": form,
        "limit": MAX_ALERT_ADDRESSES,
        "choices": request.ctx.messages.choices(request.family_id),
        "languages": [
            (code, name) for code, name in LANGUAGE_NAMES.items() if code in request.town.languages
        ],
        "other_ways": valid_entries(request, Audience.ALERTS),
    }


@view_config(
    route_name="alert_confirm", request_method="GET", renderer="alert_confirm.jinja2"
)
def confirm_page(request: Request) -> dict[str, Any]:
    """Ask: mail scanners open links, and must not confirm."""
    address = request.ctx.alerts.pending(request.matchdict["token"])
    if address is None:
        request.response.status_int = 404
    return {"state": "ask" if address else "invalid", "address": address or ""}


@view_config(
    route_name="alert_confirm", request_method="POST", renderer="alert_confirm.jinja2"
)
def confirm(request: Request) -> dict[str, Any]:
    """Confirm the address."""
    address = request.ctx.alerts.confirm(request.matchdict["token"])
    if address is None:
        request.response.status_int = 404
    return {"state": "done" if address else "invalid", "address": address or ""}


@view_config(
    route_name="alert_unsubscribe", request_method="GET", renderer="alert_unsubscribed.jinja2"
)
def unsubscribe_page(request: Request) -> dict[str, Any]:
    """Ask, for those who opened the link in a browser."""
    address = request.ctx.alerts.subscribed(request.matchdict["token"])
    if address is None:
        request.response.status_int = 404
    return {"state": "ask" if address else "invalid", "address": address or ""}


@view_config(
    route_name="alert_unsubscribe",
    request_method="POST",
    renderer="alert_unsubscribed.jinja2",
    require_csrf=False,  # RFC 8058: mailboxes post here; the signed link is the proof.
    form=False,  # The same RFC: as multipart/form-data, too.
)
def unsubscribe(request: Request) -> dict[str, Any]:
    """Forget the address, in one click."""
    address = request.ctx.alerts.unsubscribe(request.matchdict["token"])
    return {"state": "done" if address else "invalid", "address": address or ""}
