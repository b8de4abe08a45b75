"""Identity of the person at the browser, and that person's rights."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import structlog
from pyramid.request import Request
from pyramid.response import Response
from pyramid.security import Allowed, Denied
from pyramid.session import SignedCookieSessionFactory
from wtforms import Form

from core.api.context import FamilyInfo
from core.domain.sessions import ABSOLUTE_END
from core.platform import metrics
from core.platform.errors import ThrottledError, WrongCodesError
from core.platform.identities import SignedIn, SignedInAgent

log = structlog.get_logger(__name__)

COOKIE = "preau_family"
AGENT_COOKIE = "preau_agent"

PUBLIC, PARENT, PAYER = "public", "parent", "payer"
"""Everybody; a signed-in family; a signed-in family, or who came by a payment link."""

AGENT, OFFICE, KEYS, REGISSEUR = "agent", "office", "keys", "regisseur"
"""A signed-in agent, for what is the agent's own; an agent at work, where a reader may only look;
who says who comes in; the régisseur."""

OF_THE_OFFICE = frozenset({AGENT, OFFICE, KEYS, REGISSEUR})


class Security:
    """Pyramid's security policy over `core.sign_in.service`."""

    def identity(self, request: Request) -> SignedIn | None:
        """Signed-in family of the browser's token, in this town only."""
        if request.ctx is None:
            return None
        return request.signed_in

    def authenticated_userid(self, request: Request) -> int | str | None:
        """The family's number; ``agent:<id>`` for an agent, who may be a parent too."""
        if request.agent is not None:
            return str(request.agent.actor)
        identity = self.identity(request)
        return identity.family_id if identity else None

    def permits(self, request: Request, _context: Any, permission: str) -> Allowed | Denied:
        """`Allowed` if the person at the browser has `permission`, else `Denied`."""
        if permission in OF_THE_OFFICE:
            return _permits_agent(request, permission)
        if permission == PUBLIC:
            # Error pages among them, which must not ask a database that is away.
            return Allowed(permission)
        identity = self.identity(request)
        allowed = (
            identity is not None
            and (permission == PAYER or (permission == PARENT and not identity.by_link))
        )
        return Allowed(permission) if allowed else Denied(permission)

    def remember(self, request: Request, _userid: Any, **kw: Any) -> list[tuple[str, str]]:
        """Sign in by `start_session`, which also renews the CSRF token."""
        raise NotImplementedError

    def forget(self, request: Request, **kw: Any) -> list[tuple[str, str]]:
        """Sign out by `end_session`."""
        raise NotImplementedError


def _permits_agent(request: Request, permission: str) -> Allowed | Denied:
    agent: SignedInAgent | None = request.agent
    if agent is not None and agent.only_regies:
        # Before any view: what is not of these régies is not there for this request.
        request.ctx.limit(agent.only_regies)
        request.town = request.ctx.config
    allowed = agent is not None and (
        permission == AGENT
        or (permission == OFFICE and (agent.may_write or request.method in {"GET", "HEAD"}))
        or (permission == KEYS and agent.can_manage_agents)
        or (permission == REGISSEUR and agent.is_regisseur)
    )
    return Allowed(permission) if allowed else Denied(permission)


def ask_nothing(request: Request) -> None:
    """Show the visitor a stranger's page from here on: the database is not asked who it is."""
    request.signed_in = request.agent = request.family = request.family_id = None
    request.families = []


def asks_for_agent(request: Request) -> bool:
    """True if the permission that was just denied is one of the back office."""
    denial = getattr(request.exception, "result", None)
    return getattr(denial, "s", "") in OF_THE_OFFICE


def at_work(request: Request) -> bool:
    """True if an agent is on the office's own pages."""
    route = request.matched_route
    return route is not None and route.name.startswith("office") and request.agent is not None


def agent(request: Request) -> SignedInAgent | None:
    """The agent at this browser, in this town only. What is done from here on is the agent's."""
    token = request.cookies.get(cookie_name(request, AGENT_COOKIE))
    if request.ctx is None or not token:
        return None
    found: SignedInAgent | None = request.ctx.agent_sessions.recognise(token)
    if found is not None:
        request.ctx.audit.actor = found.actor
    return found


def signed_in(request: Request) -> SignedIn | None:
    """Holder of the cookie's token; None when there is no holder, or when the session ended."""
    token = request.cookies.get(cookie_name(request, COOKIE))
    return request.ctx.web_sessions.recognise(token) if token else None


def session_ended(request: Request) -> bool:
    """True if the browser was signed in once and is no longer."""
    return cookie_name(request, COOKIE) in request.cookies and request.signed_in is None


def family_id(request: Request) -> int:
    """The signed-in family's number (views with permission ``parent`` or ``payer``)."""
    return int(request.signed_in.family_id)


def family(request: Request) -> FamilyInfo | None:
    """The signed-in family, None for visitors and for those who came by a payment link."""
    signed_in: SignedIn | None = request.signed_in if request.ctx is not None else None
    return None if signed_in is None or signed_in.by_link else signed_in.family


