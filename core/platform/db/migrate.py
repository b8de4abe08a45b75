"""Bringing the schema up to date: core's versions and those of every installed plugin."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

CORE_VERSIONS = Path(__file__).parents[2] / "migrations" / "versions"

_LOCK = 7_270_001
"""Any constant: two machines that deploy at once migrate one after the other."""

LOCK_SECONDS = 10
"""Time that a migration may wait for a table that is in use, before it gives up unchanged."""


OLDEST_POSTGRESQL = 15
"""The oldest server that Préau runs on: that of Debian 12. Doctor, script and documents name it."""


class OldServerError(Exception):
    """PostgreSQL is older than `OLDEST_POSTGRESQL`; nothing was changed."""


def _config(versions: Iterable[Path]) -> Config:
    config = Config()
    config.set_main_option("script_location", str(CORE_VERSIONS.parent))
    config.set_main_option("path_separator", "newline")
    config.set_main_option(
        "version_locations", "\n".join(str(path) for path in (CORE_VERSIONS, *versions))
    )
    return config


def upgrade(owner_url: str, plugin_versions: Iterable[Path] = (), *, to: str = "heads") -> None:
    """Migrate the database at `owner_url` up to `to`, as the owner of the tables."""
    _run(owner_url, plugin_versions, lambda config: command.upgrade(config, to))


def downgrade(owner_url: str, plugin_versions: Iterable[Path] = (), *, to: str = "base") -> None:
    """Migrate the database at `owner_url` down to `to`."""
    _run(owner_url, plugin_versions, lambda config: command.downgrade(config, to))


def _run(owner_url: str, plugin_versions: Iterable[Path], action: Callable[[Config], None]) -> None:
    engine = create_engine(owner_url, poolclass=NullPool)
    config = _config(plugin_versions)
    with engine.connect() as connection:
        number = int(connection.scalar(text("SHOW server_version_num")) or 0)
        if number < OLDEST_POSTGRESQL * 10_000:
            raise OldServerError(f"PostgreSQL {OLDEST_POSTGRESQL} or newer is needed, not {number}")
        connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": _LOCK})
        # A migration that waits for a lock makes all who serve wait behind it: rather try again.
        connection.execute(text(f"SET lock_timeout = '{LOCK_SECONDS}s'"))
        connection.commit()
        try:
            config.attributes["connection"] = connection
            action(config)
            connection.commit()
        finally:
            connection.rollback()
            connection.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": _LOCK})
            connection.commit()
    engine.dispose()
