"""What a worker does with ids from the queue, and beat's entries, which write rows.

Losing Redis, a worker or a message loses nothing: the relay finds the row again when its lease has
run out.
"""

from __future__ import annotations

import gc
import logging
import os
import uuid
from collections.abc import Mapping
from functools import cache
from typing import Any

from celery import Celery
from celery.signals import (
    celeryd_after_setup,
    setup_logging,
    worker_process_init,
    worker_ready,
    worker_shutdown,
)
from sqlalchemy.orm import configure_mappers

from core.api.work import Consumer
from core.platform import metrics, shared_counters
from core.platform.logging import configure as configure_logging
from core.platform.outbox.deliver import deliver as deliver_row
from core.platform.outbox.deliver import let_die
from core.platform.outbox.schedule import pause
from core.platform.outbox.schedule import tick as write_rows
from core.platform.settings import get_settings
from core.platform.sharing import limit_processes
from core.processes.consumers import OWN_WHERE, all_consumers, all_periodics
from core.processes.queue import DELIVER, app
from core.runtime import get_runtime


@cache
def _consumers() -> Mapping[str, tuple[str, Consumer]]:
    return all_consumers(get_runtime().extensions)


@setup_logging.connect
def _logging(**_options: object) -> None:
    configure_logging(get_settings())
    # A line for each row that comes and goes says nothing that the outbox does not know.
    for name in ("celery.worker.strategy", "celery.app.trace"):
        logging.getLogger(name).setLevel(logging.WARNING)


@worker_process_init.connect
def _fresh_connections(**_options: object) -> None:
    # A forked worker must not share its parent's sockets.
    get_runtime().forked()
    let_die()


@celeryd_after_setup.connect
def _leave_room(instance: Any, **_options: object) -> None:
    # Before it forks: what plugins may take is counted over all its processes, and periodic work
    # asks for every town, which are read once for all of them.
    limit_processes(int(instance.concurrency or 1))
    len(get_runtime().registry.towns)
    configure_mappers()
    # Each process would write on nearly all pages of memory that it shares with this one, whenever
    # it collects garbage.
    gc.collect()
    gc.freeze()


@worker_ready.connect
def _show_metrics(**_options: object) -> None:
    if port := os.environ.get(shared_counters.PORT):
        metrics.serve(int(port))


@worker_shutdown.connect
def _forget_metrics(**_options: object) -> None:
    shared_counters.unshare()


@app.task(name=DELIVER)
def deliver(tenant: str, row_id: str) -> None:
    """Do an outbox row."""
    deliver_row(get_runtime(), _consumers(), tenant, uuid.UUID(row_id))


@app.task(name="preau.tick")
def tick(name: str) -> None:
    """Write the rows of a periodic work, in each town that has it."""
    runtime = get_runtime()
    plugin, periodic = next(
        item for item in all_periodics(runtime.extensions) if item[1].name == name
    )
    if plugin or name not in OWN_WHERE:
        write_rows(runtime, plugin, periodic)
    else:
        write_rows(runtime, plugin, periodic, OWN_WHERE[name])


@app.on_after_configure.connect
def _beat(sender: Celery, **_options: object) -> None:
    for _plugin, periodic in all_periodics(get_runtime().extensions):
        sender.add_periodic_task(
            pause(periodic.every).total_seconds(), tick.s(periodic.name), name=periodic.name
        )
