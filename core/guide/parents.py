"""The manual's address."""

from __future__ import annotations

import threading

from pyramid.renderers import render
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from core.api.errors import UserError
from core.api.messages import Document
from core.guide.screens import screens
from core.platform.documents.pdf import render_pdf
from core.platform.i18n import gettext as _
from core.platform.tenancy.config import TenantConfig
from core.platform.web.files import pdf

MAX_KEPT = 32
"""Manuals that a process keeps: one takes a second or two to draw."""

READERS_WHILE_DRAWING = 2
"""Readers of a process who may be busy with manuals that are not drawn yet: who draws one, and
who waits for it. All others are asked to come back, so that the threads stay for payments."""

_kept: dict[tuple[str, str], tuple[TenantConfig, bytes]] = {}
_drawing = threading.Lock()
_places = threading.BoundedSemaphore(READERS_WHILE_DRAWING)


@view_config(route_name="guide")
def guide(request: Request) -> Response:
    """The help with pictures of the town's pages, to print or send."""
    content = _find(request)
    if content is None:
        if not _places.acquire(blocking=False):
            raise UserError(_("Le mode d’emploi se prépare. Réessayez dans une minute."))
        try:
            # One at a time: whoever waits finds it drawn.
            with _drawing:
                content = _find(request) or _draw(request)
        finally:
            _places.release()
    return pdf(Document("mode-d-emploi.pdf", "application/pdf", content))


def _find(request: Request) -> bytes | None:
    town, content = _kept.get((request.town.slug, request.language), (None, b""))
    return content if town is request.town else None  # Else its file was read again.


def _draw(request: Request) -> bytes:
    content = render_pdf(
        render("guide.jinja2", {"screens": screens(request)}, request),
        title=" – ".join((_("Mode d’emploi"), request.town.name)),
        language=request.language,
    )
    if len(_kept) >= MAX_KEPT:
        _kept.clear()
    _kept[request.town.slug, request.language] = (request.town, content)
    return content
