"""Waiting for what another process or thread does, without betting on how fast the machine is."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from core.platform.clock import PARIS

PATIENCE_SECONDS = 180.0
"""Time after which something hangs: a busy machine is no failure."""
MIDNIGHT_SECONDS = 60.0
"""Time before a midnight in which no test begins."""


def wait_until(
    true: Callable[[], object],
    seconds: float = PATIENCE_SECONDS,
    *,
    said: Callable[[], object] = lambda: "",
) -> None:
    """Wait until `true` answers yes.

    Raises:
        AssertionError: it does not within `seconds`; with what `said` tells then.
    """
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"not within {seconds:g} s: {said()}"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    """A process runs: one that ended and was not yet asked how does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:  # Gone before it was opened, or between that and reading.
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def seconds_to_midnight(now: datetime) -> float:
    """Time that is left of this day, in Paris or in UTC, whichever ends sooner."""
    left = []
    for zone in (PARIS, UTC):
        here = now.astimezone(zone)
        tomorrow = here.date() + timedelta(days=1)
        midnight = datetime(tomorrow.year, tomorrow.month, tomorrow.day, tzinfo=zone)
        left.append((midnight.astimezone(UTC) - now).total_seconds())
    return min(left)


def let_midnight_pass() -> None:
    """Wait, when a day of Paris or of UTC is about to end, until the next one has begun.

    A test that looks at the real clock twice, itself or by the database's, then sees one day.
    """
    left = seconds_to_midnight(datetime.now(UTC))
    if left < MIDNIGHT_SECONDS:
        time.sleep(left + 0.1)
