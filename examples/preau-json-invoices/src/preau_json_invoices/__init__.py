"""Invoices from a file of JSON lines: an example of a plugin of Préau."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from core.plugin import InvoiceSource, Plugin, PluginSettings, TenantContext, hookimpl
from preau_json_invoices.source import JsonSource


class JsonSettings(PluginSettings):
    """``[plugins.json_invoices]`` of a town's tenant.toml."""

    regie: str
    """The régie whose invoices these are."""
    service: str = ""
    """The service whose lines are read; all others are left out. "": there is one only."""
    days_to_pay: int = Field(default=30, ge=0, le=365)


class JsonInvoices(Plugin[JsonSettings]):
    """The plugin object: one for all towns, so it keeps nothing of any of them."""

    name = "json_invoices"
    label = "Factures JSON"
    version = "0.1.0"
    Settings = JsonSettings

    @hookimpl
    def invoice_sources(self, ctx: TenantContext) -> Sequence[InvoiceSource]:
        """The reader of this town's files."""
        settings = ctx.settings(self)
        return [JsonSource(settings.regie, settings.service, settings.days_to_pay)]


plugin = JsonInvoices()
