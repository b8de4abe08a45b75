"""``preau planning``: read files of enrolments, write the export for billing."""

from __future__ import annotations

import getpass
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import click

from core.plugin import (
    RecordReport,
    SourceFile,
    SourceProblem,
    TenantContext,
    UnknownTownError,
    UserError,
)
from plugins.planning.billing import Billing
from plugins.planning.book import Book
from plugins.planning.enrolments import Enrolments, read
from plugins.planning.settings import PlanningSettings

_DAY = click.DateTime(["%Y-%m-%d"])
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
SHOWN_PROBLEMS = 200


@click.group()
def planning() -> None:
    """Days that families book in the town's services."""


@contextmanager
def _town(slug: str) -> Iterator[tuple[TenantContext, PlanningSettings]]:
    from plugins.planning import plugin  # noqa: PLC0415 - the plugin object imports us

    try:
        with click.get_current_context().obj.open(slug) as ctx:
            yield ctx, ctx.settings(plugin)
    except UnknownTownError:
        raise click.ClickException(f"no town {slug!r}: see preau tenants check") from None
    except KeyError:
        raise click.ClickException(f"{slug} does not enable planning") from None
    except UserError as error:
        raise click.ClickException(error.message) from None


@planning.command()
@click.argument("town")
@click.option("--from", "first", type=_DAY, help="The first day.")
@click.option("--to", "last", type=_DAY, help="The last day, included.")
@click.option("--new", is_flag=True, help="Export what no export had yet, and corrections.")
@click.option("--again", type=int, help="Write this export again, as it was.")
def export(
    town: str, first: datetime | None, last: datetime | None, *, new: bool, again: int | None
) -> None:
    """Write what is to be billed, as CSV, each child, service and day once."""
    with _town(town) as (ctx, _settings):
        billing = Billing(ctx, actor=f"cli:{getpass.getuser()}")
        if again is not None:
            found = billing.again(again)
            if found is None:
                raise click.ClickException(f"no export {again}")
            content = found.content
        elif first is None or last is None:
            raise click.UsageError("say --from and --to, or --again")
        elif new:
            made = billing.export(first.date(), last.date())
            if made is None:
                click.echo("nothing new", err=True)
                return
            click.echo(f"export {made.id}, {made.count} rows", err=True)
            content = made.content
        else:
            content = billing.whole(first.date(), last.date())
    # Written once it is kept: a row that went out and was not noted would go out again.
    click.echo(content, nl=False)


@planning.command(name="import")
@click.argument("town")
@click.argument("file", type=_FILE)
@click.option("--check", is_flag=True, help="Report what it would do, and change nothing.")
def import_(town: str, file: Path, *, check: bool) -> None:
    """Read a file of enrolments (docs/planning.md), as the page *Imports* does."""
    with _town(town) as (ctx, settings):
        found = list(read(SourceFile(file, file.name, file.stat().st_size), settings.services))
        problems = [one for one in found if isinstance(one, SourceProblem)]
        rows = [one for one in found if not isinstance(one, SourceProblem)]
        source = f"cli/{secrets.token_hex(4)}"
        report = RecordReport(problems=tuple(problems))
        if not problems:
            with ctx.session.begin_nested() as attempt:
                report = Enrolments(ctx, Book(ctx, settings, actor="import")).merge(rows, source)
                if check or report.problems:
                    attempt.rollback()
        for problem in report.problems[:SHOWN_PROBLEMS]:
            where = f"{file.name}:{problem.line}: {problem.column}"
            click.echo(f"{where} {problem.message}", err=True)
        if report.problems:
            raise click.ClickException("nothing is imported")
    for figure in report.figures:
        click.echo(f"{figure.label}: {figure.count}")
    if not check:
        click.echo(f"Undo with: preau planning undo {town} {source}")


@planning.command()
@click.argument("town")
@click.argument("source")
def undo(town: str, source: str) -> None:
    """Take a file of enrolments back, as the command that imported it named it."""
    with _town(town) as (ctx, settings):
        report = Enrolments(ctx, Book(ctx, settings, actor="import")).undo(source)
    for figure in report.figures:
        click.echo(f"{figure.label}: {figure.count}")
