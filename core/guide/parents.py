"""The manual's address."""

from __future__ import annotations

import threading

from pyramid.renderers import render
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from core.api.messages import Document
from core.guide.screens import screens
from core.platform.documents.pdf import render_pdf
from core.platform.i18n import gettext as _
from core.platform.tenancy.config import TenantConfig
from core.platform.web.files import pdf

KEPT_AT_MOST = 32
"""Manuals that a process keeps: one takes a second or two to draw."""

_kept: dict[tuple[str, str], tuple[TenantConfig, bytes]] = {}
_drawing = threading.Lock()


@view_config(route_name="guide")
def guide(request: Request) -> Response:
    """The help with pictures of the town's pages, to print or send."""
    key = (request.town.slug, request.language)
    # One at a time: whoever waits finds it drawn.
    with _drawing:
        town, content = _kept.get(key, (None, b""))
        if town is not request.town:  # Its file was read again.
            content = render_pdf(
                render("guide.jinja2", {"screens": screens(request)}, request),
                title=" – ".join((_("Mode d’emploi"), request.town.name)),
                language=request.language,
            )
            if len(_kept) >= KEPT_AT_MOST:
                _kept.clear()
            _kept[key] = (request.town, content)
    return pdf(Document("mode-d-emploi.pdf", "application/pdf", content))
