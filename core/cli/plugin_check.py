"""``preau plugin check``: what can be seen of a plugin without running it, as a checklist."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from core.api.plugin import Plugin
from core.platform.plugins.discovery import Extensions

PUBLIC = {"core.plugin", "core.testing"}
_CLOCKS = {("datetime", "now"), ("datetime", "utcnow"), ("date", "today"), ("time", "time")}
_FORM = re.compile(r"<form\b[^>]*method=[\"']?post", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Point:
    """A line of the checklist. `found` is what is wrong, with its place; empty: all is well."""

    words: str
    found: tuple[str, ...] = ()


def check(plugin: Plugin[Any], home: Distribution | None = None) -> list[Point]:
    """Hold a plugin against what docs/plugins.md asks of every one."""
    folder = Path(sys.modules[type(plugin).__module__].__file__ or ".").parent
    trees = dict(_trees(folder))
    return [
        Point("it loads, has a label and hooks that exist", tuple(_loads(plugin))),
        Point("its settings refuse a key that is misspelt", tuple(_settings(plugin))),
        Point(
            "it imports core.plugin and nothing else of core", tuple(_each(trees, _imports, folder))
        ),
        Point("it asks ctx.clock for the time", tuple(_each(_in_towns(trees), _clocks, folder))),
        Point("it keeps no money in fractions", tuple(_each(trees, _floats, folder))),
        Point("its tables keep the towns apart", tuple(_tables(folder))),
        Point("its forms carry the token", tuple(_forms(folder))),
        Point("its words have an English catalogue", tuple(_words(trees, folder))),
        Point("it says which Préau it is written for", tuple(_demands(home))),
    ]


def _loads(plugin: Plugin[Any]) -> Iterator[str]:
    extensions = Extensions({plugin.name: plugin})  # Raises where a hook is misspelt.
    hooks = [name for name in vars(extensions.installed.hook) if not name.startswith("_")]
    own = frozenset({plugin.name})
    if not any(extensions.implementers(own, hook) for hook in hooks):
        yield "it implements no hook"
    if not plugin.label.strip():
        yield "its label is empty"


def _settings(plugin: Plugin[Any]) -> Iterator[str]:
    models: dict[str, type[BaseModel]] = {
        "Settings": plugin.Settings,
        "Installation": plugin.Installation,
    }
    for name, model in models.items():
        if model.model_config.get("extra") != "forbid":
            yield f"{name} is no PluginSettings: unknown keys pass"
        if not model.model_config.get("frozen"):
            yield f"{name} is not frozen: one town's page could change it for all"


def _trees(folder: Path) -> Iterator[tuple[Path, ast.Module]]:
    for path in _files(folder, "*.py"):
        yield path, ast.parse(path.read_text("utf-8"), str(path))


def _files(folder: Path, pattern: str) -> list[Path]:
    """The plugin's files, but for simulators of other services: no town's page, no town's time."""
    found = (path.relative_to(folder) for path in folder.rglob(pattern))
    return sorted(folder / path for path in found if "simulator" not in path.parts)


def _each(
    trees: dict[Path, ast.Module],
    look: Callable[[ast.Module], Iterator[tuple[int, str]]],
    folder: Path,
) -> Iterator[str]:
    for path, tree in trees.items():
        lines = path.read_text("utf-8").splitlines()
        for line, words in look(tree):
            if "# noqa: DTZ" in lines[line - 1]:
                continue  # The author says why there.
            yield f"{path.relative_to(folder)}:{line}: {words}"


def _imports(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module or ""]
            if node.module == "core":
                names = [f"core.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            top = ".".join(name.split(".")[:2])
            if name.split(".")[0] == "core" and top not in PUBLIC:
                yield node.lineno, f"imports {name}"


def _in_towns(trees: dict[Path, ast.Module]) -> dict[Path, ast.Module]:
    """Without commands, which have the machine's time."""
    return {path: tree for path, tree in trees.items() if path.name != "commands.py"}


def _clocks(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            name = owner.id if isinstance(owner, ast.Name) else getattr(owner, "attr", "")
            if (name, node.func.attr) in _CLOCKS:
                yield node.lineno, f"calls {name}.{node.func.attr}()"


def _floats(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.AnnAssign) and isinstance(node.annotation, ast.Name):
            name = node.target.id if isinstance(node.target, ast.Name) else ""
            is_money = re.search(r"amount|price|balance|cents|montant|prix", name)
            if node.annotation.id == "float" and is_money:
                yield node.lineno, f"{name} is a float: money is integer cents"


def _tables(folder: Path) -> Iterator[str]:
    for path in sorted(folder.rglob("versions/*.py")):
        text = path.read_text("utf-8")
        made = set(re.findall(r"create_table\(\s*[\"'](\w+)[\"']", text))
        for table in sorted(made):
            if not re.search(rf"protect\(\s*[\"']{table}[\"']", text) and "for " not in text:
                yield f"{path.relative_to(folder)}: {table} is made without protect({table!r})"


def _forms(folder: Path) -> Iterator[str]:
    for path in _files(folder, "*.jinja2"):
        text = path.read_text("utf-8")
        posts = len(_FORM.findall(text))
        if posts > len(re.findall(r"csrf\(\)|csrf_token|hidden\(", text)):
            yield f"{path.relative_to(folder)}: a form without {{{{ csrf() }}}}"
        for name in re.findall(r"extends\s+[\"']([^\"']+)", text):
            if ":" in name:
                yield f"{path.relative_to(folder)}: extends {name}: use its short name"


def _words(trees: dict[Path, ast.Module], folder: Path) -> Iterator[str]:
    said = [
        node.args[0].value
        for tree in trees.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in {"_", "gettext", "ngettext"}
        and node.args
        and isinstance(node.args[0], ast.Constant)
    ]
    catalogue = folder / "locale" / "en" / "LC_MESSAGES" / "preau.po"
    if said and not catalogue.is_file():
        yield f"{len(said)} phrases, and no locale/en/LC_MESSAGES/preau.po"


def _demands(home: Distribution | None) -> Iterator[str]:
    if home is None or (home.name or "") == "preau":
        return
    if not any(re.match(r"preau\b.*[<>=~]", demand) for demand in home.requires or ()):
        yield f"{home.name} does not say `preau>=…` among its dependencies"


__all__ = ["Point", "check"]
