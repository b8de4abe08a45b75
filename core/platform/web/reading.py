"""Pages that are read from a standby, and the mark by which a person's own writes are seen there.

A view with ``reads=True`` changes nothing. It runs on the standby if that is far enough, and on the
primary otherwise; what fails on the standby in the middle is done again on the primary. Who asks,
and with what right, the primary has said before: a session that was ended opens no page.

The browser keeps the position of the primary's journal that its last page showed or wrote. No page
of the same person is read from a standby that is behind it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import structlog
from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.response import Response
from sqlalchemy.exc import SQLAlchemyError

from core.domain import wal
from core.platform import metrics
from core.platform.db.outage import is_outage
from core.platform.db.standby import Refusal, Standby, where
from core.platform.web.security import cookie_name

log = structlog.get_logger(__name__)

COOKIE = "preau_position"
KEEP_SECONDS = 3600
"""Time for which the mark is kept: far more than any standby that is read from is behind."""
SAFE_METHODS = frozenset({"GET", "HEAD"})

View = Callable[[Any, Request], Response]


def includeme(config: Configurator) -> None:
    """Let views say ``reads=True``."""
    config.add_view_deriver(_reading)


def _reading(view: View, info: Any) -> View:
    if not info.options.get("reads"):
        return view

    def read(context: Any, request: Request) -> Response:
        standby: Standby | None = request.registry.runtime.standby
        if standby is None or request.ctx is None or request.method not in SAFE_METHODS:
            return view(context, request)
        primary = request.ctx
        session = standby.open(primary.config.slug, kept_position(request), primary.session)
        metrics.standby_behind.set(standby.behind)
        if isinstance(session, Refusal):
            metrics.readings.labels(session.why).inc()
            return view(context, request)
        flashes = dict(request.session)
        request.ctx = primary.on(session)
        try:
            answer = view(context, request)
        except Exception as error:
            if not is_outage(error):
                _served(request)
                raise
            standby.failed(error)
            route = request.matched_route.name
            log.warning("standby.failed", route=route, reason=type(error).__name__)
        else:
            _served(request)
            return answer
        finally:
            session.close()
            request.ctx = primary
        metrics.readings.labels("failed").inc()
        # As if nothing had been tried: messages to the person that were shown to nobody, too.
        request.session.update(flashes)
        request.__dict__.pop("response", None)
        return view(context, request)

    return read


def _served(request: Request) -> None:
    metrics.readings.labels("standby").inc()
    # What it showed is older than the primary: no mark is to be made of that one.
    request.position_shown = True


_reading.options = ("reads",)  # type: ignore[attr-defined]


def kept_position(request: Request) -> int:
    """The position that this browser's pages have to have."""
    return wal.read(request.cookies.get(cookie_name(request, COOKIE)))


def mark_position(request: Request) -> None:
    """Let the browser keep the primary's position, after a page that was written or read there.

    Pages of strangers that wrote nothing need none.
    """
    if request.registry.runtime.standby is None or "position_shown" in request.__dict__:
        return
    known = request.__dict__.get("signed_in") or request.__dict__.get("agent")
    if request.method in SAFE_METHODS and known is None:
        return
    try:
        position, _system = where(request.ctx.session)
    except SQLAlchemyError:
        # What was written may be there all the same: the primary knows, and nobody else.
        position = wal.UNKNOWN
    request.add_response_callback(lambda _request, response: _keep(request, response, position))


def _keep(request: Request, response: Response, position: int) -> None:
    response.set_cookie(
        cookie_name(request, COOKIE),
        wal.written(position),
        max_age=KEEP_SECONDS,
        path=request.script_name or "/",
        secure=request.scheme == "https",
        httponly=True,
        samesite="Lax",
    )
