"""The bot of a thousand towns in one process, against a bare python-telegram-bot echo.

The simulated Telegram runs in a process of its own. An update is counted from when it is due until
Telegram took its answer: door, outbox row, claim, conversation, turn, sending, end. Celery is left
out: its start latency is the same for every task. Each family owes an invoice, so that every answer
makes a payment link and remembers what its message shows.

"Kept and ended" is an update that is written down, claimed and ended as any, with nothing done for
it: what losing none and answering none twice costs before the bot says a word.

"Answers, as they are fetched together" are those of a hundred chats of one town, which polling
finds waiting: written down, decided and said together. "Answers, as they pile up" are those of the
same chats whose updates webhooks brought one by one, while no worker was free. The other figures
take one update at a time, of another town each, as webhooks bring them in quiet times.
"""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import text

from benchmarks.measure import Result, compared, in_turns, main, p99, rate
from benchmarks.portal import DATABASE, servers
from core.api.invoices import SourceFile
from core.api.work import Consumer, Effect
from core.platform.db.session import make_engine
from core.platform.outbox.deliver import deliver
from core.platform.plugins.discovery import discovered
from core.platform.settings import load
from core.processes.consumers import all_consumers
from core.runtime import Runtime, sync_towns
from core.testing.portal import Records, record
from plugins.telegram_bot import plugin
from plugins.telegram_bot.book import CHAT_STEP, Book
from plugins.telegram_bot.inbox import UPDATE, UPDATES, Inbox, write_all

TOWN = """\
[tenant]
name = "Ville {n}"
hosts = ["{slug}.test"]
[contact]
email = "regie@{slug}.test"
[regies.CANTINE]
label = "Restauration scolaire"
[plugins.payfip]
simulator = "http://127.0.0.1:9"
[plugins.payfip.regies.CANTINE]
numcli = "006382"
[plugins.telegram_bot]
token = "{n}:token-of-the-town"
bot_username = "ville_{n}_bot"
webhook_secret = "a-webhook-secret-for-benchmarks"
base_url = "{url}"
"""
CHAT = 1001
CROWD = range(5001, 5101)
"""Chats of the town whose updates are fetched together: as many as Telegram gives at once."""
ECHO = "999999:echo-of-the-baseline"
THREADS = 8
BARE = "an echo by a bare telegram.ext.Application, in the same process"


def simulate(towns: int, pipe: Any) -> None:
    """Telegram, in a process of its own."""
    from plugins.telegram_bot.simulator.app import Simulator, open_world
    from plugins.telegram_bot.simulator.world import Person

    bots = {f"{n}:token-of-the-town": f"ville_{n}_bot" for n in range(1, towns + 1)}
    world = open_world(None, bots | {ECHO: "echo_bot"}, limits=False)
    crowd = f"{towns}:token-of-the-town"
    for chat in CROWD:
        world.people[chat] = Person(chat, "Camille")
        world.types(world.bots[crowd], world.people[chat], "/start")
    for bot in world.bots.values():
        world.types(bot, world.people[CHAT], "/start")
    simulator = Simulator(world)
    pipe.send(simulator.url)
    simulator.serve()


def application(url: str, token: str = ECHO) -> Any:
    """The baseline: it sends back what it reads."""
    from telegram.ext import Application, MessageHandler, filters

    async def answer(incoming: Any, _context: Any) -> None:
        await incoming.message.reply_text(incoming.message.text)

    made = Application.builder().token(token).updater(None).base_url(f"{url}/bot").build()
    made.add_handler(MessageHandler(filters.TEXT, answer))
    return made


def weigh(url: str, count: int, pipe: Any) -> None:
    """MB of a process with one bare application, and kB that each of `count` more adds."""
    kept = [application(url)]
    alone = resident()
    kept += [application(url, f"{n}:token") for n in range(1, count + 1)]
    pipe.send((alone, (resident() - alone) * 1024 / count))


@contextmanager
def beside(work: Callable[..., None], *args: Any) -> Iterator[Any]:
    """What `work` sends from a process of its own."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=work, args=(*args, theirs), daemon=True
    )
    process.start()
    yield ours.recv()
    process.terminate()
    process.join()


def resident() -> float:
    """MB of memory that this process holds."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def update(number: int, words: str = "/factures", chat: int = CHAT) -> dict[str, Any]:
    """A parent writes."""
    person = {"id": chat, "is_bot": False, "first_name": "Camille"}
    return {
        "update_id": number,
        "message": {
            "message_id": number, "date": int(time.time()), "from": person,
            "chat": {"id": chat, "type": "private", "first_name": "Camille"}, "text": words,
        },
    }  # fmt: skip


