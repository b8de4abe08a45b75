"""The bot of a thousand towns in one process, against a bare python-telegram-bot echo.

The simulated Telegram runs in a process of its own; PostgreSQL is the embedded one. An update is
counted from when it is due until its answer was taken by Telegram: door, outbox row, claim,
conversation, pace, sending, end. Celery is left out: its start latency is the same for every task.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sqlalchemy import text

from benchmarks.measure import Result, main, p99

TOWN = """\
[tenant]
name = "Ville {n}"
hosts = ["{slug}.test"]
[contact]
email = "regie@{slug}.test"
[regies.CANTINE]
label = "Restauration scolaire"
[plugins.telegram_bot]
token = "{n}:token-of-the-town"
bot_username = "ville_{n}_bot"
webhook_secret = "a-webhook-secret-for-benchmarks"
base_url = "{url}"
"""
CHAT = 1001


def simulate(towns: int, pipe) -> None:
    from plugins.telegram_bot.simulator.app import Simulator, open_world

    bots = {f"{n}:token-of-the-town": f"ville_{n}_bot" for n in range(1, towns + 1)}
    bots["999999:echo-of-the-baseline"] = "echo_bot"
    world = open_world(None, bots, limits=False)
    for bot in world.bots.values():
        world.types(bot, world.people[CHAT], "/start")
    simulator = Simulator(world)
    pipe.send(simulator.url)
    simulator.serve()


def rss() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def update(number: int, words: str = "/factures") -> dict:
    return {
        "update_id": number,
        "message": {
            "message_id": number, "date": int(time.time()),
            "chat": {"id": CHAT, "type": "private", "first_name": "Camille"},
            "from": {"id": CHAT, "is_bot": False, "first_name": "Camille"},
            "text": words,
        },
    }  # fmt: skip


async def echo(url: str, count: int) -> list[float]:
    """The baseline: an `Application` that sends back what it reads. Seconds for each update."""
    from telegram import Update
    from telegram.ext import Application, MessageHandler, filters

    async def answer(incoming, _context) -> None:
        await incoming.message.reply_text(incoming.message.text)

    builder = Application.builder().token("999999:echo-of-the-baseline").updater(None)
    application = builder.base_url(f"{url}/bot").build()
    application.add_handler(MessageHandler(filters.TEXT, answer))
    took = []
    async with application:
        for number in range(1, count + 1):
            started = time.perf_counter()
            await application.process_update(
                Update.de_json(update(number, "bonjour"), application.bot)
            )
            took.append(time.perf_counter() - started)
    return took


class Bench:
    """The real runtime with `towns` towns, each with a family, an invoice and a linked chat."""

    def __init__(self, folder: Path, servers, url: str, towns: int) -> None:
        from core.db.migrate import upgrade
        from core.db.rls import OWNER
        from core.extensions import discovered, installed
        from core.runtime import Runtime, sync_towns
        from core.settings import load
        from core.tasks.consumers import all_consumers
        from plugins.telegram_bot.inbox import Inbox

        servers.create_database("bench")
        sources = [source.directory for source in installed().hook.migrations()]
        upgrade(servers.url(OWNER, "bench"), sources)
        self.slugs = [f"ville-{n}" for n in range(1, towns + 1)]
        for n, slug in enumerate(self.slugs, start=1):
            (folder / "tenants" / slug).mkdir(parents=True)
            path = folder / "tenants" / slug / "tenant.toml"
            path.write_text(TOWN.format(n=n, slug=slug, url=url), "utf-8")
        addresses = servers.addresses("bench")
        settings = load(
            database_url=addresses.database_url, owner_url=addresses.owner_url,
            relay_url=addresses.relay_url, redis_url=addresses.redis_url,
            tenants_dir=folder / "tenants", data_dir=folder,
        )  # fmt: skip
        self.runtime = Runtime(settings, discovered(), pool_size=8)
        self.consumers = all_consumers(self.runtime.extensions)
        self.inbox = Inbox()
        sync_towns(settings.owner_url, self.runtime.registry)
        for slug in self.slugs:
            self._furnish(slug)
        self.number = 10_000

    def _furnish(self, slug: str) -> None:
        from plugins.telegram_bot.book import Book

        with self.runtime.unit_of_work(slug) as town:
            family = town.session.execute(
                text("INSERT INTO family (tenant_id, code, name) VALUES (:t, 'F1', 'Durand')"
                     " RETURNING id"), {"t": slug},
            ).scalar_one()  # fmt: skip
            Book(town).link(CHAT, family, name="Camille", language="fr")

    def answer(self, slug: str) -> None:
        """What a webhook request and a worker do for one update."""
        from core.tasks.deliver import deliver
        from plugins.telegram_bot import plugin

        self.number += 1
        number = self.number
        with self.runtime.unit_of_work(slug) as town:
            settings = plugin.settings(town)
            assert self.inbox.accept(town, settings, update(number))
            key = f"{settings.bot_id}:{number}"
            row = town.session.execute(
                text("SELECT id FROM outbox WHERE dedupe_key = :key"), {"key": key}
            ).scalar_one()
        deliver(self.runtime, self.consumers, slug, row)


def run(quick: bool) -> Iterator[Result]:
    towns, lasting, rate = (20, 1, 10) if quick else (1000, 20, 30)
    from core.db.embedded import Embedded
    from plugins.telegram_bot import plugin

    ours, theirs = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    simulator = context.Process(target=simulate, args=(towns, theirs), daemon=True)
    simulator.start()
    url = ours.recv()
    random.seed(7)
    with tempfile.TemporaryDirectory(prefix="preau-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        with Embedded(folder, durable=False) as servers:
            bench = Bench(folder, servers, url, towns)
            bench.answer(bench.slugs[0])
            baseline = asyncio.run(echo(url, 200))
            before = rss()
            alone = []
            for slug in bench.slugs:
                started = time.perf_counter()
                bench.answer(slug)
                alone.append(time.perf_counter() - started)
            after, alive = rss(), len(plugin.bots)

            late: list[float] = []

            def timed(slug: str, due: float) -> None:
                bench.answer(slug)
                late.append(time.perf_counter() - due)

            order = random.sample(bench.slugs, len(bench.slugs))
            begin = time.perf_counter() + 0.1
            with ThreadPoolExecutor(8) as pool:
                for step in range(rate * lasting):
                    due = begin + step / rate
                    time.sleep(max(due - time.perf_counter(), 0))
                    # In turn: one chat asked twice in a second waits for Telegram's own limit.
                    pool.submit(timed, order[step % len(order)], due)
            bench.runtime.close()
    simulator.terminate()
    told = {"towns": towns, "bots_alive": alive}
    yield Result(
        "telegram: answers of one thread", 1 / statistics.mean(alone),
        1 / statistics.mean(baseline), "updates/s",
        conditions=told | {"baseline": "echo by a bare telegram.ext.Application"},
    )  # fmt: skip
    yield Result("telegram: answer, median", statistics.median(alone) * 1000,
                 statistics.median(baseline) * 1000, "ms", conditions=told)  # fmt: skip
    yield Result("telegram: memory per town's bot", (after - before) * 1024 / towns, None, "kB",
                 conditions=told | {"rss_mb": round(after, 1)})  # fmt: skip
    told |= {"updates_per_second": rate, "answered": len(late)}
    yield Result("telegram: answer under load, median", statistics.median(late) * 1000, None,
                 "ms", conditions=told)  # fmt: skip
    yield Result("telegram: answer under load, p99", p99(late) * 1000, None, "ms",
                 conditions=told)  # fmt: skip


if __name__ == "__main__":
    main(run, __doc__)
