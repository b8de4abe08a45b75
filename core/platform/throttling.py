"""Counts of wrong tries and of mails, kept in Redis so that all web machines share them.

Only what went wrong is counted: a right code is checked before any count is read, and no count
stops it. So nobody keeps a family out by guessing at its code, from one address or a thousand.
"""

from __future__ import annotations

import ipaddress
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import structlog
from redis import Redis, RedisError

log = structlog.get_logger(__name__)

KEPT_IN_PROCESS = 10_000
"""Number of counts that a process remembers while Redis is away."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """Limit of events under `key` within `window`, which begins with the first event."""

    key: str
    limit: int
    window: timedelta


_GIVE_BACK = """\
if tonumber(redis.call('GET', KEYS[1]) or '0') > 0 then redis.call('DECR', KEYS[1]) end
return 0
"""


class Throttle:
    """Counts, and tells when an allowance is used up. Without Redis each process counts alone."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._local: dict[str, tuple[int, float]] = {}
        self._lock = threading.Lock()

    def spend(self, allowance: Allowance) -> int:
        """Count once more; 0 while the allowance lasts, else the seconds until it is fresh."""
        return self._or_alone(
            lambda: self._spend_in_redis(allowance), lambda: self._spend_alone(allowance)
        )

    def used_up(self, allowance: Allowance) -> int:
        """Answer that `spend` would give, without counting."""
        return self._or_alone(
            lambda: self._look_in_redis(allowance), lambda: self._look_alone(allowance)
        )

    def give_back(self, allowance: Allowance) -> None:
        """Count once less: what was counted beforehand turned out right."""
        self._or_alone(
            lambda: self._give_back_in_redis(allowance), lambda: self._give_back_alone(allowance)
        )

    def _or_alone(self, together: Callable[[], int], alone: Callable[[], int]) -> int:
        try:
            return together()
        except RedisError:
            log.warning("throttle.redis_away")
            with self._lock:
                return alone()

    # --- In Redis ------------------------------------------------------------------------------

    def _spend_in_redis(self, allowance: Allowance) -> int:
        key = _name(allowance)
        # In one transaction: a count without an end would never be forgotten.
        pipe = self._redis.pipeline()
        pipe.set(key, 0, px=allowance.window, nx=True)
        pipe.incr(key)
        pipe.pttl(key)
        _set, count, left_ms = pipe.execute()
        return _seconds(left_ms / 1000) if int(count) > allowance.limit else 0

    def _look_in_redis(self, allowance: Allowance) -> int:
        key = _name(allowance)
        pipe = self._redis.pipeline()
        pipe.get(key)
        pipe.pttl(key)
        count, left_ms = pipe.execute()
        return _seconds(left_ms / 1000) if int(count or 0) >= allowance.limit else 0

    def _give_back_in_redis(self, allowance: Allowance) -> int:
        # The window may have ended meanwhile: nothing below zero, and nothing for ever.
        pipe = self._redis.pipeline()
        pipe.eval(_GIVE_BACK, 1, _name(allowance))
        pipe.execute()
        return 0

    # --- In this process -----------------------------------------------------------------------

    def _spend_alone(self, allowance: Allowance) -> int:
        now = time.monotonic()
        count, end = self._local.get(allowance.key, (0, 0.0))
        if now >= end:
            self._make_room(now)
            count, end = 0, now + allowance.window.total_seconds()
        self._local[allowance.key] = count + 1, end
        return _seconds(end - now) if count + 1 > allowance.limit else 0

    def _look_alone(self, allowance: Allowance) -> int:
        now = time.monotonic()
        count, end = self._local.get(allowance.key, (0, 0.0))
        return _seconds(end - now) if now < end and count >= allowance.limit else 0

    def _give_back_alone(self, allowance: Allowance) -> int:
        count, end = self._local.get(allowance.key, (0, 0.0))
        if count:
            self._local[allowance.key] = count - 1, end
        return 0

    def _make_room(self, now: float) -> None:
        if len(self._local) >= KEPT_IN_PROCESS:
            kept = {key: held for key, held in self._local.items() if held[1] > now}
            # Forgetting all is better than a process that grows with each address it meets.
            self._local = kept if len(kept) < KEPT_IN_PROCESS else {}


def network_of(address: str) -> str:
    """Network that counts as one: an IPv4 address, or the /64 that one IPv6 line is given."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.IPv6Network((found, 64), strict=False))


def _name(allowance: Allowance) -> str:
    return f"preau:tries:{allowance.key}"


def _seconds(left: float) -> int:
    return max(math.ceil(left), 1)
