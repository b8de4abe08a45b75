"""``preau database``: the schema."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from core.platform.db import partitions
from core.platform.db.migrate import OldServerError, upgrade
from core.platform.plugins.discovery import discovered, installed
from core.platform.settings import Settings, get_settings
from core.runtime import read_towns, sync_towns

DEFAULT_YEARS = 10
"""Years for which vouchers are kept where no town says another number."""


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


@database.command()
def housekeep() -> None:
    """Make room for the next months of the trail and of providers' answers; drop the oldest.

    Answers are kept as long as the town that keeps its vouchers longest (``accounts_years``), the
    trail as long, or for ``PREAU_TRAIL_MONTHS``. Run it every night; nothing waits for it.
    """
    settings = get_settings()
    towns = read_towns(settings, discovered())
    years = [config.file.legal.accounts_years for config in towns]
    if towns.broken:
        raise click.ClickException("A town's file is wrong: who knows how long it keeps vouchers?")
    today = datetime.now(UTC).date()
    for name in partitions.make_room(settings.owner_url, today):
        click.echo(f"Made {name}")
    vouchers = 12 * (max(years, default=DEFAULT_YEARS) + 1)
    for table, months in (
        ("payment_answer", vouchers),
        ("audit_entry", settings.trail_months or vouchers),
    ):
        keep_from = partitions.month_after(today.replace(day=1), -months)
        for name in partitions.drop_past(settings.owner_url, table, keep_from):
            click.echo(f"Dropped {name}")
        click.echo(f"{table} is kept from {keep_from:%Y-%m} on")


def migrate_all(settings: Settings) -> None:
    """Migrate, then write the towns that serve into the database."""
    upgrade(settings.owner_url, plugin_versions())
    partitions.make_room(settings.owner_url, datetime.now(UTC).date())
    sync_towns(settings.owner_url, read_towns(settings, discovered()))


def plugin_versions() -> list[Path]:
    """Folders of the installed plugins' migrations."""
    return [source.directory for source in installed().hook.migrations() if source is not None]
