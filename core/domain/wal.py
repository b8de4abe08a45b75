"""Positions in PostgreSQL's journal (WAL), by which a standby shows how much it knows already."""

from __future__ import annotations

import re
from collections import deque

UNKNOWN = 2**64 - 1
"""A position that no standby reaches: of a write that nobody knows, only the primary tells."""

_LSN = re.compile(r"([0-9A-F]{1,8})/([0-9A-F]{1,8})\Z")
_MARK = re.compile(r"[0-9A-F]{1,16}\Z")


def position_of(lsn: str) -> int:
    """Read a position as PostgreSQL writes it (``16/B374D848``).

    Raises:
        ValueError: it is none.
    """
    found = _LSN.match(lsn)
    if found is None:
        raise ValueError(lsn)
    return (int(found[1], 16) << 32) + int(found[2], 16)


def written(position: int) -> str:
    """Write a position for a browser to keep."""
    return f"{position:X}"


def read(mark: str | None) -> int:
    """Read what a browser kept: 0 for nothing, `UNKNOWN` for what cannot be read."""
    if not mark:
        return 0
    return int(mark, 16) if _MARK.match(mark) else UNKNOWN


class Sightings:
    """The primary's positions of the last `seconds`, each with the time when it was seen.

    A standby that has reached the oldest of them is at most so many seconds late, however long
    nothing is written: PostgreSQL's own `pg_last_xact_replay_timestamp()` grows on an idle primary.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._seen: deque[tuple[float, int]] = deque()

    def add(self, now: float, position: int) -> None:
        """Note the primary's position of `now`, which it had at that time or after it."""
        self._seen.append((now, position))

    def is_due(self, now: float) -> bool:
        """Tell whether the primary should be asked again: some times within the bound."""
        return not self._seen or now - self._seen[-1][0] > self._seconds / 5

    def floor(self, now: float) -> int:
        """Give the position that a standby needs to be within the bound."""
        while self._seen and now - self._seen[0][0] > self._seconds:
            self._seen.popleft()
        return self._seen[0][1] if self._seen else UNKNOWN

    @property
    def newest(self) -> int:
        """The primary's last position that was seen, 0 before any."""
        return self._seen[-1][1] if self._seen else 0
