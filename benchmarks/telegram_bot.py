"""Measure the bot: a thousand towns in one process, against a bare python-telegram-bot echo.

Run: ``python benchmarks/telegram_bot.py [--towns 1000] [--seconds 20]``. The simulated Telegram
runs in a process of its own; PostgreSQL is the embedded one. An update is counted from when it is
due until its answer was taken by Telegram: door, outbox row, claim, conversation, pace, sending,
end. Celery is left out: its start latency is the same for every task.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import random
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sqlalchemy import text

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


def p99(values: list[float]) -> float:
    return sorted(values)[max(int(len(values) * 0.99) - 1, 0)]


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--towns", type=int, default=1000)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--rate", type=int, default=30)
    arguments = parser.parse_args()
    from core.db.embedded import Embedded
    from plugins.telegram_bot import plugin

    ours, theirs = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    simulator = context.Process(target=simulate, args=(arguments.towns, theirs), daemon=True)
    simulator.start()
    url = ours.recv()
    random.seed(7)
    with tempfile.TemporaryDirectory(prefix="preau-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        with Embedded(folder, durable=False) as servers:
            bench = Bench(folder, servers, url, arguments.towns)
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
                for step in range(arguments.rate * arguments.seconds):
                    due = begin + step / arguments.rate
                    time.sleep(max(due - time.perf_counter(), 0))
                    # In turn: one chat asked twice in a second waits for Telegram's own limit.
                    pool.submit(timed, order[step % len(order)], due)
            bench.runtime.close()
    simulator.terminate()
    plain, whole = statistics.median(baseline), statistics.median(alone)
    print(json.dumps({
        "towns": arguments.towns,
        "bots_alive": alive,
        "rss_mb": round(after, 1),
        "rss_growth_kb_per_town": round((after - before) * 1024 / arguments.towns, 1),
        "echo_ms_median": round(plain * 1000, 2),
        "echo_updates_per_s": round(1 / statistics.mean(baseline), 1),
        "answer_ms_median": round(whole * 1000, 2),
        "answer_ms_p99": round(p99(alone) * 1000, 2),
        "answer_updates_per_s_one_thread": round(1 / statistics.mean(alone), 1),
        "ratio_to_echo": round(whole / plain, 2),
        f"at_{arguments.rate}_per_s": {
            "answered": len(late),
            "median_ms": round(statistics.median(late) * 1000, 2),
            "p99_ms": round(p99(late) * 1000, 2),
        },
    }, indent=1))  # fmt: skip


if __name__ == "__main__":
    main()
