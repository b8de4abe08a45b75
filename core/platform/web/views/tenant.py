"""Pages that say the same to everybody: help, legal notice, accessibility."""

from __future__ import annotations

import json
from typing import Any

from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from core.platform.i18n import gettext as _
from core.platform.web.rendering import asset

ICON_SIZES = (192, 512)
SHORT_NAME = 12
"""Characters that a telephone shows below an icon."""

PAPER = "#faf5ec"
"""The ground of the pages, while the first one loads."""


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


@view_config(route_name="manifest")
def manifest(request: Request) -> Response:
    """Let a telephone put the portal among its applications: it keeps no page to read offline."""
    town = request.town
    icons = [
        {"src": asset(f"img/icon-{n}.png"), "sizes": f"{n}x{n}", "type": "image/png"}
        for n in ICON_SIZES
    ]
    said = {
        "name": _("Portail des familles – %(town)s") % {"town": town.name},
        "short_name": town.name[:SHORT_NAME],
        "lang": request.language,
        "start_url": request.route_path("invoices"),
        "scope": request.route_path("home"),
        "display": "standalone",
        "background_color": PAPER,
        "theme_color": town.file.look.accent,
        "icons": icons,
    }
    response = Response(json.dumps(said, ensure_ascii=False).encode())
    response.content_type = "application/manifest+json"
    return response
