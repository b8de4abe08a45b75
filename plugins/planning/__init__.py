"""Planning: the days of the children in the town's services, asked for by families."""

from __future__ import annotations

from pathlib import Path

from core.plugin import MigrationSource, Plugin, hookimpl
from plugins.planning.settings import PlanningSettings


class Planning(Plugin[PlanningSettings]):
    """The plugin object. What its hooks need is imported when they are called."""

    name = "planning"
    label = "Planning"
    Settings = PlanningSettings

    @hookimpl
    def migrations(self) -> MigrationSource:
        """The tables of the planning."""
        return MigrationSource(Path(__file__).parent / "migrations" / "versions")


plugin = Planning()
