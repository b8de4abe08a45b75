"""The reference of the plugin API in Markdown, written from the code that it describes."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Iterator
from enum import Enum
from typing import Any

from core import hookspecs, plugin

HEAD = """\
# Reference of the plugin API

Written by `preau plugin reference > docs/plugins-reference.md`; do not edit. All of it is imported
from `core.plugin`. How to use it: [plugins.md](plugins.md)."""


def reference() -> str:
    """All hooks in the order of their file, then all types in alphabetical order."""
    parts = [HEAD, "## Hooks", *(_hook(spec) for spec in hooks()), "## Types"]
    for name in sorted(set(plugin.__all__), key=str.casefold):
        thing = getattr(plugin, name)
        if inspect.isclass(thing):
            parts.append(_type(name, thing))
    parts.append("## Functions")
    for name in sorted(plugin.__all__, key=str.casefold):
        thing = getattr(plugin, name)
        if inspect.isfunction(thing):
            parts.append(_function(name, thing))
    return "\n\n".join(parts) + "\n"


def hooks() -> list[Any]:
    """The hook specifications."""
    return [
        thing
        for thing in vars(hookspecs).values()
        if inspect.isfunction(thing) and thing.__module__ == hookspecs.__name__
    ]


def _hook(spec: Any) -> str:
    return f"### `{spec.__name__}`\n\n```python\n{_signature(spec)}\n```\n\n{_doc(spec)}"


def _function(name: str, thing: Any) -> str:
    return f"### `{name}`\n\n```python\n{_signature(thing, name)}\n```\n\n{_doc(thing)}"


def _signature(thing: Any, name: str = "") -> str:
    # Annotations are text everywhere (`from __future__ import annotations`): show them unquoted.
    text = re.sub(r"(: |> )'([^']*)'", r"\1\2", str(inspect.signature(thing)))
    return f"{name or thing.__name__}{text}"


def _type(name: str, thing: type) -> str:
    lines = [f"### `{name}`", "", _doc(thing), ""]
    lines += [f"- {line}" for line in _members(thing)]
    return "\n".join(lines).rstrip()


def _members(thing: type) -> Iterator[str]:
    if issubclass(thing, Enum):
        yield ", ".join(f"`{member.name}`" for member in thing)
        return
    if dataclasses.is_dataclass(thing):
        for field in dataclasses.fields(thing):
            default = _default(field)
            yield f"`{field.name}: {field.type}{default}`"
        return
    if getattr(thing, "_is_protocol", False):
        for name, kind in inspect.get_annotations(thing).items():
            yield f"`{name}: {kind}`"
        for name, member in vars(thing).items():
            if name.startswith("_"):
                continue
            if isinstance(member, property):
                kind = inspect.get_annotations(member.fget)["return"]  # type: ignore[arg-type]
                yield f"`{name}: {kind}`: {_doc(member, inline=True)}"
            elif inspect.isfunction(member):
                yield f"`{_signature(member)}`: {_doc(member, inline=True)}"


def _default(field: dataclasses.Field[Any]) -> str:
    if field.default is not dataclasses.MISSING:
        default = field.default
        return f" = {default if isinstance(default, Enum) else repr(default)}"
    return " = …" if field.default_factory is not dataclasses.MISSING else ""


def _doc(thing: Any, *, inline: bool = False) -> str:
    """The docstring as Markdown: rst's double backquotes are Markdown's single ones."""
    text = inspect.getdoc(thing) or ""
    text = re.sub(r"``([^`]+)``", r"`\1`", text)
    return " ".join(text.split()) if inline else text
