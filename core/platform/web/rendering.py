"""Variables that every template is given (core/platform/web/templates/README.md)."""

from __future__ import annotations

import hashlib
from functools import cache, partial
from pathlib import Path

from pyramid.config import Configurator
from pyramid.csrf import get_csrf_token
from pyramid.events import BeforeRender
from pyramid.request import Request
from pyramid_jinja2 import (
    add_jinja2_renderer,
    add_jinja2_search_path,
    get_jinja2_environment,
)

import core
from core.api.web import Audience, MenuEntry
from core.platform.i18n import gettext as _
from core.platform.templating import configure
from core.platform.web import labels as words
from core.platform.web.menus import valid_entries
from core.platform.web.office_menu import office_menu

STATIC = Path(__file__).parent / "static"


def includeme(config: Configurator) -> None:
    """Jinja2, its filters, and the variables of all templates."""
    config.add_settings({"jinja2.undefined": "strict"})
    # What including pyramid_jinja2 does, but for its search of the whole process for the package
    # that includes it: a tenth of a start.
    config.add_directive("add_jinja2_renderer", add_jinja2_renderer)
    config.add_directive("get_jinja2_environment", get_jinja2_environment)
    config.add_directive("add_jinja2_search_path", add_jinja2_search_path)
    config.add_jinja2_renderer(".jinja2", package=core)
    config.commit()
    configure(config.get_jinja2_environment())
    config.add_subscriber(_add_globals, BeforeRender)
    config.add_request_method(
        lambda request: request.ctx.agents.names(), "agent_names", reify=True
    )


def _add_globals(event: BeforeRender) -> None:
    request: Request = event["request"]
    event["asset"] = asset
    if request is None or getattr(request, "ctx", None) is None:
        return
    event["csrf_token"] = get_csrf_token(request)
    event["menu"] = menu(request)
    event["words"] = words
    event["office_menu"] = partial(office_menu, request)
    event["who"] = partial(actor_name, request)
    event["flashes"] = [
        (level, message)
        for level in ("error", "warning", "success", "info")
        # Taking what is not there would write the session's cookie anew.
        if request.session.peek_flash(level)
        for message in request.session.pop_flash(level)
    ]
    event["demo"] = not request.registry.runtime.settings.is_production


def menu(request: Request) -> list[MenuEntry]:
    """The signed-in family's menu: core's entries and the plugins'."""
    if request.family is None:
        return []
    entries = [
        MenuEntry(_("Factures à régler"), "invoices", 10),
        MenuEntry(_("Factures déjà payées"), "paid", 20),
        MenuEntry(_("Attestations fiscales"), "certificates", 30),
        MenuEntry(_("Être averti"), "alerts", 40),
        MenuEntry(_("Mon compte"), "account", 60),
        MenuEntry(_("Aide"), "help", 90),
        *valid_entries(request, Audience.PARENTS),
    ]
    return sorted(entries, key=lambda entry: entry.order)


def actor_name(request: Request, actor: str) -> str:
    """Name of an actor, as agents call each other; `actor` is as the trail keeps it."""
    return words.actor(actor, request.agent_names)


@cache
def asset(path: str) -> str:
    """The URL of a static file, the same for all towns, which changes with its content."""
    digest = hashlib.sha256((STATIC / path).read_bytes()).hexdigest()[:10]
    return f"/static/{path}?v={digest}"
