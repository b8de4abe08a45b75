"""``preau tenant``: one town that is closed, written into a file, loaded, moved to another cell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import click
import psycopg
from sqlalchemy.engine import make_url

from core.cells import archive, closing, loading, moving
from core.cells.archive import CellError, Manifest
from core.cells.closing import BusyTownError
from core.platform.documents.objects import StoreAwayError, open_store
from core.platform.settings import Settings, SettingsError, get_settings, of_files
from core.platform.tenancy.models import TownState

CONNECT_SECONDS = 10
THOUGH_OTHER_KEY = (
    "Though PREAU_SECRET_KEY is another one there: access codes, links, sessions and second factors"
    " of the town end."
)


@click.group()
def tenant() -> None:
    """One town: close it for maintenance, write it into a file, load it, move it elsewhere."""


@tenant.command("close")
@click.argument("slug", metavar="TOWN")
def close_(slug: str) -> None:
    """Let TOWN answer "en maintenance" until it is opened. Workers end what they have first."""
    with _refusals(), _database(get_settings()) as connection:
        closing.close(connection, slug)
    click.echo(f"{slug} is closed. Open it again: preau tenant open {slug}")


@tenant.command("open")
@click.argument("slug", metavar="TOWN")
@click.option("--moved", is_flag=True, help="Though it has moved away: it is to live here again.")
def open_(slug: str, *, moved: bool) -> None:
    """Let TOWN serve again."""
    with _refusals(), _database(get_settings()) as connection:
        state = closing.known(connection, slug)
        if state is TownState.ARRIVING and not loading.is_inhabited(connection, slug):
            raise CellError(f"{slug} has not arrived: its move was broken off, or is under way")
        if state is TownState.MOVED and not moved:
            raise CellError(
                f"{slug} has moved away: what happened since is not here. If it is closed there,"
                " and is to live here as it was: --moved"
            )
        closing.set_state(connection, slug, TownState.OPEN)
    click.echo(f"{slug} is open.")


@tenant.command("export")
@click.argument("slug", metavar="TOWN")
@click.argument("path", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--open", "opens", is_flag=True, help="Open it again afterwards: a copy, no move.")
def export_(slug: str, path: Path, *, opens: bool) -> None:
    """Close TOWN and write it into FILE: all its rows, in every table, and all its papers.

    FILE is readable by its owner alone, and complete or not there. It holds families' data.
    """
    with _refusals(), _database(get_settings()) as connection:
        before = closing.known(connection, slug)
        closing.close(connection, slug)
        try:
            manifest = _write(connection, slug, path, get_settings())
        except BaseException:
            closing.reopen(connection, slug, before)
            raise
        if opens:
            closing.set_state(connection, slug, TownState.OPEN)
    click.echo(f"{path}: {_size(manifest)}")
    if not opens:
        click.echo(f"{slug} is closed here. Open it again: preau tenant open {slug}")


@tenant.command("import")
@click.argument(
    "path", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--replace", is_flag=True, help="Take away the town that lives here by this name.")
@click.option("--other-secret", is_flag=True, help=THOUGH_OTHER_KEY)
def import_(path: Path, *, replace: bool, other_secret: bool) -> None:
    """Load a town from FILE: all of it, compared with what was written, or nothing.

    The town is closed afterwards; its folder below PREAU_TENANTS_DIR is copied by hand.
    """
    settings = get_settings()
    with _refusals(), _database(settings) as connection:
        manifest = loading.load(
            connection,
            path,
            open_store(settings),
            replace=replace,
            secret_key=None if other_secret else settings.secret_key,
        )
    click.echo(f"{manifest.tenant} is here, and closed: {_size(manifest)}, all compared.")
    click.echo(f"Now: preau tenant open {manifest.tenant}")


@tenant.command()
@click.argument("slug", metavar="TOWN")
@click.option("--to", "files", required=True, multiple=True, metavar="ENV",
              type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="Settings of the other installation, as its environment files say them.")
@click.option("--other-secret", is_flag=True, help=THOUGH_OTHER_KEY)
def move(slug: str, files: Sequence[Path], *, other_secret: bool) -> None:
    """Move TOWN to another installation, while all other towns serve.

    Its folder below PREAU_TENANTS_DIR has to be there already. Papers go ahead, then the town is
    closed and its rows follow. If anything fails, the town is here as before; if this command is
    killed, the same command goes on. What is here stays, marked as moved; the way back is the same
    command there.
    """
    settings, other = get_settings(), _other(files)
    with _refusals(), _database(settings) as here, _database(other) as there:
        if not (Path(other.tenants_dir) / slug / "tenant.toml").is_file():
            click.echo(f"{other.tenants_dir}/{slug} is not seen from here: copy it", err=True)
        done = moving.move(
            moving.Cell(here, open_store(settings), settings.secret_key),
            moving.Cell(there, open_store(other), other.secret_key),
            slug,
            other_secret=other_secret,
        )
    if done.manifest is None:
        click.echo(f"{slug} had moved; it is open there now. Now tell the proxy's map.")
        return
    click.echo(f"{slug} has moved: {_size(done.manifest)}, all compared.")
    click.echo(f"{done.papers_ahead} papers went ahead.")
    click.echo(f"It was closed for {done.closed_seconds:.1f} s. Now tell the proxy's map.")


@tenant.command()
@click.argument("slug", metavar="TOWN")
def forget(slug: str) -> None:
    """Remove the rows of TOWN here, after it has moved away, or when it is not to arrive.

    Papers in an object store stay there: the other installation may use the same.
    """
    with _refusals(), _database(get_settings()) as connection:
        removed = loading.forget(connection, slug)
    click.echo(f"{slug}: {removed} rows removed")


def _write(
    connection: psycopg.Connection, slug: str, path: Path, settings: Settings
) -> Manifest:
    unfinished = path.with_name(path.name + ".unfinished")
    try:
        unfinished.unlink(missing_ok=True)
        unfinished.touch(mode=0o600)
        manifest = archive.write(
            connection,
            slug,
            unfinished,
            open_store(settings),
            secret_key=settings.secret_key,
        )
        unfinished.rename(path)
    except OSError as error:
        raise click.ClickException(f"{path}: {error.strerror}") from error
    finally:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
    return manifest


def _size(manifest: Manifest) -> str:
    rows = sum(content.rows for content in manifest.tables.values())
    return f"{rows} rows of {len(manifest.tables)} tables, {len(manifest.papers)} papers"


def _other(files: Sequence[Path]) -> Settings:
    try:
        return of_files(files)
    except SettingsError as error:
        raise click.ClickException(str(error)) from None


@contextmanager
def _database(settings: Settings) -> Iterator[psycopg.Connection]:
    if not settings.mover_url:
        raise click.ClickException(
            "PREAU_MOVER_URL is not set: deploy/postgresql/mover.sql makes the role"
            " (docs/scaling.md)"
        )
    url = make_url(settings.mover_url).set(drivername="postgresql")
    with psycopg.connect(
        url.render_as_string(hide_password=False),
        autocommit=True,
        connect_timeout=CONNECT_SECONDS,
    ) as connection:
        yield connection


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except BusyTownError as error:
        raise click.ClickException(f"{error}; the town is as before") from error
    except StoreAwayError as error:
        raise click.ClickException(f"the object store does not answer: {error}") from error
    except (CellError, SettingsError) as error:
        raise click.ClickException(str(error)) from error
    except psycopg.Error as error:
        raise click.ClickException(f"PostgreSQL: {str(error).strip()}") from error
