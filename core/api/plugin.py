"""Definition of a plugin: an object with a name, settings, and hook implementations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

import pluggy
from pydantic import BaseModel, ConfigDict

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
    Installation: ClassVar[type[BaseModel]] = PluginSettings
    """Settings of the whole installation, which no town may set, such as the account at a service:
    the field ``key`` of the plugin ``sms`` is the environment variable ``PREAU_SMS_KEY``."""
    built_in: ClassVar[bool] = False
    """Built-in plugins are enabled in every town."""


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """One question about a plugin's health in a town; `check` returns a problem, or ""."""

    name: str
    check: Callable[[], str]


@dataclass(frozen=True, slots=True)
class MigrationSource:
    """Folder of a plugin's Alembic versions; their branch label is the plugin's name."""

    directory: Path
