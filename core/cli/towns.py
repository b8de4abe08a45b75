"""``preau towns``: every town at a glance, and one town in full."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import click
from rich.console import Console
from rich.table import Table

from core.cli.invoices import town_work
from core.domain.smtp_replies import Cause
from core.overview.health import MailTrouble
from core.platform.clock import PARIS
from core.runtime import get_runtime
from core.unit_of_work import UnitOfWork


@click.command()
@click.argument("town_slug", metavar="[TOWN]", default="")
def towns(town_slug: str) -> None:
    """List all towns and how they are, or show TOWN in full; fails if one is not well."""
    runtime = get_runtime()
    slugs = [town_slug] if town_slug else sorted(config.slug for config in runtime.serving())
    console, wrong = Console(), 0
    table = Table("UnitOfWork", "Due", "Oldest", "Given up", "Last poll", "Wrong", box=None)
    for slug in slugs:  # One after the other: nobody but the relay sees several towns at once.
        with town_work(slug) as town:
            problems = list(_problems(town))
            if town_slug:
                _show(console, town)
            queue = town.health.queue()
            answers = [one.answered_at for one in town.health.providers() if one.answered_at]
            table.add_row(
                slug,
                str(queue.due),
                _moment(queue.oldest),
                str(queue.dead),
                _moment(max(answers, default=None)),
                "; ".join(problems) or "–",
            )
            wrong += bool(problems)
    for slug, found in sorted(runtime.registry.broken.items()):
        table.add_row(slug, "", "", "", "", f"does not serve: {found[0]}")
        wrong += 1
    if not town_slug:
        console.print(table)
    if wrong:
        raise click.exceptions.Exit(1)


def _problems(town: UnitOfWork) -> Iterator[str]:
    queue = town.health.queue()
    if queue.is_late(town.clock.now()):
        yield "effects are late: do relay and worker run?"
    if queue.dead:
        yield f"{queue.dead} given up (preau outbox dead {town.config.slug})"
    for trouble in town.health.mail_troubles():
        yield mail_trouble(trouble)
    for state in town.health.plugins():
        if state.problem:
            yield f"{state.name}: {state.problem}"


MAIL_TROUBLES = {
    Cause.SERVER: "the mail server is away, or does not take the portal as its client",
    Cause.SIGN_IN: "the mail server wants another name or password",
    Cause.SENDER: "the sender's address is refused",
    Cause.QUOTA: "the mail server's sending limit is reached",
    Cause.POLICY: "mails are blocked by a filter or a block list",
    Cause.CONTENT: "mails are refused for their size or form",
    Cause.UNSAID: "addresses are refused without a reason",
}


def mail_trouble(trouble: MailTrouble) -> str:
    """Say what an operator has to do something about."""
    return (
        f"{MAIL_TROUBLES[trouble.cause]} ({trouble.waiting} waiting,"
        f" {trouble.returned} returned): {trouble.said}"
    )


def _show(console: Console, town: UnitOfWork) -> None:
    queue = town.health.queue()
    console.print(
        f"{town.config.slug}: {town.config.name}\n"
        f"Outbox: {queue.due} due, {queue.later} for later, {queue.dead} given up"
    )
    channels = Table("Channel", "Last delivered", "Waiting", "Refused in 7 days", box=None)
    for channel in town.health.channels():
        channels.add_row(
            channel.label, _moment(channel.delivered_at), str(channel.waiting), str(channel.refused)
        )
    providers = Table("Payments", "Last poll answered", "Asked about", box=None)
    for provider in town.health.providers():
        providers.add_row(provider.label, _moment(provider.answered_at), str(provider.watched))
    plugins = Table("Plugin", "Question", "Answer", box=None)
    for state in town.health.plugins():
        plugins.add_row(state.plugin, state.name, state.problem or "well")
    for table in (channels, providers, plugins):
        console.print(table)


def _moment(moment: datetime | None) -> str:
    return f"{moment.astimezone(PARIS):%Y-%m-%d %H:%M}" if moment else "–"
