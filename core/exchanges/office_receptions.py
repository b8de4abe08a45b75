"""Invoices that come in by themselves, in the back office: the places, and their files."""

from __future__ import annotations

from typing import Any

from pyramid.request import Request
from pyramid.view import view_config

from core.exchanges.models import FileState
from core.exchanges.states import IN
from core.platform.i18n import gettext as _


@view_config(
    route_name="office_receptions", renderer="office/receptions.jinja2", permission="office"
)
def receptions(request: Request) -> dict[str, Any]:
    """Page of the places that invoices come from, and of what came."""
    states = request.ctx.exchange_states
    invoices = request.town.file.exchanges.invoices
    return {
        "places": [one for one in states.all() if one.direction == IN],
        "received": [
            (name, place.publish, states.files(name)) for name, place in invoices.items()
        ],
        "rules": {
            "never": _("Les factures attendent d’être publiées par un agent."),
            "if_clean": _("Les factures sont publiées, sauf si quelque chose est à vérifier."),
            "always": _("Les factures sont publiées aussitôt."),
        },
        "states": {
            FileState.SEEN: _("Vu, en attente d’être entier"),
            FileState.READING: _("Lecture en cours"),
            FileState.IMPORTED: _("Importé"),
            FileState.REFUSED: _("Refusé"),
            FileState.KNOWN: _("Déjà importé"),
        },
        "kinds": {
            FileState.SEEN: "",
            FileState.READING: " info",
            FileState.IMPORTED: " success",
            FileState.REFUSED: " error",
            FileState.KNOWN: "",
        },
    }
