"""Settings as plugins get them: one object for the whole process, or a copy for each who asks.

A frozen model's fields cannot be set again, but a list or a table in one of them can be changed, by
one plugin for all that ask later.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from datetime import date, time, timedelta, tzinfo
from decimal import Decimal
from enum import Enum
from itertools import chain
from pathlib import PurePath
from re import Pattern
from types import MappingProxyType
from uuid import UUID

import structlog
from pydantic import BaseModel
from pydantic.types import SecretBytes, SecretStr

log = structlog.get_logger(__name__)

_LASTING = (
    str, bytes, int, float, complex, bool, type(None), Decimal, date, time, timedelta, tzinfo, Enum,
    PurePath, Pattern, UUID, SecretStr, SecretBytes,
)  # fmt: skip
"""Types whose values nobody can change; ``datetime`` is a ``date``."""


class LentSettings(Mapping[str, BaseModel]):
    """A town's settings by plugin; nobody who gets one changes it for others."""

    __slots__ = ("_models", "_shared")

    def __init__(self, models: Mapping[str, BaseModel]) -> None:
        self._models = dict(models)
        self._shared = frozenset(
            name for name, model in models.items() if is_lasting(model) or not _copies(name, model)
        )

    def __getitem__(self, name: str) -> BaseModel:
        """The settings of the plugin `name`; a copy, where something in them can be changed."""
        model = self._models[name]
        return model if name in self._shared else copy.deepcopy(model)

    def __contains__(self, name: object) -> bool:
        """True if the town enables the plugin `name`."""
        return name in self._models

    def __iter__(self) -> Iterator[str]:
        return iter(self._models)

    def __len__(self) -> int:
        return len(self._models)


def is_lasting(value: object) -> bool:
    """True if nobody can change the value, nor anything in it."""
    match value:
        case BaseModel():
            return (
                bool(type(value).model_config.get("frozen"))
                and not value.__pydantic_extra__
                and not value.__pydantic_private__
                and all(map(is_lasting, value.__dict__.values()))
            )
        case tuple() | frozenset():
            return all(map(is_lasting, value))
        case MappingProxyType():
            return all(map(is_lasting, chain(value.keys(), value.values())))
        case _:
            return isinstance(value, _LASTING)


def _copies(name: str, model: BaseModel) -> bool:
    """True if the settings can be copied: a plugin may keep things in them that cannot."""
    try:
        copy.deepcopy(model)
    except Exception as error:  # noqa: BLE001 - of code that is not ours
        log.warning("settings.not_copied", plugin=name, reason=str(error))
        return False
    return True
