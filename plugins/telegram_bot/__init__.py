"""The town's Telegram bot: a parent's invoices in the chat."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import click

from core.plugin import (
    Audience,
    Consumer,
    Effect,
    HealthCheck,
    MenuEntry,
    MigrationSource,
    NotificationChannel,
    PaymentReversed,
    PaymentSettled,
    Periodic,
    Plugin,
    TenantContext,
    Tenants,
    WebConfig,
    hookimpl,
)
from plugins.telegram_bot import commands, households, other_skills, together, work
from plugins.telegram_bot.bots import Bots
from plugins.telegram_bot.channel import TelegramChannel
from plugins.telegram_bot.conversation import own_skills
from plugins.telegram_bot.courier import Courier
from plugins.telegram_bot.inbox import ALONE, UPDATE, UPDATES, gather
from plugins.telegram_bot.settings import TelegramSettings
from plugins.telegram_bot.skills import Skills


class TelegramBot(Plugin[TelegramSettings]):
    """The plugin object: one bot for each town that enables it."""

    name: ClassVar[str] = "telegram_bot"
    label: ClassVar[str] = "Telegram"
    Settings = TelegramSettings

    def __init__(self) -> None:
        self.bots = Bots()

    def settings(self, ctx: TenantContext) -> TelegramSettings:
        """The town's settings."""
        return ctx.settings(self)

    def courier(self, ctx: TenantContext) -> Courier:
        """Courier that sends the town's messages."""
        return Courier(ctx, self.settings(ctx), self.bots)

    @hookimpl
    def configure_web(self, config: WebConfig) -> None:
        """The parents' page and the webhook."""
        from plugins.telegram_bot.views import Pages  # noqa: PLC0415 - where there are pages

        pages = Pages(self.settings, self.bots)
        config.add_route("home", "")
        config.add_view(pages.home, route="home", renderer="chats.jinja2", permission="parent")
        config.add_route("unlink", "unlink")
        config.add_view(pages.unlink, route="unlink", method="POST", permission="parent")
        config.add_route("webhook", "webhook")
        config.add_view(pages.webhook, route="webhook", method="POST", csrf=False)

    @hookimpl
    def menu_entries(self, ctx: TenantContext, audience: Audience) -> Sequence[MenuEntry]:  # noqa: ARG002
        """*Telegram*, for parents: in their menu and on *Être averti*."""
        if audience is Audience.OFFICE:
            return ()
        return [MenuEntry("Telegram", "telegram_bot.home", order=60)]

    @hookimpl
    def commands(self, cli: click.Group, tenants: Tenants) -> None:
        """``telegram`` and ``telegram-simulator``."""
        for command in commands.build(self, self.settings, tenants):
            cli.add_command(command)

    @hookimpl
    def migrations(self) -> MigrationSource:
        """The bot's tables."""
        return MigrationSource(Path(__file__).parent / "migrations" / "versions")

    @hookimpl
    def consumers(self) -> Sequence[Consumer]:
        """Answering updates, and editing messages."""
        return [
            # An update is written down before Telegram is told so. Answered again after a crash of
            # the database, it gets the same answer: nobody has to wait for the disk.
            Consumer(UPDATE, self._answer_or_gather, Effect.EXTERNAL, attempts=6, durable=False),
            Consumer(ALONE, self._answer, Effect.EXTERNAL, attempts=6, durable=False),
            Consumer(UPDATES, self._answer_together, Effect.EXTERNAL, durable=False),
            Consumer(work.REFRESH, self._refresh, Effect.EXTERNAL),
            Consumer(work.SWEEP, work.sweep, Effect.DATABASE),
        ]

    @hookimpl
    def schedule(self) -> Sequence[Periodic]:
        """Forgetting, once a day."""
        return [Periodic("telegram_bot.sweep", timedelta(days=1), work.SWEEP)]

    @hookimpl
    def notification_channels(self, ctx: TenantContext) -> Sequence[NotificationChannel]:
        """The chats linked to families."""
        return [TelegramChannel(ctx, self.courier(ctx))]

    @hookimpl
    def payment_settled(self, ctx: TenantContext, event: PaymentSettled) -> None:
        """Messages that show the invoices turn to *payée*; the receipt comes by the channel."""
        work.ask_to_refresh(ctx, event.id, event.invoice_ids)

    @hookimpl
    def payment_reversed(self, ctx: TenantContext, event: PaymentReversed) -> None:
        """They turn back."""
        work.ask_to_refresh(ctx, event.id, event.invoice_ids)

    @hookimpl
    def family_data(self, ctx: TenantContext, family_id: int) -> dict[str, Any] | None:
        """The family's chats."""
        return households.data(ctx, family_id)

    @hookimpl
    def family_erased(self, ctx: TenantContext, family_id: int) -> None:
        """Its chats see it no more."""
        households.erase(ctx, family_id)

    @hookimpl
    def families_merged(self, ctx: TenantContext, kept: int, gone: int) -> None:
        """The chats of both see what they became."""
        households.merge(ctx, kept, gone)

    @hookimpl
    def health_checks(self, ctx: TenantContext) -> Sequence[HealthCheck]:
        """Check that sending is not stopped, and that Telegram knows the town's bot."""
        settings = self.settings(ctx)

        def check() -> str:
            return commands.stopped(ctx) or commands.problem(self.bots, settings)

        return [HealthCheck("Telegram", check)]

    def skills(self, ctx: TenantContext) -> Skills:
        """Skills of the bot in the town, its own and those of other plugins."""
        return other_skills.joined(ctx, own_skills())

    def _answer(self, ctx: TenantContext, payload: dict[str, Any]) -> None:
        work.answer(ctx, self.courier(ctx), payload, self.skills(ctx))

    def _answer_or_gather(self, ctx: TenantContext, payload: dict[str, Any]) -> None:
        if not gather(ctx, payload):
            self._answer(ctx, payload)

    def _answer_together(self, ctx: TenantContext, payload: dict[str, Any]) -> None:
        together.answer(ctx, self.courier(ctx), payload, self.skills(ctx))

    def _refresh(self, ctx: TenantContext, payload: dict[str, Any]) -> None:
        work.refresh(ctx, self.courier(ctx), payload)


plugin = TelegramBot()

__all__ = ["TelegramBot", "TelegramSettings", "plugin"]