class Echo:
    """The bare bot in a loop of its own thread's making."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._numbers = itertools.count(1)

    async def _answer(self, bare: Any) -> None:
        from telegram import Update

        raw = update(next(self._numbers), "bonjour")
        await bare.process_update(Update.de_json(raw, bare.bot))

    def per_second(self, count: int) -> float:
        """Updates a second, one after the other."""

        async def scene() -> float:
            async with application(self._url) as bare:
                await self._answer(bare)
                started = time.perf_counter()
                for _number in range(count):
                    await self._answer(bare)
                return count / (time.perf_counter() - started)

        return asyncio.run(scene())

    def under_load(self, a_second: int, lasting: float) -> float:
        """ms that one of a hundred exceeds, at `a_second` updates a second."""
        late: list[float] = []

        async def scene() -> None:
            async with application(self._url) as bare, asyncio.TaskGroup() as tasks:

                async def one(due: float) -> None:
                    await self._answer(bare)
                    late.append(time.perf_counter() - due)

                for due in dues(a_second, lasting):
                    await asyncio.sleep(max(due - time.perf_counter(), 0))
                    tasks.create_task(one(due))

        asyncio.run(scene())
        return p99(late) * 1000


def dues(a_second: int, lasting: float) -> Iterator[float]:
    """When updates are due, on the performance counter."""
    begin = time.perf_counter() + 0.1
    return (begin + step / a_second for step in range(int(a_second * lasting)))


class Towns:
    """The real runtime with many towns, each with a family, an invoice and a linked chat."""

    def __init__(self, folder: Path, embedded: Any, url: str, count: int) -> None:
        slugs = [f"ville-{n}" for n in range(1, count + 1)]
        for n, slug in enumerate(slugs, start=1):
            path = folder / "tenants" / slug / "tenant.toml"
            path.parent.mkdir(parents=True)
            path.write_text(TOWN.format(n=n, slug=slug, url=url), "utf-8")
        addresses = embedded.addresses(DATABASE)
        settings = load(
            database_url=addresses.database_url, owner_url=addresses.owner_url,
            relay_url=addresses.relay_url, redis_url=addresses.redis_url,
            tenants_dir=folder / "tenants", data_dir=folder,
        )  # fmt: skip
        engine = make_engine(settings.database_url, pool_size=THREADS)
        self.runtime = Runtime(settings, discovered(), engine=engine)
        sync_towns(settings.owner_url, self.runtime.registry)
        for slug in slugs:
            self._furnish(slug, path)
        self._crowd = slugs[-1]
        self._gather(path)
        self._consumers = all_consumers(self.runtime.extensions)
        idle = Consumer(UPDATE, lambda _ctx, _payload: None, Effect.EXTERNAL)
        self._idle = {**self._consumers, UPDATE: (plugin.name, idle)}
        self._inbox = Inbox()
        # In turn: a chat that is asked twice in a second waits for Telegram's own limit.
        self._turn = itertools.cycle(slugs)
        self._numbers = itertools.count(10_000)

    def _furnish(self, slug: str, any_file: Path) -> None:
        with self.runtime.unit_of_work(slug) as town:
            file = SourceFile(any_file, slug, 0)
            report = town.imports.run(Records(record()), file)
            town.imports.publish(report.batch_id)
            family = town.families.by_code("F001")
            Book(town).link(CHAT, family.id, name="Camille", language="fr")

    def _gather(self, any_file: Path) -> None:
        with self.runtime.unit_of_work(self._crowd) as town:
            drafts = (record(f"C{chat}", family=f"C{chat}") for chat in CROWD)
            report = town.imports.run(Records(*drafts), SourceFile(any_file, "crowd", 0))
            town.imports.publish(report.batch_id)
            for chat in CROWD:
                family = town.families.by_code(f"C{chat}")
                Book(town).link(chat, family.id, name="Camille", language="fr")

    def fetched(self) -> float:
        """Updates a second, from polling's transaction to the last answer, by one worker."""
        time.sleep(CHAT_STEP.total_seconds())  # A chat may be written to once in it.
        started = time.perf_counter()
        with self.runtime.unit_of_work(self._crowd) as town:
            settings = plugin.settings(town)
            raw = (update(next(self._numbers), chat=chat) for chat in CROWD)
            admitted = [self._inbox.admit(settings, each) for each in raw]
            write_all(town, [incoming for incoming in admitted if incoming])
            rows = self._due(town)
        self._work(rows)
        return len(CROWD) / (time.perf_counter() - started)

    def piled(self) -> float:
        """Updates a second, from a request for each to the last answer, by one worker."""
        time.sleep(CHAT_STEP.total_seconds())
        started = time.perf_counter()
        for chat in CROWD:
            with self.runtime.unit_of_work(self._crowd) as town:
                assert self._inbox.accept(
                    town, plugin.settings(town), update(next(self._numbers), chat=chat)
                )
        with self.runtime.unit_of_work(self._crowd) as town:
            rows = self._due(town)
        self._work(rows)
        return len(CROWD) / (time.perf_counter() - started)

    def _work(self, rows: list[Any]) -> None:
        """Do what is due, and what comes of it; once more for each row that was published."""
        assert rows
        for row in rows:
            deliver(self.runtime, self._consumers, self._crowd, row)
        with self.runtime.unit_of_work(self._crowd) as town:
            more = self._due(town)
        for row in more:
            deliver(self.runtime, self._consumers, self._crowd, row)
        with self.runtime.unit_of_work(self._crowd) as town:
            assert not self._due(town), "updates went unanswered"

    def _due(self, town: Any) -> list[Any]:
        statement = text("SELECT id FROM outbox WHERE state = 'ready' AND topic IN (:one, :many)")
        return list(town.session.execute(statement, {"one": UPDATE, "many": UPDATES}).scalars())

    def answer(self) -> None:
        """What a webhook request and a worker do for one update of the next town."""
        self._take(self._consumers)

    def keep(self) -> None:
        """The same, without an answer."""
        self._take(self._idle)

    def _take(self, consumers: Any) -> None:
        slug, number = next(self._turn), next(self._numbers)
        with self.runtime.unit_of_work(slug) as town:
            settings = plugin.settings(town)
            assert self._inbox.accept(town, settings, update(number))
            row = town.session.execute(
                text("SELECT id FROM outbox WHERE topic = :topic AND dedupe_key = :key"),
                {"topic": UPDATE, "key": f"{settings.bot_id}:{number}"},
            ).scalar_one()
        deliver(self.runtime, consumers, slug, row)

    def under_load(self, a_second: int, lasting: float) -> float:
        """ms that one of a hundred exceeds, at `a_second` updates a second."""
        late: list[float] = []

        def one(due: float) -> None:
            self.answer()
            late.append(time.perf_counter() - due)

        with ThreadPoolExecutor(THREADS) as pool:
            for due in dues(a_second, lasting):
                time.sleep(max(due - time.perf_counter(), 0))
                pool.submit(one, due)
        assert len(late) == int(a_second * lasting), "updates went unanswered"
        return p99(late) * 1000


