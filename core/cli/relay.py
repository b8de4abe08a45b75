"""``preau relay``: hands due outbox rows to Celery."""

from __future__ import annotations

import signal

import click

from core.platform import metrics
from core.platform.clock import SystemClock
from core.platform.logging import configure
from core.platform.settings import get_settings


@click.command()
@click.option("--metrics-port", type=int, help="Show Prometheus metrics on this local port.")
def relay(metrics_port: int | None) -> None:
    """Relay due effects to the workers. One is enough; two do no harm."""
    from core.payments.watching import POLL
    from core.platform.outbox.relay import Relay
    from core.processes.queue import put, waiting

    settings = get_settings()
    configure(settings)
    if metrics_port:
        metrics.serve(metrics_port)
    loop = Relay(settings.relay_url, SystemClock(), put, waiting, watched=POLL)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: loop.stop())
    loop.run()
