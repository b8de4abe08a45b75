"""The queue at the broker: Celery's application, what the relay puts in, and how much waits there.

It carries ids only. Whoever puts them in needs neither consumers nor plugins: what is done with
them is in `core.processes.worker`.
"""

from __future__ import annotations

from functools import cache

from celery import Celery
from redis import Redis

from core.platform.outbox import broker
from core.platform.settings import get_settings

DELIVER = "preau.deliver"
"""Name of the task that does a row."""

broker.use()
app = Celery("preau", broker=get_settings().redis_url or "memory://")
app.conf.update(
    task_ignore_result=True,
    task_acks_late=True,
    worker_prefetch_multiplier=4,
    broker_connection_retry_on_startup=True,
    # A worker would end after a hundred tries, some fifty minutes.
    broker_connection_max_retries=None,
    broker_transport_options={"socket_connect_timeout": 2, "socket_timeout": 5},
    task_publish_retry=False,
    worker_hijack_root_logger=False,
    beat_schedule_filename="celerybeat-schedule",
    timezone="Europe/Paris",
)


def put(tenant: str, row_id: str) -> None:
    """Hand an outbox row to the workers."""
    app.send_task(DELIVER, args=(tenant, row_id), ignore_result=True)


@cache
def _broker() -> Redis:
    return Redis.from_url(get_settings().redis_url, socket_connect_timeout=2, socket_timeout=5)


def waiting() -> int:
    """Number of messages that wait at the broker for a worker.

    Asked without Kombu, which would try again for as long as the broker is away.
    """
    # Redis keeps a queue as a list under its name.
    return _broker().llen(app.conf.task_default_queue)
