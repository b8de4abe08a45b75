"""Plugins: finding them, one manager for each set of enabled ones, and containing their faults."""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Callable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import EntryPoint, entry_points
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import pluggy
from pydantic import BaseModel

from core import hookspecs
from core.api.chat import ChatRule
from core.api.checked import exactly
from core.api.context import TenantContext
from core.api.groups import GroupField
from core.api.messages import ChannelCapabilities
from core.api.plugin import PROJECT, HealthCheck, Plugin
from core.api.web import MenuEntry, MenuGroup, TileLine, TodoEntry
from core.platform import i18n
from core.platform.plugins.calls import ContractError, batch_calls, contain
from core.platform.plugins.rests import FaultError
from core.platform.plugins.visits import Access

GROUP = "preau.plugins"

_asked: ContextVar[frozenset[str]] = ContextVar("_asked", default=frozenset())
"""The hooks that are being asked, from here up."""


class PluginLoadError(Exception):
    """An installed plugin does not load. Nothing starts without it: its towns would be broken."""


class Host(TenantContext, Protocol):
    """A town that hooks are called in."""

    @property
    def guest(self) -> TenantContext:
        """The same town for code that must not have its session."""
        ...


_NO_CAPABILITIES = ChannelCapabilities()


@dataclass(frozen=True, slots=True)
class Brought:
    """An object that a plugin brings, with the key and the label that it had then."""

    plugin: str
    key: str
    label: str
    built_in: bool
    it: Any
    rules: tuple[ChatRule, ...] = ()
    """Of a skill: the words by which it is recognised."""
    capabilities: ChannelCapabilities = _NO_CAPABILITIES
    """Of a channel."""
    fields: tuple[GroupField, ...] = ()
    """Of a group of families: what an agent chooses."""


class Extensions:
    """The installed plugins, and a manager for each set of enabled ones.

    What is not registered with a manager cannot be called: a town's manager knows only the plugins
    that the town enables.
    """

    def __init__(self, plugins: Mapping[str, Plugin[Any]]) -> None:
        self.plugins = dict(sorted(plugins.items()))
        for plugin in self.plugins.values():
            _add_words(plugin)
        self.installed = self._manager(frozenset(self.plugins))
        self._managers: dict[frozenset[str], pluggy.PluginManager] = {}
        self._callers: dict[tuple[frozenset[str], str], Mapping[str, pluggy.HookCaller]] = {}

    @classmethod
    def discover(cls) -> Extensions:
        """Load every plugin that an installed distribution declares by entry point."""
        plugins: dict[str, Plugin[Any]] = {}
        homes: dict[str, str] = {}
        for point in entry_points(group=GROUP):
            home = point.dist.name if point.dist else "?"
            if homes.setdefault(point.name, home) != home:
                # Either could stand in for the other, unseen: a payment plugin above all.
                raise PluginLoadError(
                    f"plugin {point.name!r} is installed twice, by {homes[point.name]} and {home}"
                )
            plugins[point.name] = _loaded(point)
        return cls(plugins)

    def _manager(self, enabled: frozenset[str]) -> pluggy.PluginManager:
        manager = pluggy.PluginManager(PROJECT)
        manager.add_hookspecs(hookspecs)
        # Sorted, so that the order of calls is the same in every process.
        for name in sorted(enabled):
            try:
                manager.register(self.plugins[name], name)
                manager.check_pending()
            except pluggy.PluginValidationError as error:
                raise PluginLoadError(f"plugin {name!r} does not load: {error}") from error
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
        return list(self._callers_of(enabled, hook))

    def call_one(self, enabled: frozenset[str], name: str, hook: str, **kwargs: Any) -> Any:
        """Call `hook` of one plugin; its exceptions pass. None if it does not implement it."""
        caller = self._callers_of(enabled, hook).get(name)
        results = caller(**kwargs) if caller else ()
        return results[0] if results else None

    def _callers_of(self, enabled: frozenset[str], hook: str) -> Mapping[str, pluggy.HookCaller]:
        """Caller of `hook` for each plugin that implements it, and for no other; made once."""
        callers = self._callers.get((enabled, hook))
        if callers is None:
            manager = self.manager_for(enabled)
            plugins = dict(manager.list_name_plugin())
            found = sorted(i.plugin_name for i in getattr(manager.hook, hook).get_hookimpls())
            callers = self._callers[enabled, hook] = {
                name: manager.subset_hook_caller(hook, [p for n, p in plugins.items() if n != name])
                for name in found
            }
        return callers

    def contained(
        self, enabled: frozenset[str], hook: str, *, ctx: Host, only: str = "", **kwargs: Any
    ) -> list[tuple[str, list[Any]]]:
        """Call a hook that gives a list, plugin by plugin, or of the plugin `only`.

        One that raises, hangs or answers nonsense is logged, counted and left out. What is built in
        is code of our own: it is not waited for in another thread, and has the session of `ctx`. A
        plugin that asks, in a hook, what the hook gives is told of nothing: it would ask itself.
        """
        if hook in _asked.get():
            return []

        def ask(*, ours: bool) -> list[tuple[str, list[Any]]]:
            found = []
            for name in asked:
                if self.plugins[name].built_in == ours:
                    context = ctx if ours else ctx.guest
                    call = partial(self.call_one, enabled, name, hook, ctx=context, **kwargs)
                    with suppress(FaultError):
                        items = contain(
                            name,
                            hook,
                            partial(_listed, hook, name, call, built_in=ours),
                            town=ctx.town.slug,
                            access=Access.NONE if hook in _FROM_SETTINGS else Access.READ,
                            here=ours,
                        )
                        found.append((name, items))
            return found

        asked = [name for name in self.implementers(enabled, hook) if only in {"", name}]
        token = _asked.set(_asked.get() | {hook})
        try:
            found = ask(ours=True)
            if not all(self.plugins[name].built_in for name in asked):
                found += batch_calls(partial(ask, ours=False))
            return found
        finally:
            _asked.reset(token)