def by_link(request: Request) -> bool:
    """True if this browser came by a payment link, and may only pay the link's invoices."""
    found: SignedIn | None = request.signed_in if request.ctx is not None else None
    return found is not None and found.by_link


def families(request: Request) -> list[FamilyInfo]:
    """The families that this session may switch to."""
    if request.family is None:
        return []
    if request.signed_in.account_id is None:
        return [request.family]
    return list(request.ctx.sign_in.families_of(request.signed_in.account_id))


def address(request: Request) -> str:
    """The visitor's IP address, as far as our own proxies vouch for it."""
    hops = request.registry.runtime.settings.proxy_hops
    forwarded = [part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",")]
    if hops and len(forwarded) >= hops and forwarded[-hops]:
        return str(forwarded[-hops])
    return request.remote_addr or ""


def note_sign_in(request: Request, outcome: str) -> None:
    """Log and count an attempt to come in; never who.

    `outcome` is ``in``, ``refused``, ``slowed``, or ``mailed`` for the rest of the way by mail.
    """
    door = request.matched_route.name
    metrics.sign_ins.labels(door, outcome).inc()
    log.info("sign_in", door=door, outcome=outcome)


def refuse_sign_in(request: Request, form: Form, error: WrongCodesError | ThrottledError) -> None:
    """Say on the form itself what was wrong, and how long to wait: what was typed stays."""
    form.form_errors.append(error.message)
    if isinstance(error, ThrottledError):
        note_sign_in(request, "slowed")
        request.response.status_int = 429
        request.response.headers["Retry-After"] = str(error.seconds)
    else:
        note_sign_in(request, "refused")
        request.response.status_int = 422


def start_session(request: Request, response: Response, token: str) -> None:
    """Put a fresh token into the browser; what it held before is worth nothing any more."""
    name = cookie_name(request, COOKIE)
    old = request.cookies.get(name)
    if old:
        request.ctx.web_sessions.close(old)
    request.session.invalidate()
    response.set_cookie(
        name,
        token,
        max_age=ABSOLUTE_END,
        path=request.script_name or "/",
        secure=request.scheme == "https",
        httponly=True,
        samesite="Lax",  # Lax: the parent has to be known when coming back from the provider.
    )


def end_session(request: Request, response: Response) -> None:
    """End the browser's session."""
    name = cookie_name(request, COOKIE)
    token = request.cookies.get(name)
    if token:
        request.ctx.web_sessions.close(token)
    request.session.invalidate()
    _delete_cookie(request, response, name)


def forget_pages(response: Response) -> None:
    """Let the browser throw away what it kept of pages: the next one at it may be a neighbour."""
    response.headers["Clear-Site-Data"] = '"cache", "storage"'


def _delete_cookie(request: Request, response: Response, name: str) -> None:
    # With the attributes it was set with: browsers ignore a word about __Host- without them.
    response.set_cookie(
        name,
        "",
        max_age=0,
        path=request.script_name or "/",
        secure=request.scheme == "https",
        httponly=True,
    )


def let_agent_in(request: Request, response: Response, token: str) -> None:
    """Put an agent's fresh token into the browser; what it held before is worth nothing."""
    let_agent_out(request, response)
    response.set_cookie(
        cookie_name(request, AGENT_COOKIE),
        token,
        max_age=ABSOLUTE_END,
        path=request.script_name or "/",
        secure=request.scheme == "https",
        httponly=True,
        samesite="Strict",  # Nothing outside leads into the back office.
    )


def let_agent_out(request: Request, response: Response) -> None:
    """End the agent's session in this browser."""
    name = cookie_name(request, AGENT_COOKIE)
    token = request.cookies.get(name)
    if token:
        request.ctx.agent_sessions.close(token)
    request.session.invalidate()
    _delete_cookie(request, response, name)


def cookie_name(request: Request, name: str) -> str:
    """A cookie's name. Over TLS its prefix makes browsers refuse what others would plant.

    A town with a host of its own has the whole of it (``__Host-``); by path, several share one.
    """
    if request.scheme != "https":
        return name
    return f"__Secure-{name}" if request.script_name else f"__Host-{name}"


def make_session(request: Request) -> Any:
    """Flash messages and the CSRF token, in a signed cookie of this town's pages only."""
    factory = _session_factory(
        request.registry.runtime.settings.secret_key,
        request.town.slug if request.town else "",
        cookie_name(request, "preau_web"),
        request.script_name or "/",
        request.scheme == "https",
    )
    return factory(request)


@lru_cache(maxsize=4096)
def _session_factory(secret: str, slug: str, name: str, path: str, secure: bool) -> Any:
    return SignedCookieSessionFactory(
        secret,
        # Another town's cookie is nobody's here, whoever carries it over.
        salt=f"preau.web.session/{slug}",
        cookie_name=name,
        path=path,
        secure=secure,
        httponly=True,
        samesite="Lax",
        timeout=None,
        reissue_time=3600,
    )
