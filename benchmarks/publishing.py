"""Telling families of new invoices, against bare Celery tasks that send the same mails.

Both run in real Celery workers, with the same options, and speak to the same SMTP sink, which is a
process of its own. The portal's way begins with publishing a batch: one row finds the families, one
each of their addresses, one writes and sends each mail and notes its end, every one claimed,
committed and handed over by the relay. The baseline's tasks carry the finished mail.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from sqlalchemy import create_engine, text

from benchmarks.measure import Aim, Result, compared, in_turns, main
from benchmarks.portal import DATABASE, servers
from core.platform.plugins.discovery import discovered
from core.platform.settings import load
from core.runtime import Runtime, sync_towns
from core.testing.portal import Records, record

TOWN = """\
[tenant]
name = "Valmont"
[contact]
email = "regie@valmont.test"
[regies.CANTINE]
label = "Restauration scolaire"
"""
WORKER = ("worker", "--pool", "prefork", "--concurrency", "2", "--loglevel", "error",
          "--without-gossip", "--without-mingle", "--without-heartbeat")  # fmt: skip


def serve_sink(count: Any, pipe: Any, sample: Any) -> None:
    """An SMTP server that counts mails; the first it gets is the sample for the baseline."""
    import asyncio

    from aiosmtpd.smtp import SMTP

    class Sink:
        async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
            if not count.value:
                sample.send(envelope.content.decode())
            with count.get_lock():
                count.value += 1
            return "250 OK"

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: SMTP(Sink()), "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(serve())


class House:
    """The towns' database, the sink, and the processes that work."""

    def __init__(self, stack: ExitStack, families: int) -> None:
        self._families = families
        context = multiprocessing.get_context("spawn")
        self.count = context.Value("i", 0)
        port, theirs = context.Pipe()
        self._sample, sample = context.Pipe()
        sink = context.Process(target=serve_sink, args=(self.count, theirs, sample), daemon=True)
        sink.start()
        stack.callback(sink.terminate)
        embedded, folder = stack.enter_context(servers())
        addresses = embedded.addresses(DATABASE)
        (folder / "tenants" / "valmont").mkdir(parents=True)
        (folder / "tenants" / "valmont" / "tenant.toml").write_text(TOWN, "utf-8")
        self._environment = os.environ | addresses.environment() | {
            "PREAU_TENANTS_DIR": str(folder / "tenants"), "PREAU_DATA_DIR": str(folder),
            "PREAU_SMTP_HOST": "127.0.0.1", "PREAU_SMTP_PORT": str(port.recv()),
            "PREAU_LOG_LEVEL": "error", "PYTHONWARNINGS": "ignore",
        }  # fmt: skip
        settings = load(
            database_url=addresses.database_url, owner_url=addresses.owner_url,
            relay_url=addresses.relay_url, redis_url=addresses.redis_url,
            tenants_dir=folder / "tenants", data_dir=folder,
        )  # fmt: skip
        self.runtime = Runtime(settings, discovered())
        stack.callback(self.runtime.close)
        sync_towns(settings.owner_url, self.runtime.registry)
        self._superuser = settings.owner_url.replace("preau_owner", "postgres")
        self._folder, self._turn, self.mail = folder, 0, ""
        celery = ("-m", "celery", "--quiet", "--app")
        for command in (
            ("-c", "from core.cli.main import main; main()", "relay"),
            (*celery, "core.processes.worker", *WORKER),
            (*celery, "benchmarks.bare_mail", *WORKER),
        ):
            stack.enter_context(self._running(command))

    @contextmanager
    def _running(self, command: tuple[str, ...]) -> Iterator[None]:
        # What they say is no result: ours alone go to the standard output.
        process = subprocess.Popen(
            [sys.executable, *command], env=self._environment, stdout=sys.stderr
        )
        try:
            yield
        finally:
            process.terminate()
            process.wait(30)

    def wait(self, work: Callable[[], None], mails: int) -> float:
        """Mails a second from the beginning of `work` until so many have arrived."""
        before, started = self.count.value, time.perf_counter()
        work()
        while self.count.value < before + mails:
            if time.perf_counter() - started > 60 + mails:
                raise TimeoutError(f"{self.count.value - before} of {mails} mails arrived")
            time.sleep(0.005)
        return mails / (time.perf_counter() - started)

    def drafted(self, families: int) -> int:
        """A batch of one invoice for each family, whose addresses are confirmed."""
        self._turn += 1
        path = self._folder / "empty.csv"
        path.touch()
        items = (record(f"{self._turn}-{n}", family=f"F{n:06d}") for n in range(families))
        with self.runtime.unit_of_work("valmont") as town:
            from core.api.invoices import SourceFile

            report = town.imports.run(Records(*items), SourceFile(path, path.name, 0))
        engine = create_engine(self._superuser)
        with engine.begin() as connection:
            connection.execute(text(
                "INSERT INTO contact_email (tenant_id, family_id, address, confirmed_at)"
                " SELECT tenant_id, id, 'parent-' || code || '@exemple.test', now() FROM family"
                " ON CONFLICT DO NOTHING"
            ))  # fmt: skip
            connection.execute(text("ANALYZE"))
        engine.dispose()
        return int(report.batch_id or 0)

    def publish(self, batch: int) -> None:
        with self.runtime.unit_of_work("valmont") as town:
            town.imports.publish(batch)

    def ours(self) -> float:
        batch = self.drafted(self._families)  # Not measured: importing is another benchmark.
        return self.wait(partial(self.publish, batch), self._families)

    def warm(self) -> None:
        """Both workers have sent a mail, and the baseline knows what it says."""
        self.wait(partial(self.publish, self.drafted(1)), 1)
        self.mail = self._sample.recv()
        self.wait(partial(self._enqueue, 1), 1)

    def _enqueue(self, mails: int) -> None:
        from benchmarks.bare_mail import app, send

        app.conf.broker_url = self.runtime.settings.redis_url
        for number in range(mails):
            send.delay("regie@valmont.test", f"parent-{number}@exemple.test", self.mail)

    def bare(self) -> float:
        return self.wait(partial(self._enqueue, self._families), self._families)


def run(quick: bool) -> Iterator[Result]:
    families, rounds = (20, 1) if quick else (5000, 3)
    with ExitStack() as stack:
        house = House(stack, families)
        house.warm()
        took = in_turns({"ours": house.ours, "bare": house.bare}, rounds)
    yield compared(
        "mails of a publication out of the outbox", took["ours"], took["bare"], "mails/s",
        Aim("at least", 0.8), families=families, workers=2,
        baseline="Celery tasks that send the finished mail, same worker options, same SMTP sink",
    )  # fmt: skip


if __name__ == "__main__":
    main(run, __doc__)
