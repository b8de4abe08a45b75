"""State of the town's machinery: for the régisseur who wonders, and the operator who is asked."""

from __future__ import annotations

from typing import Any

from pyramid.request import Request
from pyramid.view import view_config

T = "office"


@view_config(route_name="office_health", renderer=f"{T}/health.jinja2", permission="office")
def health(request: Request) -> dict[str, Any]:
    """Queue, channels, ways to pay, copies and plugins."""
    state = request.ctx.health
    standby = request.registry.runtime.standby
    return {
        "queue": state.queue(),
        "channels": state.channels(),
        "mail_troubles": state.mail_troubles(),
        "providers": state.providers(),
        "papers": state.papers(),
        "standby": standby.state() if standby else None,
        "plugins": state.plugins(),
        "places": request.ctx.exchange_states.all(),
        "now": request.ctx.clock.now(),
    }
