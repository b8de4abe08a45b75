"""Where a form may lead to: the town's own pages, never another site."""

from __future__ import annotations

from urllib.parse import urlsplit

from pyramid.request import Request


def inside(request: Request, path: str, *, otherwise: str = "home") -> str:
    """`path` if it is a page of this town, else the route `otherwise`.

    A backslash or a second slash would make browsers read a host name.
    """
    parts = urlsplit(path)
    home = request.route_path("home")
    safe = (
        not parts.scheme
        and not parts.netloc
        and path.startswith(home)
        and not path.startswith("//")
        and "\\" not in path
        and path.isprintable()
    )
    return path if safe else str(request.route_path(otherwise))