MAX_ITEMS_OF_HOOK = 200
"""Things that a plugin may give at a time: a generator without end must not fill the memory."""
LINE_CHARACTERS = 200
"""Maximum length of a line on a tile, or about a task that waits for the agents."""
LABEL_CHARACTERS = 80
"""Maximum length of a word for a menu, a list or a button."""
NAME_CHARACTERS = 200
"""Maximum length of the name of a route, or of a question about health."""

_FROM_SETTINGS = frozenset(
    {"menu_entries", "message_kinds", "chat_skills", "record_imports"}
)
"""Hooks that are answered from the settings alone."""

_MEMBERS = {
    "invoice_sources": ("read",),
    "payment_providers": ("capabilities", "start", "outcome"),
    "notification_channels": ("addresses", "deliver"),
    "message_kinds": ("write",),
    "family_groups": ("describe", "families"),
    "chat_skills": ("answer", "press"),
    "record_imports": ("read", "merge", "undo"),
}
"""Methods that the objects from a hook must have, besides a key and a label."""


def _listed(
    hook: str, plugin: str, call: Callable[[], Any], *, built_in: bool
) -> list[Any]:
    """Items that a hook gave, as the hook's specification says.

    Raises:
        ContractError: a part of it is not.
    """
    items = list(islice(call() or (), MAX_ITEMS_OF_HOOK + 1))
    if len(items) > MAX_ITEMS_OF_HOOK:
        raise ContractError(f"gave more than {MAX_ITEMS_OF_HOOK}")
    return [_meant(hook, plugin, item, built_in=built_in) for item in items]


def _meant(hook: str, plugin: str, item: Any, *, built_in: bool) -> Any:
    """An item, its words as they are now: a property may say something else each time."""
    match hook:
        case "menu_entries" if (
            isinstance(item, MenuEntry)
            and isinstance(item.order, int)
            and isinstance(item.group, MenuGroup)
        ):
            return MenuEntry(
                _words(item.label, LABEL_CHARACTERS),
                _words(item.route, NAME_CHARACTERS, may_be_empty=True),
                int(item.order),
                _words(item.about, LINE_CHARACTERS, may_be_empty=True),
                item.group,
            )
        case "tile_lines" if isinstance(item, TileLine):
            return TileLine(
                _words(item.route, NAME_CHARACTERS), _words(item.text, LINE_CHARACTERS)
            )
        case "todo_entries" if isinstance(item, TodoEntry) and type(item.count) is int:
            return TodoEntry(
                item.count,
                _words(item.text, LINE_CHARACTERS),
                _words(item.action, LABEL_CHARACTERS),
                _words(item.route, NAME_CHARACTERS),
                {
                    _words(name, LABEL_CHARACTERS): _words(value, LINE_CHARACTERS)
                    for name, value in dict(item.query).items()
                },
                bool(item.is_urgent),
            )
        case "health_checks" if isinstance(item, HealthCheck) and callable(item.check):
            return HealthCheck(_words(item.name, NAME_CHARACTERS), item.check)
        case "menu_entries" | "health_checks" | "tile_lines" | "todo_entries":
            raise ContractError(f"gave {item!r:.80}")
    key = _words(getattr(item, "key", None), LABEL_CHARACTERS)
    label = _words(getattr(item, "label", None), LABEL_CHARACTERS)
    if not (key.isascii() and key.isidentifier()):
        raise ContractError(f"gave a key that is no name: {key!r}")
    for member in _MEMBERS[hook]:
        if not callable(getattr(item, member, None)):
            raise ContractError(f"gave {item!r:.80}, which cannot {member}")
    rules = rules_of(item) if hook == "chat_skills" else ()
    capabilities = _NO_CAPABILITIES
    if hook == "notification_channels":
        capabilities = getattr(item, "capabilities", _NO_CAPABILITIES)
        if not isinstance(capabilities, ChannelCapabilities):
            raise ContractError(f"gave {capabilities!r:.80} for a channel's capabilities")
        capabilities = exactly(ChannelCapabilities, capabilities)
    fields = fields_of(item) if hook == "family_groups" else ()
    return Brought(plugin, key, label, built_in, item, rules, capabilities, fields)


