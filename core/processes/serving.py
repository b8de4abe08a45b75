"""gunicorn's hooks (``--config python:core.processes.serving``).

The options stand in `core.cli`; `core.processes.generations` starts gunicorn, and replaces it at a
reload.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from contextlib import suppress
from typing import Any

from prometheus_client.multiprocess import mark_process_dead

from core.platform.sharing import limit_threads

READY = "PREAU_READY_FD"
"""Names, in the environment, the file in which workers say that they are ready."""
PARENT = "PREAU_WEB_PID"
"""Names, in the environment, the process that started gunicorn."""

_PR_SET_PDEATHSIG = 1


def on_starting(_server: Any) -> None:
    """Let the kernel stop gunicorn when the process ends that started it, however that ends."""
    parent = os.environ.pop(PARENT, "")
    if parent and sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
        if os.getppid() != int(parent):
            raise SystemExit(1)


def post_fork(_server: Any, worker: Any) -> None:
    """A worker has connections of its own: the code, and its runtime, came from the master."""
    worker.app.wsgi().registry.runtime.forked()


def post_worker_init(worker: Any) -> None:
    """The application has loaded."""
    limit_threads(int(worker.cfg.threads))
    if told := os.environ.pop(READY, ""):
        # Nobody reads any more where a worker is one of many, or replaces another.
        with suppress(OSError):
            os.write(int(told), b"\n")
        os.close(int(told))


def child_exit(_server: Any, worker: Any) -> None:
    """Forget the gauges of a worker that ended; its counters stay."""
    mark_process_dead(worker.pid)
