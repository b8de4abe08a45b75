"""Elements that plugins may add to the pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol


class Audience(StrEnum):
    """Place where an entry stands."""

    PARENTS = "parents"
    """In the families' menu."""
    OFFICE = "office"
    """In the agents' menu."""
    ALERTS = "alerts"
    """On the families' page *Être averti*: another way to be told than e-mail."""


class MenuGroup(StrEnum):
    """Heading under which an entry stands in the agents' menu."""

    COLLECT = "collect"
    """*Encaisser*: money that comes in."""
    INVOICES = "invoices"
    """*Factures*: invoices, their files, reminders."""
    FAMILIES = "families"
    """*Familles*: families, and what they are told or offered."""
    ACCOUNTS = "accounts"
    """*Comptes*: the books, statements, comparisons."""
    OTHER = "other"
    """*Autres*: shown only if there is something in it."""
    SETTINGS = "settings"
    """*Réglages*: how the portal works, and how it is."""


@dataclass(frozen=True, slots=True)
class MenuEntry:
    """An entry of a menu or list. `route` is a route name; `order` sorts (core uses 10, 20...)."""

    label: str
    route: str
    order: int = 50
    about: str = ""
    """A line below the label on the tile of the families' menu: what the page is for."""
    group: MenuGroup = MenuGroup.OTHER
    """Its heading, in the agents' menu; `order` sorts within the group."""


@dataclass(frozen=True, slots=True)
class TileLine:
    """A line about one family, in place of `MenuEntry.about`, on the tile that leads to `route`."""

    route: str
    text: str


@dataclass(frozen=True, slots=True)
class TodoEntry:
    """Something that waits for an agent, under *À faire* on their first page.

    `text` is a whole phrase with its count in it ("3 demandes en attente"); `action` is the link's
    words, and the link leads to `route` with `query`. Nothing is shown when `count` is 0.
    """

    count: int
    text: str
    action: str
    route: str
    query: Mapping[str, str] = field(default_factory=dict)
    is_urgent: bool = False


class WebConfig(Protocol):
    """The part of the application's configuration that a plugin may touch.

    Every route is named ``<plugin>.<name>``, stands under ``/+<plugin>/`` and answers 404 in a
    town that has not enabled the plugin.
    """

    def add_route(self, name: str, pattern: str) -> None:
        """Add the route `name` at ``/+<plugin>/<pattern>``."""
        ...

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
        """Attach a view to one of the plugin's own routes.

        `renderer` names a template in the plugin's ``templates`` folder. `csrf` may only be False
        for a webhook, which must prove itself otherwise; its body is then the view's to read,
        whatever its type and encoding (`request.POST` may raise).
        """
        ...
