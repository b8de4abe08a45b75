"""The application factory."""

from __future__ import annotations

import os
from pathlib import Path

import structlog
from pyramid.config import Configurator
from pyramid.router import Router
from pyramid.tweens import EXCVIEW, INGRESS

from core import rooms
from core.platform.web import scanning, security
from core.platform.web.plugin_routes import TownEnables, add_plugins
from core.runtime import Runtime

log = structlog.get_logger(__name__)


def make_app(runtime: Runtime, *, introspection: bool = True) -> Router:
    """Put the pages together for one process.

    `introspection`: Pyramid remembers how each page was added, for whoever asks its registry.
    """
    scanning.without_source_lines()
    config = Configurator(
        session_factory=security.make_session,
        security_policy=security.Security(),
        default_permission=security.PUBLIC,
        introspection=introspection,
    )
    config.registry.runtime = runtime
    config.set_default_csrf_options(require_csrf=True)
    for name in (
        "address", "agent", "by_link", "families", "family", "family_id", "session_ended",
        "signed_in",
    ):  # fmt: skip
        config.add_request_method(getattr(security, name), name, reify=True)
    config.add_tween("core.platform.web.headers.headers_tween", under=INGRESS)
    config.add_tween(
        "core.platform.web.tenancy.tenancy_tween",
        under="core.platform.web.headers.headers_tween",
        over=EXCVIEW,
    )
    config.add_tween("core.platform.web.transactions.transaction_tween", under=EXCVIEW)
    config.add_route_predicate("town_enables", TownEnables)
    config.add_route_predicate("in_town", InTown)
    if cache := writable(runtime.settings.cache_dir):
        config.add_settings(
            {"jinja2.bytecode_caching": True, "jinja2.bytecode_caching_directory": str(cache)}
        )
    config.include("core.platform.web.rendering")
    for folder in rooms.TEMPLATES:
        config.add_jinja2_search_path(folder)
    config.include("core.platform.web.input_validation")
    config.include("core.platform.web.reading")
    config.include("core.processes.routes")
    config.scan("core.platform.web.views")
    for room in rooms.VIEWS:
        config.scan(room)
    config.commit()
    add_plugins(config, runtime.extensions)
    return config.make_wsgi_app()


def writable(folder: Path | None) -> Path | None:
    """The folder, made if need be; None, and a word in the log, where nothing can be written."""
    if folder is None:
        return None
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        log.warning("cache.not_made", reason=str(error))
        return None
    if not os.access(folder, os.W_OK | os.X_OK):
        log.warning("cache.not_writable", folder=str(folder))
        return None
    return folder


class InTown:
    """Route predicate: the request is for a town (or, False, for none)."""

    def __init__(self, wanted: bool, _config: Configurator) -> None:
        self._wanted = wanted

    def text(self) -> str:
        """For Pyramid's introspection."""
        return f"in_town = {self._wanted}"

    phash = text

    def __call__(self, _info: object, request: object) -> bool:
        """True if the route exists for this request."""
        return (getattr(request, "town", None) is not None) is self._wanted
