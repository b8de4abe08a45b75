"""Pages of the yearly tax certificates."""

from __future__ import annotations

from typing import Any

from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from core.platform.web.files import pdf


@view_config(
    route_name="certificates", renderer="certificates.jinja2", permission="parent", reads=True
)
def certificates(request: Request) -> dict[str, Any]:
    """The years that have a tax certificate."""
    return {"years": request.ctx.certificates.years(request.family_id)}


@view_config(route_name="certificate_pdf", permission="parent", reads=True)
def certificate_pdf(request: Request) -> Response:
    """The tax certificate of a year."""
    return pdf(
        request.ctx.certificates.document(request.family_id, int(request.matchdict["year"]))
    )
