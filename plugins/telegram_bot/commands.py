"""``preau telegram …`` and ``preau telegram-simulator``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from core.plugin import Plugin, TenantContext, Tenants, hour
from core.plugin import gettext as _
from plugins.telegram_bot import polling
from plugins.telegram_bot.book import Book
from plugins.telegram_bot.bots import Bots
from plugins.telegram_bot.settings import TELEGRAM, TelegramSettings

SettingsOf = Callable[[TenantContext], TelegramSettings]

NAME = "telegram_bot"


def build(
    bot: Plugin[TelegramSettings], settings_of: SettingsOf, tenants: Tenants
) -> list[click.Command]:
    """The commands. `settings_of` gives a town's settings, `tenants` opens towns."""

    def chosen(towns: tuple[str, ...]) -> dict[str, tuple[TelegramSettings, str]]:
        found = {}
        for slug in towns or tenants.enabled(bot):
            with tenants.open(slug) as ctx:
                found[slug] = (settings_of(ctx), ctx.town.base_url)
        if not found:
            raise click.ClickException(_("Aucune commune n’active l’extension telegram_bot."))
        return found

    @click.group()
    def telegram() -> None:
        """The towns' Telegram bots."""

    @telegram.command()
    @click.argument("towns", nargs=-1)
    def poll(towns: tuple[str, ...]) -> None:
        """Fetch updates for TOWNS (all that enable the bot), for development: no webhook needed."""
        settings = {slug: found for slug, (found, _url) in chosen(towns).items()}
        click.echo(_("À l’écoute pour : %s") % ", ".join(settings))
        polling.run(settings, tenants.open)

    @telegram.command()
    @click.argument("towns", nargs=-1)
    @click.option("--delete", is_flag=True, help="Take the webhook away.")
    def webhook(towns: tuple[str, ...], *, delete: bool) -> None:
        """Tell Telegram where to post the updates of TOWNS, and the commands to propose."""
        from telegram.error import TelegramError  # noqa: PLC0415 - see Bots._make

        bots, refused = Bots(), []
        for slug, (settings, base_url) in chosen(towns).items():
            url = "" if delete else f"{base_url}/+{NAME}/webhook"
            done = url or _("webhook retiré")
            try:
                polling.announce(bots, settings, url)
            except (TelegramError, TimeoutError) as error:
                # The other towns' webhooks are set all the same.
                refused.append(slug)
                done = _("Telegram ne répond pas pour ce robot : %s") % error
            click.echo(f"{slug} : {done}")
        bots.close()
        if refused:
            raise click.exceptions.Exit(1)

    @telegram.command()
    @click.argument("towns", nargs=-1)
    def check(towns: tuple[str, ...]) -> None:
        """Ask Telegram whether it knows the bots of TOWNS."""
        bots = Bots()
        found = {slug: problem(bots, settings) for slug, (settings, _url) in chosen(towns).items()}
        bots.close()
        for slug, words in found.items():
            click.echo(f"{slug} : {words or 'OK'}")
        if any(found.values()):
            raise click.exceptions.Exit(1)

    return [telegram, simulator_command(lambda: [found for found, _url in chosen(()).values()])]


def simulator_command(towns: Callable[[], list[TelegramSettings]]) -> click.Command:
    """The simulator. `towns` gives the bots to know when none is named."""

    @click.command("telegram-simulator")
    @click.option("--host", default="127.0.0.1", show_default=True)
    @click.option("--port", default=7081, show_default=True)
    @click.option("--state", type=click.Path(path_type=Path), help="File that keeps conversations.")
    @click.option(
        "--bot",
        "named",
        multiple=True,
        metavar="TOKEN=USERNAME",
        help="A bot to know; by default, those of all towns.",
    )
    def simulate(host: str, port: int, state: Path | None, named: tuple[str, ...]) -> None:
        """Simulate Telegram: a Bot API and telephones, for demonstrations and development."""
        from plugins.telegram_bot.simulator.app import Simulator, open_world  # noqa: PLC0415

        bots = dict(pair.rpartition("=")[::2] for pair in named) or {
            settings.token.get_secret_value(): settings.bot_username
            for settings in towns()
            # A real bot's token has no business in a simulator's state.
            if settings.base_url != TELEGRAM
        }
        simulator = Simulator(open_world(state, bots), host=host, port=port)
        click.echo(_("Simulateur de Telegram : %s") % simulator.url)
        simulator.serve()

    return simulate


def stopped(ctx: TenantContext) -> str:
    """Say why the town's bot sends nothing for the moment; "" when it is not stopped."""
    reason, until = Book(ctx).trouble()
    if not reason:
        return ""
    now = ctx.clock.now()
    if until is None or until <= now:
        return _(
            "Le dernier envoi a été refusé, aucune discussion n’est déliée. Réponse reçue : "
            "« %(reason)s ». Le prochain message dira si c’est réparé."
        ) % {"reason": reason}
    return _(
        "Les envois sont arrêtés, aucune discussion n’est déliée. Réponse reçue : « %(reason)s ». "
        "Prochain essai à %(time)s."
    ) % {
        "reason": reason,
        "time": hour(until),
    }


def problem(bots: Bots, settings: TelegramSettings) -> str:
    """Problem of a town's bot, in words; "" when there is none."""
    from telegram.error import TelegramError  # noqa: PLC0415 - see Bots._make

    try:
        me = bots.call(settings, lambda bot: bot.get_me())
    except TelegramError as error:
        return _("Telegram ne répond pas pour ce robot : %s") % error.message
    if me.username and me.username.lower() != settings.bot_username.lower():
        return _("bot_username est « %(set)s », mais ce jeton est celui de « %(real)s ».") % {
            "set": settings.bot_username,
            "real": me.username,
        }
    return ""
