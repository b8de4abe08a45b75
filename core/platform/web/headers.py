"""Security headers of every answer, and the request's number."""

from __future__ import annotations

import re
import secrets
import time
import traceback
from collections.abc import Callable

import structlog
from pyramid.registry import Registry
from pyramid.request import Request
from pyramid.response import Response

from core.platform import metrics
from core.platform.web.last_resort import last_resort

log = structlog.get_logger(__name__)

CSP = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none';"
    " frame-ancestors 'none'"
)
"""No form-action: browsers apply it to the redirection to the payment provider too.
``data:`` in images is for the small marks of the vendored style sheet."""

HSTS = "max-age=31536000; includeSubDomains"
"""A year. A portal has no subdomains; it is not for the bare name of a commune's web site."""

_SECURITY = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
}
_METHODS = frozenset({"GET", "HEAD", "POST"})
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}\Z")


def _refused() -> Response:
    """For methods that no view of ours has, TRACE among them."""
    return Response(status=405, headers={"Allow": "GET, HEAD, POST"})


def headers_tween(
    handler: Callable[[Request], Response], _registry: Registry
) -> Callable[[Request], Response]:
    """Number the request, log it without its query (which may hold a token), add the headers."""

    def tween(request: Request) -> Response:
        given = request.headers.get("X-Request-ID", "")
        request.number = given if _REQUEST_ID.match(given) else secrets.token_hex(8)
        started = time.perf_counter()
        with structlog.contextvars.bound_contextvars(request=request.number):
            try:
                response = handler(request) if request.method in _METHODS else _refused()
            except Exception as error:  # noqa: BLE001 - the server would log the address
                # Frames without messages: "not found" holds the address, maybe a one-time link.
                frames = "".join(traceback.format_tb(error.__traceback__))
                reason = type(error).__name__
                log.error("web.no_error_page", reason=reason, frames=frames)  # noqa: TRY400
                response = last_resort(error, request.number)
            route = request.matched_route.name if getattr(request, "matched_route", None) else ""
            in_town = getattr(request, "town", None) is not None
            taken = time.perf_counter() - started
            # What leads nowhere has one name: strangers must not make series.
            method = request.method if request.method in _METHODS else "other"
            metrics.requests.labels(route, method, str(response.status_int)).inc()
            metrics.request_seconds.labels(route).observe(taken)
            # Style sheets and health questions are many and say nothing.
            tell = log.info if in_town else log.debug
            tell(
                "request",
                method=request.method,
                route=route,
                status=response.status_int,
                ms=round(1000 * taken),
            )
        for name, value in _SECURITY.items():
            response.headers.setdefault(name, value)
        response.headers["X-Request-ID"] = request.number
        if request.scheme == "https":
            response.headers.setdefault("Strict-Transport-Security", HSTS)
        if in_town:
            # Families' pages must not stay on a shared computer.
            response.headers.setdefault("Cache-Control", "no-store")
        return response

    return tween
