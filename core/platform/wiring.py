"""Services made when they are first used, from what their constructors ask for by type."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, TypeVar, get_type_hints

C = TypeVar("C", bound=type)


class WiringError(Exception):
    """A service asks for something that nobody declares, or that two declare."""


def wired(*, types: Mapping[Any, str], names: Mapping[str, str]) -> Callable[[C], C]:
    """Make of each annotation of a class (``ledger: Ledger``) an attribute that is made once.

    A parameter of its constructor gets, by its type, the attribute that is annotated with it, the
    cached property that returns it, or what `types` names; else, by its name, what `names` says.
    All of it is looked up when the class is made, so that a gap stops the process at its start.

    Raises:
        WiringError: a parameter without a default cannot be filled, or by two attributes.
    """

    def wire(cls: C) -> C:
        services = {
            name: kind for name, kind in get_type_hints(cls).items() if not hasattr(cls, name)
        }
        written = {
            name: get_type_hints(member.func)["return"]
            for name, member in vars(cls).items()
            if isinstance(member, cached_property)
        }
        known: dict[Any, str] = dict(types)
        for name, kind in (services | written).items():
            if kind in known:
                raise WiringError(f"{known[kind]} and {name} are both {kind}")
            known[kind] = name
        for name, kind in services.items():
            made = cached_property(_maker(name, kind, known, names))
            made.__set_name__(cls, name)
            setattr(cls, name, made)
        return cls

    return wire


def _maker(
    service: str, kind: type, known: Mapping[Any, str], names: Mapping[str, str]
) -> Callable[[Any], Any]:
    hints = get_type_hints(kind.__init__)  # type: ignore[misc] # of the class itself
    by_place, by_name = [], []
    for name, parameter in inspect.signature(kind).parameters.items():
        source = known.get(hints.get(name)) or names.get(name)
        if source is None and parameter.default is not parameter.empty:
            continue
        if source is None:
            raise WiringError(f"nobody has the {name} ({hints.get(name)}) that {service} asks for")
        if parameter.kind is parameter.KEYWORD_ONLY:
            by_name.append((name, source))
        else:
            by_place.append(source)

    def make(uow: Any) -> Any:
        return kind(
            *(getattr(uow, source) for source in by_place),
            **{name: getattr(uow, source) for name, source in by_name},
        )

    return make
