"""The town's front page, its news, its look, and the visitor's language."""

from __future__ import annotations

from typing import Any

from pyramid.httpexceptions import HTTPNotFound, HTTPSeeOther
from pyramid.request import Request
from pyramid.response import FileResponse, Response
from pyramid.view import view_config

from core.news.markdown import page_html
from core.platform.tenancy.colours import ink_on
from core.platform.web.links import safe_next_url
from core.platform.web.security import cookie_name
from core.platform.web.tenancy import LANGUAGE_COOKIE

YEAR_SECONDS = 365 * 24 * 3600


@view_config(route_name="home", renderer="home.jinja2")
def home(request: Request) -> dict[str, Any]:
    """News, *Bon à savoir*, and the way in."""
    notice = request.ctx.news.notice()
    return {
        "news": request.ctx.news.latest(),
        "notice": page_html(request, notice.body) if notice else None,
    }


@view_config(route_name="news", renderer="news.jinja2")
def news(request: Request) -> dict[str, Any]:
    """One piece of news."""
    item = request.ctx.news.get(int(request.matchdict["id"]))
    if item is None:
        raise HTTPNotFound
    return {"item": item, "body": page_html(request, item.body)}


@view_config(route_name="news_image")
def news_image(request: Request) -> Response:
    """A picture of published news; agents see those of drafts too."""
    picture = request.ctx.news.picture(
        int(request.matchdict["id"]), drafts=request.agent is not None
    )
    if picture is None:
        raise HTTPNotFound
    response = Response(picture.content, content_type=picture.media_type)
    response.headers["Cache-Control"] = "private, max-age=3600"
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response


@view_config(route_name="theme")
def theme(request: Request) -> Response:
    """The town's colours, over the portal's design."""
    accent = request.town.file.look.accent
    css = f":root {{ --accent: {accent}; --accent-ink: {ink_on(accent)}; }}\n"
    response = Response(css, content_type="text/css", charset="utf-8")
    response.headers["Cache-Control"] = "public, max-age=300"
    return response


@view_config(route_name="logo")
def logo(request: Request) -> Response:
    """The town's own logo."""
    name = request.town.file.look.logo
    if not name:
        raise HTTPNotFound
    response = FileResponse(str(request.town.folder / name), request=request)
    response.headers["Cache-Control"] = "public, max-age=300"
    # An SVG opened on its own is a document: it may do nothing at all.
    response.headers["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'unsafe-inline'; sandbox"
    )
    return response


@view_config(route_name="language", request_method="POST")
def language(request: Request) -> Response:
    """Remember the language of this browser's pages; that of the mails is chosen at the alerts."""
    chosen = request.POST.get("language", "")
    response = HTTPSeeOther(location=safe_next_url(request, request.POST.get("next", "")))
    if chosen in request.town.languages:
        response.set_cookie(
            cookie_name(request, LANGUAGE_COOKIE),
            chosen,
            max_age=YEAR_SECONDS,
            path=request.script_name or "/",
            secure=request.scheme == "https",
            httponly=True,
            samesite="Lax",
        )
    return response
