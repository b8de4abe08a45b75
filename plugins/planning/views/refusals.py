"""Refusals of a page's act: nothing of it stays, and the person reads why where they go on."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from pyramid.httpexceptions import HTTPSeeOther

from core.plugin import UserError

View = Callable[[Any], Any]


def refused(request: Any, refusal: UserError, location: str) -> HTTPSeeOther:
    """Send the browser to `location` with the reason.

    A redirection is committed like any page that went well, so the act is taken back here.
    """
    request.ctx.session.rollback()
    request.session.flash(refusal.message, "error")
    return HTTPSeeOther(location)


def or_back(location: Callable[[Any], str]) -> Callable[[View], View]:
    """Send the browser to the request's `location` with the reason when the view is refused."""

    def decorate(view: View) -> View:
        @wraps(view)
        def wrapped(request: Any) -> Any:
            try:
                return view(request)
            except UserError as refusal:
                return refused(request, refusal, location(request))

        return wrapped

    return decorate
