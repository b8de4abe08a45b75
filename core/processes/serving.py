"""gunicorn's hooks and worker (``--config python:core.processes.serving``).

The options stand in `core.cli`.

At a reload gunicorn tells the old workers to go before the new ones have loaded, which takes
seconds: nothing is lost, but everybody waits. Here the old ones serve until a new one is ready; if
none ever is, because the new code does not load, they go on for `LONGEST`.
"""

from __future__ import annotations

import mmap
import threading
import time
from struct import Struct
from typing import Any

from gunicorn.workers.gthread import ThreadWorker
from prometheus_client.multiprocess import mark_process_dead

from core.platform import metrics
from core.platform.sharing import limit_threads

LONGEST = 60.0
"""Seconds for which an old worker serves on, at most."""

worker_class = "core.processes.serving.Worker"
_ages = mmap.mmap(-1, 16)
"""Shared by all workers: the last age before the reload, and the highest age that is ready.
Workers are numbered by age; the master counts them."""
_NUMBER = Struct("q")
_RELOADED, _READY = 0, 8


class Worker(ThreadWorker):
    """Threads, and a successor that is waited for."""

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Go when a newer one serves; at once if none is coming."""
        if _has_successor(self.age):
            super().handle_exit(sig, frame)
        else:
            threading.Thread(target=self._wait, args=(sig, frame), daemon=True).start()

    def _wait(self, sig: int, frame: Any) -> None:
        deadline = time.monotonic() + LONGEST
        while not _has_successor(self.age) and time.monotonic() < deadline:
            time.sleep(0.05)
        super().handle_exit(sig, frame)


def _has_successor(age: int) -> bool:
    (reloaded,) = _NUMBER.unpack_from(_ages, _RELOADED)
    (ready,) = _NUMBER.unpack_from(_ages, _READY)
    return bool(age > reloaded or ready > reloaded)


def on_reload(server: Any) -> None:
    """Workers up to this age are old ones."""
    _NUMBER.pack_into(_ages, _RELOADED, server.worker_age)


def post_worker_init(worker: Any) -> None:
    """The application has loaded."""
    limit_threads(int(worker.cfg.threads))
    _NUMBER.pack_into(_ages, _READY, worker.age)


def child_exit(_server: Any, worker: Any) -> None:
    """What a worker counted stays; what it merely was (gauges) ends with it."""
    mark_process_dead(worker.pid)


def on_exit(_server: Any) -> None:
    """The last one out removes the counters' files."""
    metrics.unshare()
