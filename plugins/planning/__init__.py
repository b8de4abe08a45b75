"""Planning: the days of the children in the town's services, asked for by families."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.plugin import (
    Audience,
    ChatSkill,
    Consumer,
    Effect,
    FamilyGroup,
    MenuEntry,
    MenuGroup,
    MessageKind,
    MigrationSource,
    Periodic,
    Plugin,
    RecordImport,
    TenantContext,
    Tenants,
    TileLine,
    TodoEntry,
    WebConfig,
    hookimpl,
    ngettext,
)
from core.plugin import gettext as _
from plugins.planning.settings import PlanningSettings

if TYPE_CHECKING:
    import click

_ORDERS, _REGULAR, _REMIND = "planning.orders", "planning.regular", "planning.remind"
"""Topics of the outbox."""


class Planning(Plugin[PlanningSettings]):
    """The plugin object. What its hooks need is imported when they are called."""

    name = "planning"
    label = "Planning"
    Settings = PlanningSettings

    @hookimpl
    def configure_web(self, config: WebConfig) -> None:
        """Add the pages."""
        from plugins.planning.views import configure  # noqa: PLC0415

        configure(config)

    @hookimpl
    def commands(self, cli: click.Group, tenants: Tenants) -> None:
        """Add ``preau planning``."""
        from plugins.planning.commands import planning  # noqa: PLC0415

        planning.context_settings = {"obj": tenants}
        cli.add_command(planning)

    @hookimpl
    def menu_entries(self, audience: Audience) -> Sequence[MenuEntry]:
        """An entry in both menus: the first one of the families."""
        if audience is Audience.PARENTS:
            about = _("Réserver, annuler, annoncer une absence")
            return (MenuEntry(_("Planning"), "planning.week", order=5, about=about),)
        if audience is Audience.OFFICE:
            families = MenuGroup.FAMILIES
            return (MenuEntry(_("Planning"), "planning.office", order=20, group=families),)
        return ()

    @hookimpl
    def consumers(self) -> Sequence[Consumer]:
        """The caterers' orders, and reminders."""
        return [
            Consumer(_ORDERS, self._send_orders, Effect.DATABASE, timedelta(minutes=5)),
            Consumer(_REGULAR, self._book_regular, Effect.DATABASE, timedelta(minutes=10)),
            Consumer(_REMIND, self._remind, Effect.DATABASE, timedelta(minutes=10)),
        ]

    @hookimpl
    def schedule(self) -> Sequence[Periodic]:
        """Orders every five minutes, reminders every hour."""
        return [
            Periodic("planning.orders", timedelta(minutes=5), _ORDERS),
            Periodic("planning.remind", timedelta(hours=1), _REMIND),
        ]

    @hookimpl
    def record_imports(self, ctx: TenantContext) -> Sequence[RecordImport]:
        """Files of enrolments."""
        from plugins.planning.enrolments import EnrolmentFiles  # noqa: PLC0415

        found: list[Any] = [EnrolmentFiles(ctx.settings(self))]
        return found

    @hookimpl
    def chat_skills(self, ctx: TenantContext) -> Sequence[ChatSkill]:
        """Requests that families may make in a chat."""
        from plugins.planning.chat import PlanningSkill  # noqa: PLC0415

        found: list[Any] = [PlanningSkill(ctx, ctx.settings(self))]
        return found

    @hookimpl
    def todo_entries(self, ctx: TenantContext) -> Sequence[TodoEntry]:
        """Children who wait for a place."""
        from plugins.planning.overview import waiting_children  # noqa: PLC0415

        count = waiting_children(ctx)
        text = ngettext(
            "%s enfant attend une place", "%s enfants attendent une place", count
        ) % count
        return [TodoEntry(count, text, _("Voir les listes d’attente"), "planning.waiting")]

    @hookimpl
    def tile_lines(self, ctx: TenantContext, family_id: int) -> Sequence[TileLine]:
        """Until when the coming week can be changed."""
        from plugins.planning.overview import tile  # noqa: PLC0415

        line = tile(ctx, ctx.settings(self), family_id)
        return [TileLine("planning.week", line)] if line else []

    @hookimpl
    def demonstrate(self, ctx: TenantContext) -> None:
        """Enrolments and usual weeks of the made-up children."""
        from plugins.planning.demo import fill  # noqa: PLC0415

        fill(ctx, ctx.settings(self))

    @hookimpl
    def family_data(self, ctx: TenantContext, family_id: int) -> dict[str, Any] | None:
        """Requests of the family, and the days that it booked."""
        from plugins.planning import households  # noqa: PLC0415

        return households.data(ctx, family_id)

    @hookimpl
    def family_erased(self, ctx: TenantContext, family_id: int) -> None:
        """Usual weeks, the calendar's address, and whose requests they were."""
        from plugins.planning import households  # noqa: PLC0415

        households.erase(ctx, family_id)

    @hookimpl
    def families_merged(self, ctx: TenantContext, kept: int, gone: int) -> None:
        """The requests and usual weeks of both."""
        from plugins.planning import households  # noqa: PLC0415

        households.merge(ctx, kept, gone)

    def _send_orders(self, ctx: TenantContext, _payload: dict[str, Any]) -> None:
        from plugins.planning import work  # noqa: PLC0415

        work.send_orders(ctx, ctx.settings(self))

    def _book_regular(self, ctx: TenantContext, payload: dict[str, Any]) -> None:
        from plugins.planning.book import Book  # noqa: PLC0415
        from plugins.planning.enrolments import Enrolments  # noqa: PLC0415

        book = Book(ctx, ctx.settings(self), actor="import")
        Enrolments(ctx, book).work(int(payload["batch"]))

    def _remind(self, ctx: TenantContext, _payload: dict[str, Any]) -> None:
        from plugins.planning import work  # noqa: PLC0415

        work.remind(ctx, ctx.settings(self))

    @hookimpl
    def message_kinds(self, ctx: TenantContext) -> Sequence[MessageKind]:
        """Messages to families, and the order to the caterer."""
        from plugins.planning.orders import OrderKind  # noqa: PLC0415
        from plugins.planning.telling import KINDS  # noqa: PLC0415

        found: list[Any] = [kind(ctx, ctx.settings(self)) for kind in (*KINDS, OrderKind)]
        return found

    @hookimpl
    def family_groups(self, ctx: TenantContext) -> Sequence[FamilyGroup]:
        """Families of the children of a service, a school, a day."""
        from plugins.planning.groups import GROUPS  # noqa: PLC0415

        found: list[Any] = [group(ctx, ctx.settings(self)) for group in GROUPS]
        return found

    @hookimpl
    def migrations(self) -> MigrationSource:
        """The tables of the planning."""
        return MigrationSource(Path(__file__).parent / "migrations" / "versions")


plugin = Planning()