def run(quick: bool) -> Iterator[Result]:
    count, rounds, many = (20, 1, 20) if quick else (1000, 5, 200)
    a_second, lasting = (10, 1.0) if quick else (30, 10.0)
    told: dict[str, object] = {"towns": count, "baseline": BARE}
    with beside(simulate, count) as url, servers() as (embedded, folder):
        with beside(weigh, url, many) as (bare_mb, bare_kb):
            pass
        towns, echo = Towns(folder, embedded, url, count), Echo(url)
        towns.answer()
        before = resident()
        for _town in range(count):
            towns.answer()
        whole, each = resident(), (resident() - before) * 1024 / count
        alive = len(plugin.bots)
        took = in_turns(
            {
                "answer": partial(rate, towns.answer, many),
                "fetched": towns.fetched,
                "piled": towns.piled,
                "keep": partial(rate, towns.keep, many),
                "echo": partial(echo.per_second, many),
            },
            rounds,
        )
        load_ = in_turns(
            {
                "answer": partial(towns.under_load, a_second, lasting),
                "echo": partial(echo.under_load, a_second, lasting),
            },
            1 if quick else 3,
        )
        towns.runtime.close()
        plugin.bots.close()
    yield compared(
        "telegram: answers, one after the other", took["answer"], took["echo"], "updates/s", **told
    )
    yield compared(
        "telegram: answers, as they are fetched together", took["fetched"], took["echo"],
        "updates/s", chats=len(CROWD), **told,
    )  # fmt: skip
    yield compared(
        "telegram: answers, as they pile up", took["piled"], took["echo"],
        "updates/s", chats=len(CROWD), **told,
    )  # fmt: skip
    yield compared(
        "telegram: updates kept and ended", took["keep"], took["echo"], "updates/s", **told
    )
    yield compared(
        f"telegram: p99 at {a_second} updates a second", load_["answer"], load_["echo"], "ms",
        threads=THREADS, seconds=lasting, **told,
    )  # fmt: skip
    bare = f"{many} bare telegram.ext.Applications in a process of their own"
    yield Result(
        "telegram: memory per town's bot", each, bare_kb, "kB",
        conditions={"towns": count, "bots_alive": alive, "baseline": bare},
    )  # fmt: skip
    yield Result(
        "telegram: memory of the process", whole, bare_mb, "MB",
        conditions={"towns": count, "baseline": "a process with one bare Application"},
    )  # fmt: skip


if __name__ == "__main__":
    main(run, __doc__)
