"""``preau database``: the schema."""

from __future__ import annotations

from pathlib import Path

import click

from core.platform.db.migrate import OldServerError, upgrade
from core.platform.plugins.discovery import discovered, installed
from core.platform.settings import Settings, get_settings
from core.runtime import read_towns, sync_towns


@click.group()
def database() -> None:
    """Bring the schema up to date."""


@database.command()
def migrate() -> None:
    """Run all migrations, core's and every installed plugin's, and note new towns."""
    try:
        migrate_all(get_settings())
    except OldServerError as error:
        raise click.ClickException(str(error)) from None
    click.echo("The schema is up to date.")


def migrate_all(settings: Settings) -> None:
    """Migrate, then write the towns that serve into the database."""
    upgrade(settings.owner_url, plugin_versions())
    sync_towns(settings.owner_url, read_towns(settings, discovered()))


def plugin_versions() -> list[Path]:
    """Folders of the installed plugins' migrations."""
    return [source.directory for source in installed().hook.migrations() if source is not None]
