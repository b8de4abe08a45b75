"""``preau plugins`` and ``preau plugin``: what is installed, how it is, and how to begin one."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, entry_points, version
from pathlib import Path
from typing import Any

import click
import jinja2
from rich.console import Console
from rich.table import Table

from core.api.web import Audience
from core.hookspecs import VERSION
from core.overview.health import problem_of
from core.platform.plugins.discovery import GROUP, PluginLoadError, discovered
from core.platform.settings import get_settings
from core.runtime import Runtime, get_runtime, read_towns
from core.unit_of_work import UnitOfWork

TEMPLATE = Path(__file__).parent / "plugin_template"
KINDS = {
    "page": (
        "a page for signed-in parents, with a greeting that each town sets",
        'greeting = "Bienvenue à la cantine"',
    ),
    "source": ("a format of invoices", 'regie = "CANTINE"'),
    "provider": (
        "a way to pay online",
        'url = "https://pay.example.org"\n    regies = ["CANTINE"]',
    ),
    "channel": ("a way to reach families", 'sender = "Mairie"'),
}
"""Kinds of plugins that `new` makes: each is what, and the settings of a town as an example."""
CALL_TIMEOUT_SECONDS = 5.0
"""Time that a plugin may take to answer about its health."""

LISTS = (
    "invoice_sources", "payment_providers", "notification_channels", "message_kinds",
    "family_groups", "record_imports", "chat_skills", "todo_entries", "health_checks",
)  # fmt: skip
"""The hooks that `health` calls as pages and workers do; `menu_entries` besides."""


@dataclass(frozen=True, slots=True)
class Installed:
    """A plugin as far as one can tell without a town."""

    name: str
    label: str
    distribution: str
    version: str
    hooks: tuple[str, ...]


def installed_plugins() -> Iterator[Installed]:
    """Every plugin of this environment, by name.

    Raises:
        PluginLoadError: one of them does not load.
    """
    extensions = discovered()
    homes: dict[str, Distribution | None] = {
        point.name: point.dist for point in entry_points(group=GROUP)
    }
    hooks = [spec for spec in vars(extensions.installed.hook) if not spec.startswith("_")]
    for name, plugin in extensions.plugins.items():
        home = homes.get(name)
        own = frozenset({name})
        yield Installed(
            name,
            plugin.label,
            home.name if home else "?",
            home.version if home else plugin.version,
            tuple(hook for hook in sorted(hooks) if extensions.implementers(own, hook)),
        )


def health(runtime: Runtime, slug: str, plugin: str) -> list[str]:
    """Problems of a plugin in a town: its hooks are called, and its own questions asked."""
    problems = []
    with runtime.unit_of_work(slug, actor="cli") as town:
        for hook, arguments in (
            *((hook, {}) for hook in LISTS),
            *(("menu_entries", {"audience": audience}) for audience in Audience),
        ):
            answers = _called(runtime, town, plugin, hook, arguments)
            if answers is None:
                problems.append(f"{hook} fails (see the log)")
            elif hook == "health_checks":
                problems += [
                    f"{check.name}: {found}"
                    for check in answers
                    if (found := problem_of(slug, plugin, check, CALL_TIMEOUT_SECONDS))
                ]
    return problems


def _called(
    runtime: Runtime, town: UnitOfWork, plugin: str, hook: str, arguments: dict[str, Any]
) -> list[Any] | None:
    """Answers of one plugin to a hook; None when the plugin fails."""
    extensions = runtime.extensions
    if plugin not in extensions.implementers(town.config.enabled, hook):
        return []
    found = extensions.contained(
        town.config.enabled, hook, only=plugin, ctx=town, **arguments
    )
    return dict(found).get(plugin)


@click.command()
@click.option("--quick", is_flag=True, help="Do not call the plugins to see how they are.")
def plugins(quick: bool) -> None:
    """List the installed plugins: version, towns, hooks, health."""
    try:
        found = list(installed_plugins())
    except PluginLoadError as error:
        raise click.ClickException(str(error)) from error
    settings = get_settings()
    registry = read_towns(settings, discovered())
    runtime = get_runtime() if settings.database_url and not quick else None
    table = Table("plugin", "from", "towns", "hooks", *([] if quick else ["health"]))
    ill = 0
    for plugin in found:
        towns = [c.slug for c in registry if plugin.name in c.enabled]
        row = [
            f"{plugin.name}\n{plugin.label}",
            f"{plugin.distribution}\n{plugin.version}",
            _few(towns),
            "\n".join(plugin.hooks),
        ]
        if not quick:
            problems = list(_problems(runtime, plugin.name, towns)) if runtime else []
            ill += bool(problems)
            unknown = "–" if runtime else "no database"
            row.append("\n".join(problems) or ("well" if towns and runtime else unknown))
        table.add_row(*row)
    console = Console()
    console.print(table, markup=False)
    for wrong in registry.broken.values():
        for problem in wrong:
            console.print(f"In maintenance: {problem}", markup=False)
        ill += 1
    console.print(f"Hook specification {VERSION}. Counted faults: preau_plugin_faults_total.")
    if runtime:
        runtime.close()
    if ill:
        raise click.exceptions.Exit(1)


def _problems(runtime: Runtime, plugin: str, towns: list[str]) -> Iterator[str]:
    for slug in towns:
        try:
            problems = health(runtime, slug, plugin)
        except Exception as error:  # noqa: BLE001 - no database: say so, and list all the same
            words = str(error).strip().splitlines() or [type(error).__name__]
            problems = [words[0]]
        yield from (f"{slug}: {problem}" for problem in problems)


def _few(towns: list[str]) -> str:
    shown = towns[:8]
    if len(towns) > len(shown):
        shown.append(f"… {len(towns)} in all")
    return "\n".join(shown) or "none"


@click.group()
def plugin() -> None:
    """Begin a plugin, and hold it against a checklist."""


@plugin.command()
@click.argument("name")
@click.option(
    "--kind",
    type=click.Choice(list(KINDS)),
    default="page",
    help="What it brings: a page unless told. docs/plugins/ has a tutorial for each.",
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help="Where to make it; the current folder unless told.",
)
def new(name: str, kind: str, folder: Path) -> None:
    """Make a plugin NAME (as ``cantine-plus``): a distribution of its own that works at once."""
    try:
        made = create(name, folder, kind)
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"Made {made}. Now:")
    click.echo(f'  cd {made} && pip install -e ".[test]" && pytest')


def create(name: str, folder: Path, kind: str = "page") -> Path:
    """Write the template of a kind as the plugin `name` into a new folder below `folder`.

    Raises:
        ValueError: no plugin can be called so, or the folder is taken.
    """
    identifier = name.removeprefix("preau-").replace("-", "_")
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,40}", identifier) or keyword.iskeyword(identifier):
        raise ValueError(f"{name!r} is no name for a plugin: small letters, digits and hyphens")
    if identifier in {point.name for point in entry_points(group=GROUP)}:
        raise ValueError(f"a plugin called {identifier} is installed here already")
    distribution = f"preau-{identifier.replace('_', '-')}"
    target = folder / distribution
    if target.exists():
        raise ValueError(f"{target} exists already")
    about, example = KINDS[kind]
    words = {
        "kind": kind,
        "about": about,
        "example": example,
        "name": identifier,
        "package": f"preau_{identifier}",
        "distribution": distribution,
        "label": identifier.replace("_", " ").capitalize(),
        "class_name": "".join(part.capitalize() for part in identifier.split("_")),
        "preau_version": version("preau"),
    }
    # What is written is Python and TOML, whose quotes nobody may escape.
    render = jinja2.Environment(keep_trailing_newline=True).from_string  # noqa: S701
    sources = [(root, s) for root in ("common", kind) for s in (TEMPLATE / root).rglob("*.jinja2")]
    for root, source in sorted(sources):
        place = source.relative_to(TEMPLATE / root).with_suffix("")
        if place.parts[0] == "package":
            place = Path("src", words["package"], *place.parts[1:])
        path = target / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(render(source.read_text("utf-8")).render(words), "utf-8")
    return target


@plugin.command("check")
@click.argument("name")
def check_(name: str) -> None:
    """Hold the installed plugin NAME against the checklist of docs/plugins.md."""
    from core.cli.plugin_check import check

    try:
        found = discovered().plugins.get(name)
    except PluginLoadError as error:
        raise click.ClickException(str(error)) from error
    if found is None:
        raise click.ClickException(f"no plugin {name!r} is installed: see preau plugins")
    homes = {point.name: point.dist for point in entry_points(group=GROUP)}
    points = check(found, homes.get(name))
    for point in points:
        click.echo(f"{'✗' if point.found else '✓'} {point.words}")
        for wrong in point.found:
            click.echo(f"    {wrong}")
    click.echo("Its tests do the rest: subclass core.testing.conformance.PluginContract.")
    if any(point.found for point in points):
        raise click.exceptions.Exit(1)


@plugin.command()
def reference() -> None:
    """Print the reference of all hooks and types, as in docs/plugins-reference.md."""
    from core.cli.plugin_reference import reference as write

    click.echo(write(), nl=False)


__all__ = ["create", "health", "installed_plugins", "plugin", "plugins"]
