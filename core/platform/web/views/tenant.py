"""Pages that say the same to everybody: help, legal notice, accessibility."""

from __future__ import annotations

from typing import Any

from pyramid.renderers import render
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from core.api.messages import Document
from core.platform.documents.pdf import render_pdf
from core.platform.i18n import gettext as _
from core.platform.web.files import pdf


@view_config(route_name="help", renderer="help.jinja2")
@view_config(route_name="accessibility", renderer="accessibility.jinja2")
def page(_request: Request) -> dict[str, Any]:
    """A page without data of its own."""
    return {}


@view_config(route_name="legal", renderer="legal.jinja2")
def legal(request: Request) -> dict[str, Any]:
    """The legal notice and the privacy page, with the services that the town's plugins bring."""
    ctx = request.ctx
    return {
        "providers": sorted({held.label for held in ctx.providers.values()}),
        "channels": sorted({held.label for held in ctx.channels.values() if not held.built_in}),
    }


@view_config(route_name="guide")
def guide(request: Request) -> Response:
    """The help as a PDF to print or send."""
    content = render_pdf(
        render("guide.jinja2", {}, request),
        title=" – ".join((_("Mode d’emploi"), request.town.name)),
        language=request.language,
    )
    return pdf(Document("mode-d-emploi.pdf", "application/pdf", content))
