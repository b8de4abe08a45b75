"""``preau invoices``: import, publish, undo."""

from __future__ import annotations

import getpass
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

import click
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from core.api.errors import TownClosedError, UserError
from core.api.invoices import SourceFile
from core.api.messages import Document
from core.domain.money import decimal_text
from core.exchanges.states import IN
from core.imports.service import ImportReport
from core.platform.documents.presses import Press, PressError, print_all, set_apart
from core.platform.documents.render import Paper, together
from core.platform.tenancy.registry import UnknownTownError
from core.runtime import get_runtime
from core.unit_of_work import UnitOfWork

T = TypeVar("T")

SHOWN_PROBLEMS = 50


@contextmanager
def town_work(slug: str) -> Iterator[UnitOfWork]:
    """A unit of work for a command; refusals become one clear line."""
    with _in_words(slug), get_runtime().unit_of_work(slug, actor=_actor()) as town:
        yield town


def town_read(slug: str, act: Callable[[UnitOfWork], T]) -> T:
    """Give what a command reads of a town, from the standby if there is one; see `town_work`."""
    with _in_words(slug):
        return get_runtime().read(slug, act, actor=_actor())


def _actor() -> str:
    return f"cli:{getpass.getuser()}"


@contextmanager
def _in_words(slug: str) -> Iterator[None]:
    try:
        yield
    except UnknownTownError:
        raise click.ClickException(f"no town {slug!r}: see preau tenants check") from None
    except TownClosedError:
        raise click.ClickException(f"{slug} is closed for maintenance, or has moved") from None
    except UserError as error:
        raise click.ClickException(error.message) from None


@click.group()
def invoices() -> None:
    """Import invoices, publish them, take an import back."""


@invoices.command("import")
@click.argument("town_slug", metavar="TOWN")
@click.argument("path", metavar="FILE", type=click.Path(exists=True, path_type=Path))
@click.option("--source", default="csv", show_default=True, help="Format of the file.")
@click.option("--publish/--draft", default=False, help="Show them to the families at once.")
@click.option("--dry-run", is_flag=True, help="Say what would happen, keep nothing.")
def import_(town_slug: str, path: Path, source: str, *, publish: bool, dry_run: bool) -> None:
    """Import invoices from FILE (a CSV, a zip or a folder), all of them or none."""
    with town_work(town_slug) as town:
        reader = town.sources.get(source)
        if reader is None:
            known = ", ".join(town.sources)
            raise click.ClickException(f"no source {source!r} in this town; known: {known}")
        with _progress() as progress:
            task = progress.add_task("", total=None, count=0)
            report = town.imports.run(
                reader,
                SourceFile(path, path.name, path.stat().st_size),
                dry_run=dry_run,
                progress=lambda count: progress.update(task, count=count),
            )
        if report.refused:
            _explain(report)
            sys.exit(1)
        published = (
            town.imports.publish(report.batch_id) if publish and report.batch_id else None
        )
    # Told once it is so: whoever reads it may be gone, and must not take it back.
    counts = ", ".join(f"{count} {name}" for name, count in report.counts.items())
    click.echo(f"{'Would import' if dry_run else 'Imported'}: {counts}")
    for reason, sums in report.left_out.items():
        click.echo(f"Left out, {sums['count']}, {decimal_text(sums['cents'])} €: {reason}")
    for notice in report.notices:
        if not notice.left_out:
            where = f" (line {notice.line})" if notice.line else ""
            click.echo(f"Look at: {notice.message} {notice.value}".rstrip() + where)
    if published is not None:
        click.echo(f"Published {published} invoices.")
    if report.batch_id is not None:
        click.echo(f"Batch {report.batch_id}; undo with: preau invoices undo {town_slug} "
                   f"{report.batch_id}")  # fmt: skip


@invoices.command()
@click.argument("town_slug", metavar="TOWN")
@click.argument("batch", type=int)
def publish(town_slug: str, batch: int) -> None:
    """Show the drafts of BATCH to their families."""
    with town_work(town_slug) as town:
        click.echo(f"Published {town.imports.publish(batch)} invoices.")


@invoices.command()
@click.argument("town_slug", metavar="TOWN")
@click.argument("batch", type=int)
def undo(town_slug: str, batch: int) -> None:
    """Take BATCH back, unless something of it was paid."""
    with town_work(town_slug) as town:
        click.echo(f"Undone: {town.imports.undo(batch)} invoices.")


@invoices.command("list")
@click.argument("town_slug", metavar="TOWN")
def list_(town_slug: str) -> None:
    """List the town's imports."""
    for batch in town_read(town_slug, lambda town: town.imports.batches()):
        state = "undone" if batch.undone_at else "published" if batch.published_at else "draft"
        click.echo(f"{batch.id:6} {batch.created_at:%Y-%m-%d %H:%M} {state:9} "
                   f"{batch.file_name} {batch.counts}")  # fmt: skip


