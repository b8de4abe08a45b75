"""The menu of the back office: what an agent does, in groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyramid.request import Request

from core.api.web import Audience, MenuEntry, MenuGroup
from core.platform.i18n import gettext as _
from core.platform.web.menus import valid_entries


@dataclass(frozen=True, slots=True)
class Item:
    """An entry of the menu as it is shown: `current` is "page", "true" (a page below it) or ""."""

    label: str
    url: str
    current: str


@dataclass(frozen=True, slots=True)
class Group:
    """Entries under one heading; an entry without a heading stands alone."""

    label: str
    items: Sequence[Item]

    @property
    def is_current(self) -> bool:
        """True if the page at hand is one of the group's, or below one."""
        return any(item.current for item in self.items)


def office_menu(request: Request) -> list[Group]:
    """The agent's menu: core's entries and the plugins', in their groups."""
    if request.agent is None:
        return []
    entries = [*_own(request), *valid_entries(request, Audience.OFFICE)]
    here = _nearest(request, [request.route_path(entry.route) for entry in entries])
    first = MenuEntry(_("Tableau de bord"), "office")
    groups = [Group("", [_item(request, first, here)])]
    for group, label in _labels().items():
        mine = sorted((e for e in entries if e.group == group), key=lambda entry: entry.order)
        if mine:
            groups.append(Group(label, [_item(request, entry, here) for entry in mine]))
    return groups


def _own(request: Request) -> list[MenuEntry]:
    def entry(group: MenuGroup, order: int, label: str, route: str) -> MenuEntry:
        return MenuEntry(label, route, order, group=group)

    entries = [
        entry(MenuGroup.COLLECT, 10, _("Guichet"), "office_desk"),
        entry(MenuGroup.COLLECT, 20, _("Paiements"), "office_payments"),
        entry(MenuGroup.COLLECT, 40, _("Prélèvements"), "office_debits"),
        entry(MenuGroup.INVOICES, 10, _("Factures"), "office_invoices"),
        entry(MenuGroup.INVOICES, 20, _("Imports"), "office_imports"),
        entry(MenuGroup.INVOICES, 30, _("Rappels"), "office_reminders"),
        entry(MenuGroup.FAMILIES, 10, _("Familles"), "office_families"),
        entry(MenuGroup.FAMILIES, 20, _("Messages aux familles"), "office_broadcasts"),
        entry(MenuGroup.FAMILIES, 30, _("Actualités"), "office_news_list"),
        entry(MenuGroup.ACCOUNTS, 10, _("Comptes"), "office_accounts"),
        entry(MenuGroup.ACCOUNTS, 20, _("Caisse et versements"), "office_remittances"),
        entry(MenuGroup.ACCOUNTS, 30, _("Transmission à la trésorerie"), "office_handovers"),
        entry(MenuGroup.ACCOUNTS, 40, _("Recettes à classer"), "office_credits"),
        entry(MenuGroup.ACCOUNTS, 50, _("Paiements en ligne et compte"), "office_bank"),
        entry(MenuGroup.ACCOUNTS, 80, _("Régisseur et mandataires"), "office_officers"),
        entry(MenuGroup.SETTINGS, 10, _("État du portail"), "office_health"),
        entry(MenuGroup.SETTINGS, 20, _("Envois en échec"), "office_outbox"),
    ]
    if request.agent.can_manage_agents:
        entries += [
            entry(MenuGroup.SETTINGS, 60, _("Agents"), "office_agents"),
            entry(MenuGroup.SETTINGS, 70, _("Traçabilité"), "office_audit"),
        ]
    if request.agent.is_regisseur and not request.agent.only_regies:
        entries.append(
            entry(MenuGroup.SETTINGS, 80, _("Durées de conservation"), "office_retention")
        )
    return entries


def _labels() -> dict[MenuGroup, str]:
    """The groups in their order, with their headings."""
    return {
        MenuGroup.COLLECT: _("Encaisser"),
        MenuGroup.INVOICES: _("Factures"),
        MenuGroup.FAMILIES: _("Familles"),
        MenuGroup.ACCOUNTS: _("Comptes"),
        MenuGroup.OTHER: _("Autres"),
        MenuGroup.SETTINGS: _("Réglages"),
    }


def _nearest(request: Request, urls: Sequence[str]) -> str:
    """The entry of the page at hand, or that it stands below: the one with the longest address."""
    above = [url for url in urls if f"{request.path}/".startswith(f"{url.rstrip('/')}/")]
    return max(above, key=len, default="")


def _item(request: Request, entry: MenuEntry, here: str) -> Item:
    url = request.route_path(entry.route)
    current = "page" if request.path == url else "true" if url == here else ""
    return Item(entry.label, url, current)
