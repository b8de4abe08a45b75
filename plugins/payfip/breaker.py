"""A circuit breaker: after several failures in a row, the service is left alone for a while."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Breaker:
    """Counts failures of one service in this process. Safe between threads.

    Closed until `threshold` failures in a row; then open for `rest` seconds, twice as long after
    each probe that fails (`longest` at most). When the rest is over, one caller is let through as
    a probe while the others still wait: a service that comes back is not met by a crowd.
    """

    def __init__(
        self,
        *,
        threshold: int = 5,
        rest: float = 15.0,
        longest: float = 240.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._threshold = threshold
        self._rest = rest
        self._longest = longest
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._pause = rest
        self._closed_until = 0.0

    def enter(self) -> float:
        """Ask to call: 0.0 for yes, else the seconds to wait before asking again."""
        with self._lock:
            if self._failures < self._threshold:
                return 0.0
            wait = self._closed_until - self._clock()
            if wait > 0:
                return wait
            # This caller is the probe; should it never report, the next comes a pause later.
            self._closed_until = self._clock() + self._pause
            return 0.0

    def succeeded(self) -> None:
        """Report that the service answered, be it with a refusal."""
        with self._lock:
            self._failures = 0
            self._pause = self._rest

    def failed(self) -> None:
        """Report that the service was away or in trouble."""
        with self._lock:
            self._failures += 1
            if self._failures == self._threshold:
                self._closed_until = self._clock() + self._pause
            elif self._failures > self._threshold:
                self._pause = min(self._pause * 2, self._longest)
                self._closed_until = self._clock() + self._pause
