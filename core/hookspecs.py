"""Every hook of Préau, on one page: the platform's constitution.

Hooks are called with keyword arguments; an implementation may accept fewer. *Strict*: an exception
stops what is being done. *Contained*: an exception is logged and counted, and the others go on.
An argument or hook that goes away is first announced by a warning, for one `VERSION`
(docs/plugins.md, "Versions").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from core.api.chat import ChatSkill
from core.api.context import TenantContext, Tenants
from core.api.groups import FamilyGroup
from core.api.invoices import InvoiceSource
from core.api.messages import MessageKind, NotificationChannel
from core.api.payments import (
    InvoiceDue,
    InvoicesPublished,
    PaymentProvider,
    PaymentReversed,
    PaymentSettled,
    RemittanceChanged,
)
from core.api.plugin import HealthCheck, MigrationSource, hookspec
from core.api.records import RecordImport
from core.api.web import Audience, MenuEntry, TileLine, TodoEntry, WebConfig
from core.api.work import Consumer, Periodic

VERSION = 2
"""Of this specification. It rises when a hook or an argument goes away, not when one is added."""

# --- Process-wide: called once at start, on all installed plugins. Strict. -------------------


@hookspec
def configure_web(config: WebConfig) -> None:
    """Add routes and views. They exist only in towns that enable the plugin."""


@hookspec
def commands(cli: click.Group, tenants: Tenants) -> None:
    """Add commands to ``preau``, which open towns by `tenants`."""


@hookspec
def consumers() -> Sequence[Consumer]:  # type: ignore[empty-body]
    """Name the outbox topics this plugin handles. Two handlers for one topic are refused."""


@hookspec
def schedule() -> Sequence[Periodic]:  # type: ignore[empty-body]
    """Name the plugin's periodic work. Beat only writes outbox rows; consumers do the work."""


@hookspec
def migrations() -> MigrationSource | None:
    """Tell where the plugin's Alembic versions lie. All installed plugins' migrations run."""


# --- Per town: called on the plugins that the town enables. ----------------------------------


@hookspec
def invoice_sources(ctx: TenantContext) -> Sequence[InvoiceSource]:  # type: ignore[empty-body]
    """Give the file formats this plugin reads. Contained: a broken plugin's are missing."""


@hookspec
def payment_providers(ctx: TenantContext) -> Sequence[PaymentProvider]:  # type: ignore[empty-body]
    """Give the ways to pay online; each one's key is the plugin's name. Contained.

    Where several take a régie, the plugin that the town's tenant.toml names first has it.
    """


@hookspec
def notification_channels(  # type: ignore[empty-body]
    ctx: TenantContext,
) -> Sequence[NotificationChannel]:
    """Give the ways to reach families. Contained."""


@hookspec
def message_kinds(  # type: ignore[empty-body]
    ctx: TenantContext,
) -> Sequence[MessageKind]:
    """Give the kinds of message that this plugin sends by ``ctx.messages``. Contained.

    What cannot be put into words waits.
    """


@hookspec
def family_groups(  # type: ignore[empty-body]
    ctx: TenantContext,
) -> Sequence[FamilyGroup]:
    """Give the groups of families that this plugin can name, for agents' messages. Contained."""


@hookspec
def record_imports(  # type: ignore[empty-body]
    ctx: TenantContext,
) -> Sequence[RecordImport]:
    """Give the kinds of files that agents import for this plugin. Contained."""


@hookspec
def chat_skills(ctx: TenantContext) -> Sequence[ChatSkill]:  # type: ignore[empty-body]
    """Give what this plugin can do for a parent in a chat. Contained."""


@hookspec
def menu_entries(  # type: ignore[empty-body]
    ctx: TenantContext, audience: Audience
) -> Sequence[MenuEntry]:
    """Add entries to the menu or list of each `Audience`. Contained.

    From the settings alone: the same for everybody, in the language of now. Kept for a minute.
    """


@hookspec
def tile_lines(  # type: ignore[empty-body]
    ctx: TenantContext, family_id: int
) -> Sequence[TileLine]:
    """Say a line about this family on the plugin's tiles of its menu. Contained."""


@hookspec
def todo_entries(ctx: TenantContext) -> Sequence[TodoEntry]:  # type: ignore[empty-body]
    """Say what waits for the agents, under *À faire* on their first page. Contained."""


@hookspec
def health_checks(ctx: TenantContext) -> Sequence[HealthCheck]:  # type: ignore[empty-body]
    """Give questions for ``preau doctor`` and the health page. Contained, bounded in time."""


@hookspec
def invoices_published(ctx: TenantContext, event: InvoicesPublished) -> None:
    """A family was given new invoices.

    Called from the outbox after the commit, once per plugin and event, at least once: be
    idempotent by ``event.id``. A plugin that raises is retried alone.
    """


@hookspec
def invoice_due(ctx: TenantContext, event: InvoiceDue) -> None:
    """A family is reminded of what it owes. Called as `invoices_published` is.

    Core has noted the reminder: it comes once for an invoice and a rule of its régie. What was
    paid meanwhile is for the plugin to leave out.
    """


@hookspec
def payment_settled(ctx: TenantContext, event: PaymentSettled) -> None:
    """A payment was recorded as settled. Called as `invoices_published` is."""


@hookspec
def payment_reversed(ctx: TenantContext, event: PaymentReversed) -> None:
    """A settled payment came back. Called as `invoices_published` is."""


@hookspec
def remittance_changed(ctx: TenantContext, event: RemittanceChanged) -> None:
    """Money of a régie left the till, or came back to it. Called as `invoices_published` is."""


# --- Per town, in the transaction of what an agent does. Strict: it fails whole, or is done whole.


@hookspec
def demonstrate(ctx: TenantContext) -> None:
    """Fill a demonstration town with made-up data, after core's; once, when it is empty."""


@hookspec
def family_data(ctx: TenantContext, family_id: int) -> Mapping[str, Any] | None:
    """Give what the plugin holds of a family, to be written as JSON (GDPR, article 15).

    For the person who asks: words and dates, no secrets. None when there is nothing.
    """


@hookspec
def family_erased(ctx: TenantContext, family_id: int) -> None:
    """Forget what tells who a family was (GDPR, article 17). Payments stay, as accounts must."""


@hookspec
def means_corrected(ctx: TenantContext, payment_id: int, means: str) -> str | None:
    """Follow an agent who puts the means of a payment right, or say in words why that may not be.

    Called before core changes anything, and `means` is what the payment is to be: a value of
    `Means`, or one with a name (``other:Bons CAF``). A text stops the agent; nothing is done.
    """


@hookspec
def families_merged(ctx: TenantContext, kept: int, gone: int) -> None:
    """Move what the plugin holds of the family `gone` to `kept`: they were one all along."""
