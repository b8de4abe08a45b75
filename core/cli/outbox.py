"""``preau outbox``: effects that were given up, and trying them again."""

from __future__ import annotations

import uuid

import click

from core.cli.invoices import town_work
from core.runtime import get_runtime


@click.group()
def outbox() -> None:
    """Look at effects that were given up, and try them again."""


@outbox.command()
@click.argument("town_slug", metavar="[TOWN]", default="")
def dead(town_slug: str) -> None:
    """List what was given up in TOWN, or in every town: number, since when, what, why."""
    slugs = [town_slug] if town_slug else sorted(c.slug for c in get_runtime().registry)
    found = 0
    for slug in slugs:  # One after the other: nobody but the relay sees several towns at once.
        with town_work(slug) as town:
            for row in town.dead_effects.page():
                found += 1
                since = f"{row.created_at:%Y-%m-%d %H:%M}"
                click.echo("\t".join((slug, str(row.id), since, row.topic, row.last_error)))
    if not found:
        click.echo("Nothing was given up.", err=True)


@outbox.command()
@click.argument("town_slug", metavar="TOWN")
@click.argument("numbers", metavar="[NUMBER]...", nargs=-1, type=click.UUID)
@click.option("--all", "everything", is_flag=True, help="All that was given up.")
@click.option("--topic", default="", help="With --all: only effects of this topic.")
def retry(town_slug: str, numbers: tuple[uuid.UUID, ...], topic: str, *, everything: bool) -> None:
    """Try effects of TOWN again, from their first attempt; the trail keeps who asked.

    Each keeps its key: what was done already is not done twice.
    """
    if bool(numbers) == everything:
        raise click.UsageError("name effects, or say --all")
    if topic and not everything:
        raise click.UsageError("--topic goes with --all")
    done = 0
    # Page by page: the desk shows a screenful.
    while rows := list(numbers) or _next(town_slug, topic):
        with town_work(town_slug) as town:
            for number in rows:
                town.dead_effects.retry(number)
        done += len(rows)
        if numbers:
            break
    click.echo(f"{done} effect(s) will be tried again.")


def _next(town_slug: str, topic: str) -> list[uuid.UUID]:
    with town_work(town_slug) as town:
        return town.dead_effects.ids(topic)
