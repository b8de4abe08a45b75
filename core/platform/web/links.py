"""Addresses that a form may lead to: the town's own pages, never another site."""

from __future__ import annotations

from typing import TypeGuard
from urllib.parse import urlsplit

from pyramid.request import Request


def safe_next_url(request: Request, path: object, *, otherwise: str = "home") -> str:
    """`path` if it is a page of this town, else the route `otherwise`.

    A backslash or a second slash would make browsers read a host name.
    """
    if _is_inside(path, request):
        return path
    return str(request.route_path(otherwise))


def _is_inside(path: object, request: Request) -> TypeGuard[str]:
    # A file may come in the place of a text, and a header takes ASCII only.
    if not isinstance(path, str) or not path.isascii() or not path.isprintable():
        return False
    try:
        parts = urlsplit(path)
    except ValueError:  # "//[": an address that begins and does not end
        return False
    return (
        not parts.scheme
        and not parts.netloc
        and path.startswith(request.route_path("home"))
        and not path.startswith("//")
        and "\\" not in path
    )