@invoices.command()
@click.argument("town_slug", metavar="TOWN")
@click.argument("name", metavar="PLACE", required=False)
def look(town_slug: str, name: str | None) -> None:
    """Look now at the places that invoices come from by themselves, or at one of them."""
    with town_work(town_slug) as town:
        names = [*town.config.file.exchanges.invoices]
        if name is not None and name not in names:
            raise click.ClickException(
                f"no place {name!r} in this town; known: {', '.join(names)}"
            )
        for one in [name] if name else names:
            count = town.intake.look(one)
            state = next(
                found
                for found in town.exchange_states.all()
                if (found.direction, found.name) == (IN, one)
            )
            click.echo(f"{one}: {state.problem or f'{count} file(s) read'}")


@invoices.command("print")
@click.argument("town_slug", metavar="TOWN")
@click.argument("batch", type=int)
@click.option("--to", "folder", required=True, type=click.Path(file_okay=False, path_type=Path),
              help="Folder for the files; made if need be.")
@click.option("--each", default=40, show_default=True, type=click.IntRange(1, 100),
              help="Invoices of one file.")
@click.option("--processes", default=os.cpu_count(), show_default="a core each",
              type=click.IntRange(1, 64), help="Processes that set papers side by side.")
def print_(town_slug: str, batch: int, folder: Path, each: int, processes: int) -> None:
    """Write the published invoices of BATCH as PDF files for a printer, sorted by family.

    Each invoice begins on a page of its own. An invoice whose source gave a PDF is a file of its
    own, as it came. An invoice that cannot be printed is named, the others are printed, and the
    command fails at its end.
    """
    ids = town_read(town_slug, lambda town: town.invoices.ids_to_print(batch))
    folder.mkdir(parents=True, exist_ok=True)
    counts = Counter[str]()
    parts: dict[str, list[Paper]] = {}
    failed: list[str] = []

    def files() -> Iterator[Paper]:
        # A transaction for each file: printing takes minutes.
        for start in range(0, len(ids), each):
            some = ids[start : start + each]
            found = town_read(town_slug, partial(_papers, some))
            papers = [one for one in found if isinstance(one, Paper)]
            for number, one in zip(some, found, strict=True):
                if isinstance(one, Document):
                    (folder / f"facture-{number}.pdf").write_bytes(one.content)
                    counts["alone"] += 1
            if papers:
                name = f"factures-{batch}-{start // each + 1:04d}"
                parts[name] = papers
                yield together(papers, name, f"Factures {start + 1}–{start + len(found)}")

    for paper, content in print_all(files(), processes=processes):
        papers = parts.pop(paper.name)
        if isinstance(content, PressError):
            printed = _print_rest(paper, papers, failed)
        else:
            printed = content, len(papers)
        if printed:
            (folder / f"{paper.name}.pdf").write_bytes(printed[0])
            counts["files"] += 1
            counts["together"] += printed[1]
    click.echo(f"{counts['together']} invoices in {counts['files']} files, "
               f"{counts['alone']} as their source gave them: {folder}")  # fmt: skip
    if failed:
        raise click.ClickException(f"not printed: {', '.join(failed)}")


def _papers(numbers: Sequence[int], town: UnitOfWork) -> list[Paper | Document | None]:
    return [town.invoices.paper(number) for number in numbers]


def _print_rest(
    paper: Paper, papers: list[Paper], failed: list[str]
) -> tuple[bytes, int] | None:
    """A file without the papers that cannot be set, which `failed` names then; and their number."""
    papers, bad = set_apart(papers)
    failed += [one.name for one in bad]
    if not papers:
        return None
    title = paper.title.removesuffix(f" – {paper.author}")
    with Press() as press:
        try:
            return press.set(together(papers, paper.name, title)), len(papers)
        except PressError:  # Each of them can be set, all at once cannot.
            failed += [one.name for one in papers]
            return None


def _progress() -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.fields[count]} invoices read"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )


def _explain(report: ImportReport) -> None:
    click.echo(f"Nothing was imported: {report.problem_count} problem(s).", err=True)
    for problem in report.problems[:SHOWN_PROBLEMS]:
        where = ", ".join(
            filter(
                None,
                (
                    problem.file,
                    f"ligne {problem.line}" if problem.line else "",
                    f"colonne {problem.column}" if problem.column else "",
                    f"« {problem.value} »" if problem.value else "",
                ),
            )
        )
        click.echo(f"  {where + ' : ' if where else ''}{problem.message}", err=True)
    left = report.problem_count - SHOWN_PROBLEMS
    if left > 0:
        click.echo(f"  … and {left} more", err=True)
