"""Periodic work: beat asks, rows are written, consumers do it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from core.api.errors import TownClosedError
from core.api.work import Periodic
from core.platform.outbox.process import Process
from core.platform.outbox.service import KEEP_DONE
from core.platform.tenancy.config import TenantConfig

ASK = timedelta(hours=1)
"""Longest time between two askings for work, however long its period. An asking is a message only,
which a broker may lose, and beat's file may be lost as well: the next one writes the row."""


def pause(every: timedelta) -> timedelta:
    """Time between two askings for work that is due once in `every`."""
    # A row that is done keeps the next asking from writing another, for as long as it is kept.
    return min(every, ASK) if every <= KEEP_DONE else every


def tick(
    runtime: Process,
    plugin: str,
    periodic: Periodic,
    wanted: Callable[[TenantConfig], bool] = lambda _town: True,
) -> None:
    """Write one row in each town that enables `plugin` ("" is core: every town) and is `wanted`.

    The period's number is the key: two beats, or one that restarts, write one row.
    """
    now = runtime.clock.now()
    number = int(now.timestamp() // periodic.every.total_seconds())
    for config in runtime.registry:
        if (plugin and plugin not in config.enabled) or not wanted(config):
            continue
        # A town that is closed is asked in the next period, where it then is.
        with suppress(TownClosedError), runtime.unit_of_work(config.slug) as uow:
            uow.outbox.add(periodic.topic, {}, key=f"{periodic.name}/{number}")
