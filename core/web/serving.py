"""gunicorn's hooks (``--config python:core.web.serving``): its options stand in `core.cli`."""

from __future__ import annotations

from typing import Any

from prometheus_client.multiprocess import mark_process_dead

from core import metrics


def child_exit(_server: Any, worker: Any) -> None:
    """What a worker counted stays; what it merely was (gauges) ends with it."""
    mark_process_dead(worker.pid)


def on_exit(_server: Any) -> None:
    """The last one out removes the counters' files."""
    metrics.unshare()
