"""``preau documents``: where finished papers are kept, and moving them."""

from __future__ import annotations

from collections.abc import Callable

import click
from sqlalchemy.orm import Session

from core.cli.towns import town_work
from core.invoices import moving
from core.invoices.moving import Step
from core.platform.documents.objects import ObjectStore, StoreAwayError
from core.runtime import get_runtime

Stepping = Callable[[Session, str, ObjectStore, int], Step | None]

which = (
    click.option("--tenant", "slug", metavar="TOWN", help="This town only."),
    click.option("--all", "everywhere", is_flag=True, help="All towns, one after the other."),
)


@click.group()
def documents() -> None:
    """Papers in the object store: move them there and back, and look whether all are there."""


@documents.command()
@which[0]
@which[1]
@click.option("--back", is_flag=True, help="From the store into the database.")
def move(slug: str | None, everywhere: bool, back: bool) -> None:
    """Move papers from the database into the store, while the towns serve.

    May be broken off at any time, and called again: it goes on where it stopped. Each paper is read
    back from the store and compared before the database forgets it.
    """
    step = moving.move_back if back else moving.move_out
    _walk(slug, everywhere, step, "moved")


@documents.command()
@which[0]
@which[1]
def check(slug: str | None, everywhere: bool) -> None:
    """Read every paper of the store and compare it; names those that are lost or damaged."""
    _walk(slug, everywhere, moving.check, "right")


def _walk(slug: str | None, everywhere: bool, step: Stepping, word: str) -> None:
    if (slug is None) is not everywhere:
        raise click.UsageError("name a town (--tenant), or --all")
    runtime = get_runtime()
    if runtime.objects is None:
        raise click.ClickException("PREAU_DOCUMENTS_URL is not set: papers are in the database")
    lost = 0
    for name in [slug] if slug else [config.slug for config in runtime.serving()]:
        try:
            lost += _walk_town(name, runtime.objects, step, word)
        except StoreAwayError as error:
            raise click.ClickException(
                f"{name}: the store does not answer: {error}. What was done stays done; call again."
            ) from error
    if lost:
        raise click.ClickException(f"{lost} paper(s) are not what their row says")


def _walk_town(slug: str, store: ObjectStore, step: Stepping, word: str) -> int:
    after = done = size = 0
    faults: list[int] = []
    while True:
        with town_work(slug) as town:
            result = step(town.session, slug, store, after)
        if result is None:
            break
        after, done, size = result.last, done + result.moved, size + result.size
        faults += result.faults
        click.echo(f"\r{slug}: {done} {word}, {size / 1e6:.1f} MB", nl=False, err=True)
    if done or faults:
        click.echo(err=True)
    for number in faults:
        click.echo(f"{slug}: document {number} is lost, or not what its SHA-256 says", err=True)
    with town_work(slug) as town:
        places = town.document_files.places()
    click.echo(
        f"{slug}: {done} {word}; now {places.in_store} in the store,"
        f" {places.in_database} in the database"
    )
    return len(faults)
