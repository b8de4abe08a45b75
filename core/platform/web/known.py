"""Browsers that signed in before: they have tries of their own, whatever others used up.

A signed cookie names the browser by a random number, and, unreadable, whom it signed in as. It
opens nothing. Who copies it may miss as often as its owner: see `core.platform.doors`. For who came
in by the codes of the letter the form cookie is enough, which ends with the browser: right codes
open anyway, and the number only keeps a slip of the finger apart from a neighbour's guesses.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import timedelta

from pyramid.request import Request
from pyramid.response import Response

from core.platform.signing import LinkError, keyed_hash
from core.platform.web.security import cookie_name

COOKIE = "preau_browser"
LIFE = timedelta(days=180)
PURPOSE = "known-browser"
IN_FORM_COOKIE = "browser"
REMEMBERED = 6
"""Accounts and agents that one browser is known to: a couple's, and an agent's own."""


@dataclass(frozen=True, slots=True)
class KnownBrowser:
    """A browser's number, "" for one that was never signed in, and the marks of whom it was."""

    number: str = ""
    marks: list[str] = field(default_factory=list)


def account(email: str) -> str:
    """Name a parent's own account to `browser_of` and `remember`."""
    return f"account:{email.casefold()}"


def agent(email: str) -> str:
    """Name an agent to `browser_of` and `remember`."""
    return f"agent:{email.casefold()}"


def browser_of(request: Request, whom: str = "") -> str:
    """The number of a browser that signed in before (as `whom`, if somebody is named); else ""."""
    found = _read(request)
    if whom and _mark(request, whom) not in found.marks:
        return ""
    return found.number


def remember(request: Request, response: Response, whom: str = "") -> None:
    """Know this browser from now on, as one that signed in (as `whom`)."""
    found = _read(request)
    number = found.number or secrets.token_urlsafe(12)
    if not whom:
        request.session[IN_FORM_COOKIE] = number
        return
    mark = _mark(request, whom)
    marks = [mark, *(other for other in found.marks if other != mark)][:REMEMBERED]
    response.set_cookie(
        cookie_name(request, COOKIE),
        request.ctx.links.sign(PURPOSE, [number, marks]),
        max_age=LIFE,
        path=request.script_name or "/",
        secure=request.scheme == "https",
        httponly=True,
        samesite="Lax",
    )


def _read(request: Request) -> KnownBrowser:
    token = request.cookies.get(cookie_name(request, COOKIE))
    if not token:
        return KnownBrowser(request.session.get(IN_FORM_COOKIE, ""))
    try:
        number, marks = request.ctx.links.read(PURPOSE, token, LIFE)
    except LinkError:
        return KnownBrowser()
    return KnownBrowser(number, marks)


def _mark(request: Request, whom: str) -> str:
    secret_key = request.registry.runtime.settings.secret_key
    return keyed_hash(secret_key, PURPOSE, f"{request.town.slug}/{whom}").hex()[:16]
