"""Finding the town of a request, by host name or by the first segment of the path.

The segment moves from PATH_INFO to SCRIPT_NAME, as a WSGI mount does: routes and generated URLs are
the same in both ways, and no view ever sees the town's slug.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from urllib.parse import quote, urlsplit

from pyramid.httpexceptions import HTTPNotFound, HTTPPermanentRedirect
from pyramid.interfaces import IRoutesMapper
from pyramid.registry import Registry as PyramidRegistry
from pyramid.request import Request
from pyramid.response import Response
from pyramid.traversal import PATH_SAFE
from webob.cookies import parse_cookie

from core.platform import i18n
from core.platform.db.session import retire
from core.platform.outbox.process import Process
from core.platform.tenancy.config import RESERVED
from core.platform.web.security import cookie_name

Handler = Callable[[Request], Response]
LANGUAGE_COOKIE = "preau_language"
UNAVAILABLE = "/+unavailable"
"""Page for maintenance: every address of a town whose file is wrong leads there."""


def tenancy_tween(handler: Handler, registry: PyramidRegistry) -> Handler:
    """Give the request its town, its language and its unit of work; close it at the end."""

    def tween(request: Request) -> Response:
        runtime: Process = registry.runtime
        _drop_unreadable_cookies(request)
        request.town = request.ctx = None
        request.language = i18n.SOURCE_LOCALE
        try:
            slug = _slug(request, runtime)
        except UnicodeDecodeError:  # "%FF": an address that is not UTF-8 leads nowhere
            return HTTPNotFound()
        if slug is None:
            return handler(request)
        if isinstance(slug, Response):
            return slug
        if runtime.registry.problems(slug):
            request.path_info = UNAVAILABLE
            return handler(request)
        request.town = runtime.config(slug)
        request.language = _language(request)
        request.ctx = runtime.open(slug, actor="web", base_url=request.application_url)
        try:
            with i18n.use(request.language):
                answer = handler(request)
            moved = _without_slash(request) if answer.status_int == HTTPStatus.NOT_FOUND else None
            return moved or answer
        finally:
            request.ctx.session.close()
            retire(request.ctx.session)

    return tween


def _slug(request: Request, runtime: Process) -> str | Response | None:
    """The town's slug; None outside any; a redirection where a slash is missing."""
    slug = runtime.registry.by_host(request.host)
    first, slash, rest = request.path_info.lstrip("/").partition("/")
    if first in RESERVED:
        return None
    if slug is not None:
        return slug
    if runtime.settings.is_production and not _is_ours(request.host, runtime):
        # A forged Host header must not end up in a mail's link.
        return HTTPNotFound()
    typed, first = first, first.lower()  # As people write a town's name.
    if runtime.registry.get(first) is None and not runtime.registry.problems(first):
        return None
    if not slash or typed != first:
        return _moved(request, f"/{first}/{rest}")
    request.script_name = f"{request.script_name}/{first}"
    request.path_info = f"/{rest}"
    return first


def _moved(request: Request, path: str) -> Response:
    query = f"?{request.query_string}" if request.query_string else ""
    path = quote(path, safe=PATH_SAFE)
    return HTTPPermanentRedirect(location=f"{request.script_name}{path}{query}")


def _without_slash(request: Request) -> Response | None:
    """A redirection from an address with a slash at its end, which people and programs add.

    None unless there is a page without the slash: what is nowhere is told so at once.
    """
    path = request.path_info
    if request.method not in {"GET", "HEAD"} or not path.endswith("/") or not path.strip("/"):
        return None
    # One slash at the beginning: two would lead to another host.
    request.path_info = bare = f"/{path.strip('/')}"
    try:
        found = request.registry.getUtility(IRoutesMapper)(request)["route"]
    finally:
        request.path_info = path
    return None if found is None else _moved(request, bare)


def _is_ours(host: str, runtime: Process) -> bool:
    return host.lower() == urlsplit(runtime.settings.public_base_url).netloc


def _drop_unreadable_cookies(request: Request) -> None:
    """Leave out cookies that are not UTF-8: another page of the domain may have set them.

    WebOb reads all of them at once, and fails for the sake of one.
    """
    try:
        request.cookies.get("")
    except UnicodeDecodeError:
        parts = request.environ["HTTP_COOKIE"].split(";")
        request.environ["HTTP_COOKIE"] = ";".join(filter(_is_readable, parts))


def _is_readable(cookie: str) -> bool:
    try:
        for name, value in parse_cookie(cookie):
            name.decode(), value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _language(request: Request) -> str:
    """The visitor's choice, else the browser's wish, else the town's first language."""
    languages = request.town.languages
    chosen = request.cookies.get(cookie_name(request, LANGUAGE_COOKIE))
    if chosen in languages:
        return str(chosen)
    return str(request.accept_language.lookup(languages, default=languages[0]))
