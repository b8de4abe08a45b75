"""The work that a plugin does behind the pages: rows of the outbox, and what comes round again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import Any

from core.api.context import TenantContext


class Effect(Enum):
    """Scope of a consumer's work, which decides how the work is finished (DESIGN B.8)."""

    DATABASE = "database"
    """Rows only: the effect and its end are one transaction, exactly once."""
    EXTERNAL = "external"
    """Something outside that repeats harmlessly under its key: at least once.

    The handler runs without an open transaction of core's and opens its own where it needs one.
    """


@dataclass(frozen=True, slots=True)
class Consumer:
    """Handles the outbox rows of one topic.

    `handler(ctx, payload)` raises `RetryableError` to be called again later, `PermanentError` to
    give up where a person sees it. `lease` is how long one run may take at most; what a killed
    worker began is taken over after a minute, however long the lease. With `durable` False its
    commits do not wait for the disk: a crash of the database may undo its last half second, and the
    row is then handled again.
    """

    topic: str
    handler: Callable[[TenantContext, dict[str, Any]], None]
    effect: Effect = Effect.DATABASE
    lease: timedelta = timedelta(seconds=60)
    attempts: int = 12
    durable: bool = True


@dataclass(frozen=True, slots=True)
class Periodic:
    """Work that beat asks for: every `every`, one outbox row of `topic` in each enabled town."""

    name: str
    every: timedelta
    topic: str
