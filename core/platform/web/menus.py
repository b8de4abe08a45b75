"""Entries of menus that plugins bring."""

from __future__ import annotations

from pyramid.request import Request

from core.api.web import Audience, MenuEntry
from core.platform.plugins.calls import report_fault


def valid_entries(request: Request, audience: Audience) -> list[MenuEntry]:
    """The plugins' entries that lead somewhere; a wrong route costs its entry, not the page."""
    found = []
    for entry in request.ctx.menu(audience):
        try:
            request.route_path(entry.route)
        except KeyError as error:
            report_fault(entry.route.partition(".")[0], "menu_entries", error)
            continue
        found.append(entry)
    return found