MAX_FIELDS = 8
"""Fields of a group of families."""
MAX_CHOICES = 1000
"""Choices of one field."""
PAIR = 2
"""A choice's value and its label."""


def fields_of(item: Any) -> tuple[GroupField, ...]:
    """Fields of a group of families.

    Raises:
        ContractError: they are none.
    """
    fields = tuple(islice(item.fields, MAX_FIELDS + 1))
    if len(fields) > MAX_FIELDS or not all(isinstance(field, GroupField) for field in fields):
        raise ContractError(f"gave {fields!r:.80} for the fields of a group")
    fields = tuple(exactly(GroupField, field) for field in fields)
    for field in fields:
        if not (field.key.isascii() and field.key.isidentifier()):
            raise ContractError(f"gave a field's key that is no name: {field.key!r}")
        _words(field.label, LABEL_CHARACTERS)
        if len(field.choices) > MAX_CHOICES:
            raise ContractError(f"gave {len(field.choices)} choices")
        for choice in field.choices:
            if len(choice) != PAIR:
                raise ContractError(f"gave {choice!r:.80} for a choice")
            for words in choice:
                _words(words, NAME_CHARACTERS)
    if len({field.key for field in fields}) < len(fields):
        raise ContractError("gave two fields of one key")
    return fields


MAX_PHRASES = 300
_PHRASE = re.compile(r"[a-z0-9?]+\*?(?: [a-z0-9?]+\*?)*")


def rules_of(item: Any) -> tuple[ChatRule, ...]:
    """The words by which a skill is recognised.

    Phrases, no regular expressions: a bad one would stand still in every chat of the process, and
    nothing can interrupt it.

    Raises:
        ContractError: they are none.
    """
    rules = list(islice(item.rules, MAX_ITEMS_OF_HOOK + 1))
    sound = 0 < len(rules) <= MAX_ITEMS_OF_HOOK
    if not sound or not all(isinstance(rule, ChatRule) for rule in rules):
        raise ContractError(f"gave {item!r:.80}, whose rules are no 1 to {MAX_ITEMS_OF_HOOK} rules")
    rules = [exactly(ChatRule, rule) for rule in rules]
    for rule in rules:
        phrases = (*rule.phrases, *rule.unless)
        if not rule.phrases or len(phrases) > MAX_PHRASES:
            raise ContractError(f"gave a rule of {len(phrases)} phrases")
        for phrase in phrases:
            if len(phrase) > NAME_CHARACTERS or not _PHRASE.fullmatch(phrase):
                raise ContractError(f"gave {phrase!r:.80}, which is no phrase of plain words")
    return tuple(rules)


def _words(value: Any, most: int, *, may_be_empty: bool = False) -> str:
    """Words that fit where they are shown: on one line.

    Raises:
        ContractError: they do not.
    """
    if not isinstance(value, str):
        raise ContractError(f"gave {value!r:.80} for words")
    words = str.__str__(value)
    if len(words) > most or not (words.strip() or may_be_empty):
        raise ContractError(f"gave {words!r:.80}: {len(words)} characters, 1 to {most} are shown")
    if any(unicodedata.category(character) in _UNSEEN for character in words):
        raise ContractError(f"gave {words!r:.80}, with characters that are not to be seen")
    return words


_UNSEEN = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Controls, halves of characters, ends of lines and paragraphs."""


def _loaded(point: EntryPoint) -> Plugin[Any]:
    try:
        plugin = point.load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise PluginLoadError(
            f"plugin {point.name!r} does not load: {type(error).__name__}: {error}"
        ) from error
    if not isinstance(plugin, Plugin):
        raise PluginLoadError(
            f"plugin {point.name!r} does not load: {point.value} is no instance of Plugin"
        )
    if not isinstance(getattr(plugin, "label", None), str) or not _is_model(plugin):
        raise PluginLoadError(
            f"plugin {point.name!r} does not load: it has no `label`, or no model `Settings`"
        )
    if getattr(plugin, "name", None) != point.name:
        raise PluginLoadError(
            f"plugin {point.name!r} does not load: it calls itself {getattr(plugin, 'name', '')!r}"
        )
    return plugin


def _is_model(plugin: Plugin[Any]) -> bool:
    model = getattr(plugin, "Settings", None)
    return isinstance(model, type) and issubclass(model, BaseModel)


def _add_words(plugin: Plugin[Any]) -> None:
    """Let a plugin speak other languages: its catalogues lie in ``locale`` beside its module."""
    file = getattr(sys.modules.get(type(plugin).__module__), "__file__", None)
    if file and (directory := Path(file).parent / "locale").is_dir():
        i18n.add_directory(directory)


@cache
def discovered() -> Extensions:
    """The extensions of this process."""
    return Extensions.discover()


def installed() -> pluggy.PluginManager:
    """The manager of all installed plugins, for process-wide hooks."""
    return discovered().installed
