"""Answers that are what they say: a value with a wrong field is not made."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from enum import Enum
from functools import cache
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from core.domain.dates import YEARS


class Checked:
    """For dataclasses that a plugin answers with: each field is what its annotation says.

    Without it, a text where `Means` is promised would be written to the accounts, and every page
    that reads them fail from then on.
    """

    __slots__ = ()

    def __post_init__(self) -> None:
        """Look at every field.

        Raises:
            TypeError: one is something else; a moment without a time zone, or one before 2000
                or after 2100, is one too, and a text with what no database keeps: a zero
                character, half of a pair.
        """
        # mypy takes a class of ours for one of its own instances.
        for name, kind in _fields(type(self)):  # type: ignore[arg-type]
            value = getattr(self, name)
            if not _is(value, kind):
                raise TypeError(f"{type(self).__name__}.{name} is {value!r:.80}, not {kind}")
            plain = _plain(value)
            if plain is not value:
                object.__setattr__(self, name, plain)


C = TypeVar("C", bound=Checked)


def exactly(kind: type[C], value: C) -> C:
    """`value` as one of `kind` itself: a subclass may say something else each time it is asked.

    Raises:
        TypeError: a field of it is something else than its annotation.
    """
    if type(value) is kind:
        return value
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    return kind(**{name: getattr(value, name) for name in names})


@cache
def _fields(owner: type) -> tuple[tuple[str, Any], ...]:
    return tuple(get_type_hints(owner).items())


def _is(value: object, kind: Any) -> bool:
    origin = get_origin(kind)
    if origin in {Union, UnionType}:
        return any(_is(value, one) for one in get_args(kind))
    if origin is Mapping:
        key, held = get_args(kind)
        return isinstance(value, Mapping) and all(
            _is(name, key) and _is(one, held) for name, one in value.items()
        )
    if origin is tuple:
        held, _more = get_args(kind)
        return isinstance(value, tuple) and all(_is(one, held) for one in value)
    if kind is str:
        return isinstance(value, str) and _is_text(value)
    if kind in {int, bool}:
        return type(value) is kind  # A bool is no amount.
    if kind is datetime:
        return (
            isinstance(value, datetime) and value.tzinfo is not None and value.year in YEARS
        )
    return isinstance(value, kind)


def _plain(value: object) -> object:
    """The same text as a text of Python's own: a subclass may compare, or print, as it likes."""
    if isinstance(value, str) and type(value) is not str and not isinstance(value, Enum):
        return str.__str__(value)
    if type(value) is tuple and value:
        plain = tuple(map(_plain, value))
        return value if all(map(operator.is_, plain, value)) else plain
    return value


def _is_text(value: str) -> bool:
    return "\0" not in value and not any("\ud800" <= character <= "\udfff" for character in value)
