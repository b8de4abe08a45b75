"""PayFiP, the DGFiP's payment service, as a plugin of Préau."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import click

from core.plugin import (
    Audience,
    HealthCheck,
    MenuEntry,
    MenuGroup,
    PaymentProvider,
    Plugin,
    TenantContext,
    Tenants,
    WebConfig,
    hookimpl,
)
from core.plugin import gettext as _
from plugins.payfip import commands
from plugins.payfip.checking import check, moved, page_problem
from plugins.payfip.clients import Clients
from plugins.payfip.provider import KEY, PayFiPProvider
from plugins.payfip.settings import PayFiPSettings, Regie

if TYPE_CHECKING:
    from plugins.payfip.client import Client


class PayFiP(Plugin[PayFiPSettings]):
    """The plugin object."""

    name: ClassVar[str] = KEY
    label: ClassVar[str] = "PayFiP"
    Settings = PayFiPSettings

    def __init__(self, clients: Clients | None = None) -> None:
        self._clients = clients or Clients()
        # A prefork worker inherits this object, and must not talk over its parent's sockets.
        os.register_at_fork(after_in_child=self._clients.forget)

    def open(self, ctx: TenantContext) -> tuple[PayFiPSettings, Client]:
        """The town's settings, and the process's client of the service they name."""
        settings = ctx.settings(self)
        client = self._clients.get(
            settings.service_url,
            connect_timeout=settings.connect_timeout,
            read_timeout=settings.read_timeout,
        )
        return settings, client

    @hookimpl
    def payment_providers(self, ctx: TenantContext) -> Sequence[PaymentProvider]:
        """PayFiP, where a régie is set up for it."""
        settings, client = self.open(ctx)
        return [PayFiPProvider(settings, client, ctx.clock)] if settings.regies else []

    @hookimpl
    def configure_web(self, config: WebConfig) -> None:
        """The address that PayFiP notifies, and the comparison of journals."""
        from plugins.payfip import views  # noqa: PLC0415 - where there are pages

        config.add_route("notification", "notification")
        config.add_view(
            views.notification, route="notification", method=("GET", "POST"), csrf=False
        )
        config.add_route("journal", "journal")
        for view, method in ((views.journal_page, "GET"), (views.journal, "POST")):
            config.add_view(
                view,
                route="journal",
                method=method,
                renderer="journal.jinja2",
                permission="office",
            )

    @hookimpl
    def menu_entries(self, audience: Audience) -> Sequence[MenuEntry]:
        """The comparison of journals, for the régie."""
        if audience is not Audience.OFFICE:
            return []
        return [MenuEntry(_("Journal PayFiP"), "payfip.journal", 60, group=MenuGroup.ACCOUNTS)]

    @hookimpl
    def commands(self, cli: click.Group, tenants: Tenants) -> None:
        """``payfip`` and ``payfip-simulator``."""
        for command in commands.build(self.open, tenants.open):
            cli.add_command(command)

    @hookimpl
    def health_checks(self, ctx: TenantContext) -> Sequence[HealthCheck]:
        """Checks that PayFiP answers for each régie, and that the payment page has not moved."""
        settings, client = self.open(ctx)
        checks = [
            HealthCheck(f"PayFiP {key}", _problem(client, regie))
            for key, regie in settings.regies.items()
        ]
        if checks:
            words = _("PayFiP, page de paiement")
            checks.append(HealthCheck(words, partial(page_problem, settings)))
        return checks


def _problem(client: Client, regie: Regie) -> Callable[[], str]:
    def ask() -> str:
        found = check(client, regie)
        return moved(client) if found.open else found.words

    return ask


plugin = PayFiP()
