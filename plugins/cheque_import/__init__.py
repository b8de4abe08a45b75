"""Cheques: import, reconcile, deposit, bounce."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.plugin import (
    Audience,
    MenuEntry,
    MenuGroup,
    MigrationSource,
    PaymentReversed,
    PaymentSettled,
    Plugin,
    RemittanceChanged,
    TenantContext,
    Tenants,
    WebConfig,
    hookimpl,
)
from core.plugin import gettext as _
from plugins.cheque_import.settings import ChequeSettings

if TYPE_CHECKING:
    import click


class ChequeImport(Plugin[ChequeSettings]):
    """The plugin object. What its hooks need is imported when they are called."""

    name = "cheque_import"
    label = "Chèques"
    Settings = ChequeSettings

    @hookimpl
    def configure_web(self, config: WebConfig) -> None:
        """Add the back office's pages."""
        from plugins.cheque_import.views import configure  # noqa: PLC0415

        configure(config)

    @hookimpl
    def commands(self, cli: click.Group, tenants: Tenants) -> None:
        """Add ``preau cheques``."""
        from plugins.cheque_import.commands import cheques  # noqa: PLC0415

        cheques.context_settings = {"obj": tenants}
        cli.add_command(cheques)

    @hookimpl
    def migrations(self) -> MigrationSource:
        """The tables of cheques."""
        return MigrationSource(Path(__file__).parent / "migrations" / "versions")

    @hookimpl
    def payment_settled(self, ctx: TenantContext, event: PaymentSettled) -> None:
        """A cheque that was taken at the counter goes on the numbered slip with the others."""
        from plugins.cheque_import.intake import Intake  # noqa: PLC0415
        from plugins.cheque_import.records import Hasher  # noqa: PLC0415

        key = ctx.settings(self).account_key.get_secret_value()
        Intake(ctx, Hasher(key, ctx.town.slug)).taken_at_counter(event.payment_id)

    @hookimpl
    def payment_reversed(self, ctx: TenantContext, event: PaymentReversed) -> None:
        """A cheque whose payment was taken back on core's own page is to review again."""
        from plugins.cheque_import.desk import Desk  # noqa: PLC0415

        desk = Desk(ctx, ctx.settings(self), actor="core")
        desk.reversed_elsewhere(event.payment_id, event.reason)

    @hookimpl
    def means_corrected(self, ctx: TenantContext, payment_id: int, means: str) -> str | None:
        """A cheque that was none leaves the pile, unless a slip has it; and the other way round."""
        from plugins.cheque_import.intake import Intake  # noqa: PLC0415
        from plugins.cheque_import.records import Hasher  # noqa: PLC0415

        key = ctx.settings(self).account_key.get_secret_value()
        intake = Intake(ctx, Hasher(key, ctx.town.slug))
        return intake.means_corrected(payment_id, means, actor="core")

    @hookimpl
    def remittance_changed(self, ctx: TenantContext, event: RemittanceChanged) -> None:
        """The cheques of a remittance are a numbered slip, and off it when it is cancelled."""
        from plugins.cheque_import.intake import Intake  # noqa: PLC0415
        from plugins.cheque_import.records import Hasher  # noqa: PLC0415
        from plugins.cheque_import.slips import Slips  # noqa: PLC0415

        settings = ctx.settings(self)
        intake = Intake(ctx, Hasher(settings.account_key.get_secret_value(), ctx.town.slug))
        Slips(ctx, settings, actor="core").follow(event.remittance_id, intake)

    @hookimpl
    def family_data(self, ctx: TenantContext, family_id: int) -> dict[str, Any] | None:
        """The cheques that paid for the family."""
        from plugins.cheque_import import households  # noqa: PLC0415

        return households.data(ctx, family_id)

    @hookimpl
    def family_erased(self, ctx: TenantContext, family_id: int) -> None:
        """The names on its cheques, and whose accounts they were."""
        from plugins.cheque_import import households  # noqa: PLC0415

        households.erase(ctx, family_id)

    @hookimpl
    def families_merged(self, ctx: TenantContext, kept: int, gone: int) -> None:
        """The cheques of both."""
        from plugins.cheque_import import households  # noqa: PLC0415

        households.merge(ctx, kept, gone)

    @hookimpl
    def menu_entries(self, ctx: TenantContext, audience: Audience) -> Sequence[MenuEntry]:
        """An entry in the office's menu, where the town has a régie that collects."""
        if audience is not Audience.OFFICE or not any(r.collects for r in ctx.town.regies):
            return ()
        return (MenuEntry(_("Chèques"), "cheque_import.queue", order=30, group=MenuGroup.COLLECT),)


plugin = ChequeImport()
