"""What a plugin is: an object with a name, settings, and hook implementations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import pluggy
from pydantic import BaseModel, ConfigDict

from core.api.context import TenantContext

PROJECT = "preau"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class PluginSettings(BaseModel):
    """A town's settings for one plugin: ``[plugins.<name>]`` of its tenant.toml.

    Unknown keys are refused, because a typo in a setting is a payment that does not arrive.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)


S = TypeVar("S", bound=BaseModel)


class Plugin(Generic[S]):
    """Base of a plugin object: what the entry point ``preau.plugins`` points to."""

    name: ClassVar[str]
    label: ClassVar[str]
    version: ClassVar[str] = "0.1.0"
    Settings: type[S]
    built_in: ClassVar[bool] = False
    """Built-in plugins are enabled in every town."""


class Effect(Enum):
    """What a consumer's work touches, which decides how it is finished (DESIGN B.8)."""

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
    give up where a person sees it. `lease` is how long one run may take at most.
    """

    topic: str
    handler: Callable[[TenantContext, dict[str, Any]], None]
    effect: Effect = Effect.DATABASE
    lease: timedelta = timedelta(seconds=60)
    attempts: int = 12


@dataclass(frozen=True, slots=True)
class Periodic:
    """Work that beat asks for: every `every`, one outbox row of `topic` in each enabled town."""

    name: str
    every: timedelta
    topic: str


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """One question about a plugin's health in a town; `check` returns a problem, or ""."""

    name: str
    check: Callable[[], str]


@dataclass(frozen=True, slots=True)
class MigrationSource:
    """Where a plugin's Alembic versions lie; their branch label is the plugin's name."""

    directory: Path
