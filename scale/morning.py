"""The morning after a mailing, for N towns: parents sign in, read, take the PDF, pay; some ask the bot.

Real processes on this machine: PostgreSQL, Valkey, web, worker, relay, beat, bot, and beside them
PayFiP's, Telegram's and the mail server's stand-ins in this process. Each round has more web and
worker processes, and families of its own. What is told are rates and waits, and the CPU that a home
cost each of them: on a busy machine that holds, the rates do not.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import sys
import threading
import time
from collections import Counter, defaultdict
from pathlib import Path
from urllib.parse import urlsplit

sys.path[:0] = [str(Path(__file__).parents[1] / "tests" / "faults")]
import httpx
from city import TOWN, PayFiP, Smtp, _fields, _no_file
from house import House, folder

from core.dev.embedded import free_port
from core.platform.plugins.discovery import discovered
from core.testing.portal import Records, record
from core.testing.prepared import FOLDER
from plugins.telegram_bot.book import Book
from plugins.telegram_bot.simulator.app import Simulator as Telegram
from plugins.telegram_bot.simulator.app import open_world

ROUNDS = ((1, 1), (2, 1), (2, 2), (4, 4))
"""Web and worker processes."""
BOT_EVERY = 5
"""One family in so many asks the bot first."""
LOOKS = 30
"""Times that a parent looks whether it is paid."""
WARM = 4
"""One home in so many of a round makes its processes warm, before the others are counted."""
OPEN = """
SELECT p.tenant_id, p.id, p.state, p.last_answer, p.asked, p.start_refusal, o.topic, o.state, o.attempts, o.last_error
FROM payment p LEFT JOIN outbox o ON o.tenant_id = p.tenant_id AND o.dedupe_key LIKE '%' || p.provider_reference || '%'
WHERE p.state <> 'settled'
"""
"""Payments of homes that had to be paid, and what was asked about them."""
TICKS = os.sysconf("SC_CLK_TCK")


class Towns(House):
    """N towns whose invoices were published last night."""

    def __init__(self, place: Path, towns: int, families: int) -> None:
        self.smtp = Smtp()
        self.slugs = [f"ville{n}" for n in range(towns)]
        tokens = {slug: f"{1000 + n}:token-of-{slug}" for n, slug in enumerate(self.slugs)}
        self.tokens = tokens
        self.telegram = Telegram(
            open_world(None, {tokens[slug]: f"{slug}_bot" for slug in self.slugs}, limits=False)
        )
        threading.Thread(target=self.telegram.serve, daemon=True).start()
        (place / "clock").write_text("0")
        self.payfip = PayFiP(place / "payfip.sqlite", time.time)
        self.port_web = free_port()
        super().__init__(
            place,
            {
                slug: TOWN.format(
                    slug=slug, numcli=f"{6382 + n:06d}", token=tokens[slug],
                    payfip=self.payfip.base, telegram=self.telegram.url,
                )
                for n, slug in enumerate(self.slugs)
            },
            {"relay": ("relay",), "beat": ("beat",), "bot": ("telegram", "poll")},
            discovered(),
            smtp_port=str(self.smtp.port),
            public_base_url=f"http://127.0.0.1:{self.port_web}",
        )  # fmt: skip
        self.homes = [home for slug in self.slugs for home in self._published(slug, families)]
        # Turns, so that a round has families of every town.
        self.homes = [self.homes[i] for n in range(families) for i in range(n, len(self.homes), families)]

    def _published(self, slug: str, families: int) -> list[tuple[str, str, str, int, int]]:
        items = [record(f"{slug}-{n}", family=f"F{n:03d}", lines=()) for n in range(families)]
        homes = []
        with self.town(slug) as town:
            report = town.imports.run(Records(*items), _no_file(self.folder))
            town.imports.publish(report.batch_id)
        with self.town(slug) as town:
            for n in range(families):
                family = town.families.by_code(f"F{n:03d}")
                (invoice,) = town.invoices.unpaid(family.id)
                chat = None
                if n % BOT_EVERY == 0:
                    chat = self.telegram.world.add_person(f"{slug}-{n}")
                code = town.families.issue_code(family.id)
                homes.append((slug, f"F{n:03d}", code, invoice.id, chat))
        return homes

    def staff(self, webs: int, workers: int) -> None:
        """So many web and worker processes, fresh."""
        for name in ("web", "worker"):
            if name in self.processes:
                self.kill(name)
        self.commands = {
            "relay": ("relay",), "beat": ("beat",), "bot": ("telegram", "poll"),
            "web": ("web", "--port", str(self.port_web), "--workers", str(webs), "--threads", "8"),
            "worker": ("worker", "--concurrency", str(workers)),
        }  # fmt: skip
        self.all_up()
        self.until(self._serves)

    def _serves(self) -> bool:
        try:
            return httpx.get(
                f"http://127.0.0.1:{self.port_web}/health/ready", trust_env=False, timeout=5
            ).is_success
        except httpx.TransportError:
            return False

    def cpu(self) -> dict[str, float]:
        """Seconds of CPU of each machine with its children, and of this process."""
        groups = {process.pid: name for name, process in self.processes.items()}
        groups |= {p.pid: name for name, p in self.databases.processes.items() if name == "postgresql"}
        used: dict[str, float] = defaultdict(float)
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            # PostgreSQL's children are sessions of their own: known by their parent.
            name = groups.get(int(fields[2])) or groups.get(int(fields[1]))
            if name:
                used[name] += (int(fields[11]) + int(fields[12])) / TICKS
        mine = resource.getrusage(resource.RUSAGE_SELF)
        used["stand-ins and load"] = mine.ru_utime + mine.ru_stime
        return used

    def close(self) -> None:
        super().close()
        self.payfip.close()
        self.telegram.close()
        self.smtp.close()


class Load:
    """So many homes at once, until all have paid."""

    def __init__(self, towns: Towns, homes: list, at_once: int) -> None:
        self.towns, self.left = towns, list(homes)
        self.waits: dict[str, list[float]] = defaultdict(list)
        self.statuses: Counter[str] = Counter()
        self.paid = 0
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(at_once)]

    def run(self) -> float:
        """Seconds that it took."""
        began = time.perf_counter()
        for thread in self._threads:
            thread.start()
        for thread in self._threads:
            thread.join(600)
        return time.perf_counter() - began

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self.left:
                    return
                home = self.left.pop()
            # As behind a proxy: the server closes what idles, and a request on its way would be lost.
            limits = httpx.Limits(max_keepalive_connections=0)
            with httpx.Client(trust_env=False, timeout=60, limits=limits) as http:
                try:
                    self._morning(http, *home)
                except (httpx.HTTPError, StopIteration, IndexError, KeyError) as error:
                    with self._lock:
                        self.statuses[type(error).__name__] += 1

    def _ask(self, http, what: str, method: str, path: str, data=None) -> httpx.Response:
        began = time.perf_counter()
        answer = http.request(method, f"http://127.0.0.1:{self.towns.port_web}{path}", data=data)
        with self._lock:
            self.waits[what].append(time.perf_counter() - began)
            self.statuses[str(answer.status_code)] += 1
        return answer

    def _morning(self, http, slug, family, code, invoice, person) -> None:
        if person:
            world = self.towns.telegram.world
            with self.towns.town(slug) as town:
                found = town.families.by_code(family)
                Book(town).link(person.id, found.id, name="x", language="fr")
            world.types(world.bots[self.towns.tokens[slug]], person, "mes factures")
        form = _fields(self._ask(http, "door", "GET", f"/{slug}/connexion").text, "child_code")
        codes = {"family_code": family, "child_code": code}
        self._ask(http, "sign in", "POST", f"/{slug}/connexion", form | codes)
        self._ask(http, "invoices", "GET", f"/{slug}/factures")
        self._ask(http, "PDF", "GET", f"/{slug}/factures/{invoice}.pdf")
        page = self._ask(http, "checkout", "GET", f"/{slug}/factures/recapitulatif?invoice={invoice}")
        form = _fields(page.text, "email") | {"invoice": str(invoice), "email": f"{family}@{slug}.fr".lower()}
        going = self._ask(http, "pay", "POST", f"/{slug}/paiements", form)
        for _look in range(LOOKS):
            where = going.headers.get("location", "")
            if "idop=" in where:
                break
            if led := re.search(r"/paiements/[0-9]+(?=/aller)", going.text):
                going = self._ask(http, "pay", "GET", f"/{slug}{led[0]}/aller")
            else:  # PayFiP is slow: the page that says so is loaded again.
                time.sleep(1)
                here = re.search(r"/paiements/[0-9]+", where or str(going.url))
                going = self._ask(http, "pay", "GET", f"/{slug}{here[0]}")
        id_op = where.partition("idop=")[2]
        self.towns.payfip.act(id_op, "accept")
        back = urlsplit(self.towns.payfip.way_back(id_op))
        self._ask(http, "back", "GET", back.path)
        for _look in range(LOOKS):
            page = self._ask(http, "paid", "GET", f"/{slug}/factures/payees")
            if f"{slug}-" in page.text:
                with self._lock:
                    self.paid += 1
                return
            time.sleep(1)  # The provider's answer comes by a worker: a parent loads the page again.


def tell(waits: dict[str, list[float]]) -> dict[str, str]:
    """Median and 95th percentile of each page, in milliseconds."""
    return {
        what: f"{1000 * sorted(taken)[len(taken) // 2]:.0f}/{1000 * sorted(taken)[int(len(taken) * 0.95)]:.0f}"
        for what, taken in waits.items()
    }


def main() -> None:
    """Run the rounds."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--towns", type=int, default=4)
    asked.add_argument("--families", type=int, default=32, help="of each town")
    asked.add_argument("--at-once", type=int, default=12, help="homes at the same time")
    asked.add_argument("--rounds", type=int, default=len(ROUNDS))
    options = asked.parse_args()
    with folder() as place:
        os.environ.setdefault(FOLDER, str(place / "prepared"))  # What a run of the tests shares.
        (place / "prepared").mkdir()
        towns = Towns(place, options.towns, options.families)
        try:
            rounds = ROUNDS[: options.rounds]
            share = len(towns.homes) // (len(rounds) + 1)
            towns.staff(1, 1)
            towns.until(lambda: not any(map(towns.left, towns.slugs)))
            Load(towns, towns.homes[:share], options.at_once).run()  # warm
            first, wrong = None, []
            for turn, (webs, workers) in enumerate(rounds, start=1):
                towns.staff(webs, workers)
                towns.until(lambda: not any(map(towns.left, towns.slugs)))
                mine = towns.homes[turn * share : (turn + 1) * share]
                warm, mine = mine[: share // WARM], mine[share // WARM :]
                Load(towns, warm, options.at_once).run()
                towns.until(lambda: not any(map(towns.left, towns.slugs)))
                before = towns.cpu()
                load = Load(towns, mine, options.at_once)
                seconds = load.run()
                drained = time.perf_counter()
                towns.until(lambda: not any(map(towns.left, towns.slugs)))
                after = towns.cpu()
                pages = sum(map(len, load.waits.values())) / seconds
                first = first or pages
                print(json.dumps({
                    "web": webs, "worker": workers, "homes": len(mine), "seconds": round(seconds, 1),
                    "pages a second": round(pages, 1), "ratio": round(pages / first, 2),
                    "effects drained after": round(time.perf_counter() - drained, 1),
                    "paid": load.paid, "statuses": dict(load.statuses),
                    "median/p95 ms": tell(load.waits),
                    "CPU ms a home": {
                        n: round(1000 * (after[n] - before.get(n, 0)) / len(mine)) for n in sorted(after)
                    },
                    "load average": round(os.getloadavg()[0], 1),
                }, ensure_ascii=False), flush=True)  # fmt: skip
                broken = {s for s in load.statuses if not s.startswith(("2", "3"))}
                if broken or load.paid != len(mine):
                    wrong.append(f"{webs}/{workers}: {load.paid} of {len(mine)} paid, {broken or 'no error'}")
                    print("not settled:", [row for slug in towns.slugs for row in towns.rows(OPEN, slug)])
            print("wrong:", wrong, flush=True)
        finally:
            towns.close()
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
