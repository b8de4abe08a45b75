"""``preau planning``: read files of enrolments, write the export for billing."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import click

from core.plugin import UnknownTownError, UserError
from plugins.planning.book import Book
from plugins.planning.desk import Desk
from plugins.planning.enrolments import MOST_PROBLEMS, Enrolments

_DAY = click.DateTime(["%Y-%m-%d"])
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def planning() -> None:
    """Days that families book in the town's services."""


@contextmanager
def _desk(town: str) -> Iterator[tuple[Desk, Enrolments]]:
    from plugins.planning import plugin  # noqa: PLC0415 - the plugin object imports us

    actor = f"cli:{getpass.getuser()}"
    try:
        with click.get_current_context().obj.open(town) as ctx:
            book = Book(ctx, ctx.settings(plugin), actor=actor)
            yield Desk(ctx, book, actor=actor), Enrolments(ctx, book, actor=actor)
    except UnknownTownError:
        raise click.ClickException(f"no town {town!r}: see preau tenants check") from None
    except KeyError:
        raise click.ClickException(f"{town} does not enable planning") from None
    except UserError as error:
        raise click.ClickException(error.message) from None


@planning.command()
@click.argument("town")
@click.option("--from", "first", type=_DAY, required=True, help="The first day.")
@click.option("--to", "last", type=_DAY, required=True, help="The last day, included.")
def export(town: str, first: datetime, last: datetime) -> None:
    """Write what is to be billed, as CSV, each child, service and day once."""
    with _desk(town) as (desk, _files):
        click.echo(desk.billing(first.date(), last.date()), nl=False)


@planning.command(name="import")
@click.argument("town")
@click.argument("file", type=_FILE)
@click.option("--check", is_flag=True, help="Report what it would do, and change nothing.")
def import_(town: str, file: Path, *, check: bool) -> None:
    """Read a file of enrolments (docs/planning.md)."""
    with _desk(town) as (_desk_of_town, files):
        content = file.read_bytes()
        report = files.check(content) if check else files.run(file.name, content)
        for problem in report.problems[:MOST_PROBLEMS]:
            click.echo(f"{file.name}:{problem.line}: {problem.column} {problem.message}", err=True)
        if report.problems:
            raise click.ClickException("nothing is imported")
        click.echo(f"{report.new} new, {report.changed} changed or known")
