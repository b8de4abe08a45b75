"""The real portal of two towns that both have a bot."""

from __future__ import annotations

from pathlib import Path

from core.dev.embedded import Addresses
from core.imports.format.csv import plugin as csv
from core.messages.email.channel import plugin as email
from core.platform.plugins.discovery import Extensions
from core.platform.settings import load
from core.plugin import InvoiceInfo, Means
from core.runtime import Runtime, sync_towns
from core.testing.fakes import TOWN, TOWNS, FakeClock, FakePay
from core.testing.portal import Portal, Records, record
from plugins.telegram_bot import plugin
from plugins.telegram_bot.book import Book
from plugins.telegram_bot.simulator.world import Chat, World

SECRET = "a-webhook-secret-for-tests"
SETTINGS = """
[plugins.telegram_bot]
token = "{token}"
bot_username = "{username}"
webhook_secret = "{secret}"
base_url = "{url}"
"""


def token(slug: str) -> str:
    """The token of a town's bot."""
    return f"{sum(slug.encode())}:token-of-{slug}"


def make_bot_portal(
    addresses: Addresses, folder: Path, url: str, username: str, public_url: str
) -> Portal:
    """A portal whose towns' bots are at `url`, each called `username` with the town's slug."""
    for slug, name in TOWNS.items():
        town = folder / "tenants" / slug
        town.mkdir(parents=True)
        more = SETTINGS.format(
            token=token(slug), username=username.format(slug=slug), secret=SECRET, url=url
        )
        (town / "tenant.toml").write_text(TOWN.format(slug=slug, name=name) + more, "utf-8")
    settings = load(
        database_url=addresses.database_url,
        owner_url=addresses.owner_url,
        relay_url=addresses.relay_url,
        redis_url=addresses.redis_url,
        tenants_dir=folder / "tenants",
        data_dir=folder,
        public_base_url=public_url,
        smtp_port=9,
        papers_ahead=False,  # Seconds of work after each publication that nobody reads.
    )
    clock, pay = FakeClock(), FakePay()
    plugins = {"email": email, "csv": csv, "fakepay": pay, "telegram_bot": plugin}
    runtime = Runtime(settings, Extensions(plugins), clock=clock)
    sync_towns(settings.owner_url, runtime.registry)
    return Portal(runtime, clock, pay, folder, settings.owner_url)


def settle(portal: Portal, invoice: InvoiceInfo) -> int:
    """Pay an invoice in cash; the payment's number."""
    with portal.town() as town:
        payment = town.payments.record(
            regie=invoice.regie, family_id=invoice.family_id, means=Means.CASH,
            amount=invoice.amount, paid_at=portal.clock.now(), payer="Durand",
            shares=[(invoice.id, invoice.amount)], key=f"cash-{invoice.id}",
        )  # fmt: skip
        return int(payment.payment_id)


def crowd(portal: Portal, world: World, number: int, label: str = "MARS") -> list[Chat]:
    """Many families, each with an invoice and a linked chat of its own."""
    families = [f"F{n:03}" for n in range(number)]
    bot = world.bots[token("valmont")]
    chats = []
    with portal.town() as town:
        drafts = Records(*(record(code, family=code, label=label) for code in families))
        batch = town.imports.run(drafts, portal.file()).batch_id
        assert batch is not None
        for code in families:
            person = world.add_person(code)
            world.types(bot, person, "/start")
            family = town.families.by_code(code)
            Book(town).link(person.id, family.id, name=code, language="fr")
            chats.append(world.chat(bot, person.id))
        town.imports.publish(batch)
    return chats
