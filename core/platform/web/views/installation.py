"""The installation's own pages: the list of towns, health, metrics."""

from __future__ import annotations

from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST
from pyramid.httpexceptions import HTTPNotFound
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config
from redis import RedisError
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from core.platform import metrics as counted
from core.platform.web.trial import trial


@view_config(route_name="towns", renderer="towns.jinja2")
def towns(request: Request) -> dict[str, Any]:
    """The towns of this installation, for those who typed its bare address."""
    registry = request.registry.runtime.registry
    return {
        "towns": [
            {
                "slug": config.slug,
                "name": config.name,
                "url": f"{request.script_name}/{config.slug}/",
            }
            for config in sorted(registry, key=lambda config: config.name)
        ],
        "trial": trial(request.registry.runtime.settings),
    }


@view_config(route_name="live")
def live(_request: Request) -> Response:
    """The process answers."""
    return Response("ok\n", content_type="text/plain")


@view_config(route_name="ready")
def ready(request: Request) -> Response:
    """The database answers too. Redis away slows sign-in only: a word, not a failure."""
    runtime = request.registry.runtime
    lines, status = [], 200
    try:
        with runtime.engine.connect() as connection:
            read_only = connection.execute(text("SHOW transaction_read_only")).scalar_one()
        # A standby answers questions and refuses sign-ins: it is no place to send parents to.
        lines.append("database read-only" if read_only == "on" else "database ok")
        status = 503 if read_only == "on" else 200
    except SQLAlchemyError:
        lines.append("database away")
        status = 503
    if runtime.standby is not None:
        # Late or away, it costs time: pages are read from the primary.
        lines.append(f"standby {runtime.standby.state()}")
    try:
        runtime.redis.ping()
        lines.append("redis ok")
    except RedisError:
        lines.append("redis away")
    return Response("\n".join(lines) + "\n", content_type="text/plain", status=status)


@view_config(route_name="metrics")
def metrics(request: Request) -> Response:
    """Counters in Prometheus's format, for who asks this very process: not through the proxy."""
    if "X-Forwarded-For" in request.headers:
        raise HTTPNotFound
    return Response(counted.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})
