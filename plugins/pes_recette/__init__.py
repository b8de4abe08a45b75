"""Invoices from PES V2 recette files, a plugin of Préau."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ConfigDict, Field, model_validator

from core.plugin import (
    HealthCheck,
    InvoiceSource,
    Plugin,
    PluginSettings,
    TaxKind,
    TenantContext,
    hookimpl,
)
from core.plugin import gettext as _


class Product(BaseModel):
    """Meaning of a product code (``CodProdLoc``) in this town."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    regie: str = ""
    """The régie whose invoices have it on their first line; "": that of the settings."""
    tax: TaxKind = TaxKind.OTHER
    """Kind of the product for the income tax. Nothing in PES says it, and nothing is guessed."""


class PesSettings(PluginSettings):
    """``[plugins.pes_recette]`` of a town's tenant.toml."""

    regie: str = ""
    """The régie of products that are not listed; "": those are left out, counted and shown."""
    products: Mapping[str, Product] = Field(default_factory=dict)
    """The régies' own products by code, as ``[plugins.pes_recette.products.RS01]``."""
    only_listed: bool = False
    """True if `regie` is only for listed products that name none; all others are left out."""
    days_to_pay: int = Field(default=30, ge=0, le=365)
    """PES has no due date: so many days after the notice (``DteAsp``), else after the slip."""
    income_code: str = Field(default="", pattern=r"^[A-Z0-9]{0,2}$")
    """The *code recette* that the town prints in PayFiP's reference; "": no reference is made."""
    siret: str = Field(default="", pattern=r"^(\d{14})?$")
    """The town's own number: a file of another town (``IdColl``) is then refused."""

    @model_validator(mode="after")
    def _leads_somewhere(self) -> PesSettings:
        if not self.regie and not self.products:
            raise ValueError("name a regie, or products")
        if not self.regie and not all(product.regie for product in self.products.values()):
            raise ValueError("a product without a regie needs one for all")
        return self


class PesRecette(Plugin[PesSettings]):
    """The plugin object: one for all towns, so it keeps nothing of any of them."""

    name = "pes_recette"
    label = "PES V2 recette"
    version = "0.1.0"
    Settings = PesSettings

    @hookimpl
    def invoice_sources(self, ctx: TenantContext) -> Sequence[InvoiceSource]:
        """The reader of this town's files."""
        # Here, not above: a process that imports no file need not load the XML library.
        from plugins.pes_recette.source import PesSource  # noqa: PLC0415

        return [PesSource(ctx.settings(self))]

    @hookimpl
    def health_checks(self, ctx: TenantContext) -> Sequence[HealthCheck]:
        """Check that every régie of the settings exists in the town."""
        settings = ctx.settings(self)
        named = {settings.regie, *(product.regie for product in settings.products.values())} - {""}
        unknown = sorted(named - {regie.key for regie in ctx.town.regies})

        def check() -> str:
            return _("Régies inconnues : %(keys)s.") % {"keys": ", ".join(unknown)} * bool(unknown)

        return [HealthCheck("regies", check)]


plugin = PesRecette()
