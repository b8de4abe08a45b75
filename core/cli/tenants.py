"""``preau tenants``: the towns' files."""

from __future__ import annotations

import click

from core.platform.plugins.discovery import discovered
from core.platform.settings import get_settings
from core.platform.tenancy.law import missing
from core.runtime import read_towns, sync_towns


@click.group()
def tenants() -> None:
    """Check and list the towns."""


@tenants.command()
def check() -> None:
    """Read every tenant.toml and name what is wrong: file, key, reason; and what the law misses."""
    registry = read_towns(get_settings(), discovered())
    for config in registry:
        click.echo(f"ok     {config.slug}: {config.name} ({', '.join(sorted(config.enabled))})")
        for lack in missing(config):
            click.echo(f"todo   {config.slug}: {lack.key} is not said: {lack.reason}")
    for slug, problems in sorted(registry.broken.items()):
        for problem in problems:
            click.echo(f"WRONG  {problem}")
        click.echo(f"       {slug} answers 503 until this is mended; the other towns serve.")
    for slug in registry.left_out:
        click.echo(f"left out  {slug}: a demonstration, which production does not serve")
    if not registry.towns and not registry.broken:
        raise click.ClickException(f"no town below {get_settings().tenants_dir}/")
    if registry.broken:
        raise click.ClickException(f"{len(registry.broken)} town(s) cannot serve")


@tenants.command()
def sync() -> None:
    """Tell the database of new towns. `preau database migrate` does it too."""
    settings = get_settings()
    registry = read_towns(settings, discovered())
    sync_towns(settings.owner_url, registry)
    click.echo(f"{len(registry.towns)} town(s)")
