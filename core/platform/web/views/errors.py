"""Pages that a person sees when something cannot be done."""

from __future__ import annotations

from typing import Any

import structlog
from pyramid.exceptions import BadCSRFOrigin, BadCSRFToken
from pyramid.httpexceptions import HTTPBadRequest, HTTPException, HTTPSeeOther
from pyramid.renderers import render_to_response
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import (
    exception_view_config,
    forbidden_view_config,
    notfound_view_config,
    view_config,
)
from redis import RedisError
from sqlalchemy.exc import InterfaceError, OperationalError

from core.api.errors import TownClosedError, UserError
from core.platform.db.outage import is_outage, is_read_only
from core.platform.errors import (
    NotFoundError,
    PaperAwayError,
    PaperLostError,
    ThrottledError,
)
from core.platform.i18n import gettext as _
from core.platform.web.security import ask_nothing, asks_for_agent, at_work, note_sign_in

log = structlog.get_logger(__name__)
TEMPLATES = "errors"


@notfound_view_config(renderer=f"{TEMPLATES}/404.jinja2", append_slash=False)
@exception_view_config(NotFoundError, renderer=f"{TEMPLATES}/404.jinja2")
def not_found(request: Request) -> dict[str, Any]:
    """No such page, or not for this family: one answer for both."""
    request.response.status_int = 404
    return {}


@forbidden_view_config(renderer=f"{TEMPLATES}/403.jinja2")
def forbidden(request: Request) -> dict[str, Any] | Response:
    """Visitors are led to sign in and come back; who is signed in is told no."""
    of_the_office = asks_for_agent(request)
    known = request.ctx is not None and (request.agent if of_the_office else request.signed_in)
    if request.ctx is not None and known is None:
        query = {} if request.method != "GET" else {"next": request.path_qs}
        door = "office_sign_in" if of_the_office else "sign_in"
        return HTTPSeeOther(location=request.route_path(door, _query=query))
    request.response.status_int = 403
    return {"office": of_the_office}


@exception_view_config(BadCSRFOrigin)
@exception_view_config(BadCSRFToken)
def stale_form(request: Request) -> Response:
    """The form was open for too long, or in another session: say so and show a fresh page."""
    if request.ctx is None:
        return Response(status=400)
    request.session.flash(
        _("Cette page était ouverte depuis trop longtemps. Merci de recommencer."), "warning"
    )
    route = "office" if at_work(request) else "home"
    return HTTPSeeOther(location=request.route_path(route))


@exception_view_config(UnicodeDecodeError)
def not_text(_request: Request) -> Response:
    """A query that is not UTF-8, which no link of ours has."""
    said = _("Cette adresse n’a pas pu être lue : elle a peut-être été coupée en la recopiant.")
    return Response(f"400\n{said}\n", status=400, content_type="text/plain", charset="UTF-8")


@exception_view_config(HTTPBadRequest, renderer=f"{TEMPLATES}/400.jinja2")
def not_readable(request: Request) -> dict[str, Any]:
    """A form that no browser sends from our pages: another encoding, a broken type."""
    request.response.status_int = 400
    return {}


@exception_view_config(ThrottledError, renderer=f"{TEMPLATES}/429.jinja2")
def throttled(error: ThrottledError, request: Request) -> dict[str, Any]:
    """Too many attempts."""
    note_sign_in(request, "slowed")
    request.response.status_int = 429
    request.response.headers["Retry-After"] = str(error.seconds)
    return {"message": error.message}


@exception_view_config(PaperAwayError, renderer=f"{TEMPLATES}/paper.jinja2")
@exception_view_config(PaperLostError, renderer=f"{TEMPLATES}/paper.jinja2")
def no_paper(error: PaperAwayError | PaperLostError, request: Request) -> dict[str, Any]:
    """Instead of a paper: that it cannot be shown, and what to do."""
    is_away = isinstance(error, PaperAwayError)
    request.response.status_int = 503 if is_away else 500
    if is_away:
        request.response.headers["Retry-After"] = "60"
    return {"message": error.message, "is_away": is_away, "office": at_work(request)}


@exception_view_config(UserError)
def refused(error: UserError, request: Request) -> Response:
    """Refusal, told on a page from which the person can go on."""
    request.session.flash(error.message, "error")
    route = "invoices" if request.family is not None else "home"
    if at_work(request):
        route = "office"
    return HTTPSeeOther(location=request.route_path(route))


@exception_view_config(OperationalError, renderer=f"{TEMPLATES}/503.jinja2")
@exception_view_config(InterfaceError, renderer=f"{TEMPLATES}/503.jinja2")
@exception_view_config(RedisError, renderer=f"{TEMPLATES}/503.jinja2")
def away(error: Exception, request: Request) -> dict[str, Any]:
    """The database or Redis is away: back in a moment."""
    log.error("web.unavailable", reason=type(error).__name__)
    if is_read_only(error):
        # A primary that was demoted keeps its connections: the next ones find the new primary.
        request.registry.runtime.engine.dispose()
    ask_nothing(request)
    request.response.status_int = 503
    request.response.headers["Retry-After"] = "60"
    return {"retry_after": 1}


@exception_view_config(TownClosedError, renderer=f"{TEMPLATES}/503.jinja2")
def closed(_error: TownClosedError, request: Request) -> dict[str, Any]:
    """The town is closed for maintenance: it moves to another installation, in seconds."""
    ask_nothing(request)
    request.response.status_int = 503
    request.response.headers["Retry-After"] = "30"
    return {"retry_after": 1}


@view_config(route_name="unavailable", renderer=f"{TEMPLATES}/503.jinja2")
def unavailable(request: Request) -> dict[str, Any]:
    """The town's file is wrong; the operator knows why (`preau tenants check`)."""
    request.response.status_int = 503
    return {"retry_after": None}


@exception_view_config(Exception, renderer=f"{TEMPLATES}/500.jinja2")
def broken(error: Exception, request: Request) -> dict[str, Any] | Response:
    """A fault of ours: logged with the number that the page shows."""
    if isinstance(error, HTTPException):
        return error
    if is_outage(error):
        values = away(error, request)
        return render_to_response(
            f"{TEMPLATES}/503.jinja2", values, request, response=request.response
        )
    ask_nothing(request)
    log.error("web.fault", exc_info=error)
    request.response.status_int = 500
    return {"incident": request.number}
