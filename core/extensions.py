"""Plugins: finding them, one manager for each set of enabled ones, and containing their faults."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pluggy
import structlog
from prometheus_client import Counter
from pydantic import BaseModel

from core import hookspecs, i18n
from core.api.plugin import PROJECT, Plugin

GROUP = "preau.plugins"
log = structlog.get_logger(__name__)
faults = Counter("preau_plugin_faults_total", "Contained faults of plugins", ["plugin", "hook"])


class PluginLoadError(Exception):
    """An installed plugin does not load. Nothing starts without it: its towns would be broken."""


class Extensions:
    """The installed plugins, and a manager for each set of enabled ones.

    What is not registered with a manager cannot be called: a town's manager knows only the plugins
    that the town enables.
    """

    def __init__(self, plugins: Mapping[str, Plugin[Any]]) -> None:
        self.plugins = dict(sorted(plugins.items()))
        self.installed = self._manager(frozenset(self.plugins))
        self._managers: dict[frozenset[str], pluggy.PluginManager] = {}

    @classmethod
    def discover(cls) -> Extensions:
        """Load every plugin that an installed distribution declares by entry point."""
        plugins = {}
        for point in entry_points(group=GROUP):
            try:
                plugins[point.name] = point.load()
            except Exception as error:
                raise PluginLoadError(f"plugin {point.name!r} does not load: {error}") from error
            _add_words(plugins[point.name])
        return cls(plugins)

    def _manager(self, enabled: frozenset[str]) -> pluggy.PluginManager:
        manager = pluggy.PluginManager(PROJECT)
        manager.add_hookspecs(hookspecs)
        # Sorted, so that the order of calls is the same in every process.
        for name in sorted(enabled):
            manager.register(self.plugins[name], name)
        manager.check_pending()
        return manager

    def manager_for(self, enabled: frozenset[str]) -> pluggy.PluginManager:
        """The manager of exactly these plugins, made once a set."""
        manager = self._managers.get(enabled)
        if manager is None:
            manager = self._managers[enabled] = self._manager(enabled)
        return manager

    def settings_models(self) -> dict[str, type[BaseModel]]:
        """Each installed plugin's settings model, by name."""
        return {name: plugin.Settings for name, plugin in self.plugins.items()}

    def built_in(self) -> dict[str, BaseModel]:
        """Default settings of the plugins that every town has."""
        return {name: plugin.Settings() for name, plugin in self.plugins.items() if plugin.built_in}

    def implementers(self, enabled: frozenset[str], hook: str) -> list[str]:
        """Names of the enabled plugins that implement `hook`, sorted."""
        manager = self.manager_for(enabled)
        caller = getattr(manager.hook, hook)
        return sorted(impl.plugin_name for impl in caller.get_hookimpls())

    def call_one(self, enabled: frozenset[str], name: str, hook: str, **kwargs: Any) -> Any:
        """Call `hook` of one plugin; its exceptions pass. None if it does not implement it."""
        manager = self.manager_for(enabled)
        others = [p for n, p in manager.list_name_plugin() if n != name and p is not None]
        results = manager.subset_hook_caller(hook, others)(**kwargs)
        return results[0] if results else None

    def contained(
        self, enabled: frozenset[str], hook: str, **kwargs: Any
    ) -> Iterator[tuple[str, Any]]:
        """Call `hook` plugin by plugin: one that raises is logged, counted and left out."""
        for name in self.implementers(enabled, hook):
            try:
                result = self.call_one(enabled, name, hook, **kwargs)
            except Exception:
                faults.labels(name, hook).inc()
                log.exception("plugin.fault", plugin=name, hook=hook)
                continue
            yield name, result


def _add_words(plugin: Plugin[Any]) -> None:
    """Let a plugin speak other languages: its catalogues lie in ``locale`` beside its module."""
    file = sys.modules[type(plugin).__module__].__file__
    if file and (directory := Path(file).parent / "locale").is_dir():
        i18n.add_directory(directory)


@cache
def discovered() -> Extensions:
    """The extensions of this process."""
    return Extensions.discover()


def installed() -> pluggy.PluginManager:
    """The manager of all installed plugins, for process-wide hooks."""
    return discovered().installed
