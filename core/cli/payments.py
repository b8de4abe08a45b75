"""``preau payments``: exports for the billing software."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from core.cli.invoices import town_read, town_work
from core.domain.money import decimal_text
from core.exchanges.states import OUT
from core.platform.errors import NotFoundError
from core.unit_of_work import UnitOfWork


@click.group()
def payments() -> None:
    """Export payments to the billing software."""


@payments.command("export")
@click.argument("town_slug", metavar="TOWN")
@click.argument("regie", metavar="REGIE")
@click.option("--number", type=click.IntRange(1), help="One that was made, again: the same bytes.")
@click.option("--to", "folder", type=click.Path(file_okay=False, path_type=Path),
              help="Folder for the file; made if need be. Without it: to the output.")
def export(town_slug: str, regie: str, number: int | None, folder: Path | None) -> None:
    """Write what no export of REGIE told yet into the next one, or an earlier one again."""
    with town_work(town_slug) as town:
        if not town.config.collects(regie):
            known = ", ".join(info.key for info in town.town.regies if info.collects)
            raise click.ClickException(f"no régie {regie!r} that collects here; known: {known}")
        try:
            made = (
                town.payment_exports.numbered(regie, number)
                if number
                else town.payment_exports.make(regie)
            )
        except NotFoundError:
            raise click.ClickException(f"{regie} has no export {number}") from None
        if made is None:
            click.echo("Nothing to export.", err=True)
            return
        content, name = town.payment_exports.content(made.id), made.file_name
        town.payment_exports.leave(made.id, town.audit.actor)
        summary = f"Export {made.number}: {made.count} rows, {decimal_text(made.total)} €"
    # Written once it is so: whoever reads it may be gone, and then asks for its number again.
    if folder is None:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
    else:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    click.echo(summary, err=True)


@payments.command("exports")
@click.argument("town_slug", metavar="TOWN")
def exports(town_slug: str) -> None:
    """List the exports of a town's régies."""

    def listed(town: UnitOfWork) -> list[str]:
        lines = []
        for regie in (info.key for info in town.town.regies if info.collects):
            rows = town.payment_exports.page(regie, limit=1000).rows
            for one in reversed(rows):
                left = f"left {one.left_at:%Y-%m-%d %H:%M} ({one.left_by})" if one.left_at else ""
                lines.append(
                    f"{regie:20} {one.number:6} {one.made_at:%Y-%m-%d %H:%M} {one.count:6} "
                    f"{decimal_text(one.total):>12} {left}".rstrip()
                )
        return lines

    for line in town_read(town_slug, listed):
        click.echo(line)


@payments.command("send")
@click.argument("town_slug", metavar="TOWN")
@click.argument("regie", metavar="REGIE")
def send(town_slug: str, regie: str) -> None:
    """Send now what of REGIE has not left, to the place that the town's file names."""
    with town_work(town_slug) as town:
        if regie not in town.config.file.exchanges.payments:
            known = ", ".join(town.config.file.exchanges.payments)
            raise click.ClickException(f"no place for {regie!r} in this town; known: {known}")
        count = town.sending.send(regie)
        problem = next(
            one.problem
            for one in town.exchange_states.all()
            if one.direction == OUT and one.name == regie
        )
    if problem:
        raise click.ClickException(problem)
    click.echo(f"Sent {count} export(s).")
