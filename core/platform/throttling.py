"""Growing delays for those who guess codes, kept in Redis so that all web machines share them.

A delay, never a lock: whoever guesses at a family's code makes that family wait minutes at most.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog
from redis import Redis, RedisError

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Rule:
    """How attempts under `key` are slowed: free ones first, then 2, 4, 8... seconds up to `cap`.

    Attempts are forgotten `memory` after the last one.
    """

    key: str
    free: int
    cap: timedelta
    memory: timedelta = timedelta(hours=1)

    def delay(self, attempts: int) -> int:
        """Seconds to wait after this many attempts."""
        if attempts <= self.free:
            return 0
        return min(2 ** min(attempts - self.free, 20), int(self.cap.total_seconds()))


class Throttle:
    """Counts attempts and tells how long to wait. Without Redis each process counts alone."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._local: dict[str, tuple[int, float, float]] = {}
        self._lock = threading.Lock()

    def attempt(self, rules: Sequence[Rule]) -> int:
        """Count an attempt; 0 when it may be made now, else the seconds to wait (not counted).

        Counted before the code is checked, so that a hundred guesses sent at once are a hundred.
        """
        try:
            return self._in_redis(rules)
        except RedisError:
            log.warning("throttle.redis_away")
            return self._in_process(rules)

    def forgive(self, rule: Rule) -> None:
        """Forget the attempts of someone who got in."""
        try:
            self._redis.delete(_count(rule), _block(rule))
        except RedisError:
            log.warning("throttle.redis_away")
        with self._lock:
            self._local.pop(rule.key, None)

    def _in_redis(self, rules: Sequence[Rule]) -> int:
        pipe = self._redis.pipeline(transaction=False)
        for rule in rules:
            pipe.ttl(_block(rule))
        waits = [int(ttl) for ttl in pipe.execute()]
        if max(waits) > 0:
            return max(waits)
        for rule in rules:
            pipe.incr(_count(rule))
            pipe.expire(_count(rule), rule.memory)
        counts = [int(count) for count in pipe.execute()[::2]]
        for rule, count in zip(rules, counts, strict=True):
            if delay := rule.delay(count):
                pipe.set(_block(rule), "", ex=delay)
        pipe.execute()
        return 0

    def _in_process(self, rules: Sequence[Rule]) -> int:
        now = time.monotonic()
        with self._lock:
            waits = [int(self._local.get(rule.key, (0, 0.0, 0.0))[1] - now) + 1 for rule in rules]
            if max(waits) > 1:
                return max(waits)
            for rule in rules:
                count, _until, forget = self._local.get(rule.key, (0, 0.0, 0.0))
                count = count + 1 if now < forget else 1
                self._local[rule.key] = (
                    count,
                    now + rule.delay(count),
                    now + rule.memory.total_seconds(),
                )
        return 0


def _count(rule: Rule) -> str:
    return f"preau:attempts:{rule.key}"


def _block(rule: Rule) -> str:
    return f"preau:wait:{rule.key}"
