"""Files in which processes that fork count together.

prometheus_client looks for them when it is loaded: a command calls `share` before anything that
loads `core.platform.metrics`, which this module therefore does not.
"""

from __future__ import annotations

import os
import shutil
import tempfile

SHARED = "PROMETHEUS_MULTIPROC_DIR"
PORT = "PREAU_METRICS_PORT"
"""Between a command and the worker that it becomes: where to show the metrics."""


def share() -> None:
    """Let the processes that this one becomes or forks count together; called by a command."""
    if SHARED not in os.environ:
        os.environ[SHARED] = tempfile.mkdtemp(prefix="preau-metrics-")


def unshare() -> None:
    """Remove the shared files, when the last of the processes ends."""
    if SHARED in os.environ:
        shutil.rmtree(os.environ.pop(SHARED), ignore_errors=True)
