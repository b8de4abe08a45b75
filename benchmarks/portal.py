"""Servers, a migrated database and the tests' two towns, for benchmarks of the whole portal."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, text

from core.api.plugin import Plugin
from core.dev.embedded import Embedded
from core.platform.db.migrate import upgrade
from core.platform.db.rls import OWNER
from core.platform.plugins.discovery import installed
from core.testing.portal import Portal, make_portal

DATABASE = "bench"


@contextmanager
def servers() -> Iterator[tuple[Embedded, Path]]:
    """PostgreSQL with a migrated, empty database `DATABASE`, Valkey, and a folder for files.

    As durable as in production: what a commit costs is part of what is measured.
    """
    with tempfile.TemporaryDirectory(prefix="preau-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o711)  # where PostgreSQL has to run as "nobody", it must get through
        with Embedded(folder) as embedded:
            embedded.create_database(DATABASE)
            sources = installed().hook.migrations()
            upgrade(embedded.url(OWNER, DATABASE), [source.directory for source in sources])
            yield embedded, folder


@contextmanager
def running(
    *, plugins: Mapping[str, Plugin[Any]] | None = None, toml: str = "", **settings: Any
) -> Iterator[Portal]:
    """The portal of the tests (towns ``valmont`` and ``brumes``, FakePay, a clock that stands).

    The arguments are those of `core.testing.portal.make_portal`.
    """
    with servers() as (embedded, folder):
        portal = make_portal(
            embedded.addresses(DATABASE), folder / "portal", plugins=plugins, toml=toml, **settings
        )
        try:
            yield portal
        finally:
            portal.runtime.close()


def analysed(portal: Portal) -> None:
    """Let PostgreSQL know how the rows are spread, as it does by itself within the minute."""
    engine = create_engine(
        portal.owner_url.replace("preau_owner", "postgres"), isolation_level="AUTOCOMMIT"
    )
    with engine.connect() as connection:
        connection.execute(text("VACUUM ANALYZE"))
    engine.dispose()
