"""The first page of the office."""

from __future__ import annotations

from typing import Any

from pyramid.request import Request
from pyramid.view import view_config

T = "core:web/templates/office"


@view_config(route_name="office", renderer=f"{T}/dashboard.jinja2", permission="office")
def dashboard(_request: Request) -> dict[str, Any]:
    """What came in, and what waits for a person."""
    return {}
