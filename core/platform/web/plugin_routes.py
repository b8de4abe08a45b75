"""The part of the configuration that plugins may touch, each within its own walls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.response import Response

from core.platform.db.session import mark_foreign
from core.platform.interruption import errors_only
from core.platform.plugins import process_state
from core.platform.plugins.discovery import Extensions

View = Callable[[Any, Request], Response]


class TownEnables:
    """Route predicate: the town enables this plugin; elsewhere the route does not exist."""

    def __init__(self, plugin: str, _config: Configurator) -> None:
        self._plugin = plugin

    def text(self) -> str:
        """For Pyramid's introspection."""
        return f"town_enables = {self._plugin}"

    phash = text

    def __call__(self, _info: Any, request: Request) -> bool:
        """True if the route exists for this request."""
        return request.town is not None and self._plugin in request.town.enabled


class PluginWeb:
    """`core.api.web.WebConfig` for one plugin."""

    def __init__(self, config: Configurator, plugin: str, package: str) -> None:
        self._config = config
        self._plugin = plugin
        self._package = package

    def add_route(self, name: str, pattern: str) -> None:
        """See `WebConfig.add_route`."""
        self._config.add_route(
            f"{self._plugin}.{name}",
            f"/+{self._plugin}/{pattern.lstrip('/')}",
            town_enables=self._plugin,
        )

    def add_view(
        self,
        view: Callable[..., Any],
        *,
        route: str,
        method: str | tuple[str, ...] = "GET",
        renderer: str | None = None,
        permission: str = "public",
        csrf: bool = True,
    ) -> None:
        """See `WebConfig.add_view`."""
        self._config.add_view(
            view,
            route_name=f"{self._plugin}.{route}",
            request_method=method,
            renderer=f"{self._package}:templates/{renderer}" if renderer else None,
            permission=permission,
            require_csrf=csrf,
            form=csrf,
            decorator=_as_foreign,
        )


def _as_foreign(view: View) -> View:
    """Let a plugin's page leave its connection as it was, and raise nothing but errors."""

    def guarded(context: Any, request: Request) -> Response:
        if request.ctx is not None:
            mark_foreign(request.ctx.session)
        with errors_only(), process_state.kept():
            return view(context, request)

    return guarded


def add_plugins(config: Configurator, extensions: Extensions) -> None:
    """Let each installed plugin add its routes. One that cannot stops the start, by name."""
    everything = frozenset(extensions.plugins)
    for name in extensions.implementers(everything, "configure_web"):
        package = type(extensions.plugins[name]).__module__
        try:
            extensions.call_one(
                everything, name, "configure_web", config=PluginWeb(config, name, package)
            )
            config.commit()
        except (Exception, SystemExit) as error:
            raise RuntimeError(f"plugin {name!r} cannot add its pages: {error}") from error
