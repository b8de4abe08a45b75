"""Two towns on two web and two worker processes, and the world outside them: PayFiP, SMTP, Telegram.

What is outside runs in the test's own process, keeps its own records, and misbehaves when told to.
"""

from __future__ import annotations

import asyncio
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from email import message_from_bytes
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from house import House
from lxml import html

from core.api.invoices import SourceFile
from core.dev.embedded import free_port
from core.dev.mail_server import MailServer
from core.platform.plugins.discovery import discovered
from core.testing.portal import Records, record
from core.testing.waiting import PATIENCE_SECONDS
from plugins.payfip.simulator.app import Simulator, make_simulator, running
from plugins.telegram_bot.book import Book
from plugins.telegram_bot.simulator.app import Simulator as Telegram
from plugins.telegram_bot.simulator.app import open_world

TOWN = """\
[tenant]
name = "{slug}"
[contact]
email = "regie@{slug}.test"
[regies.CANTINE]
label = "Cantine"
[plugins.payfip]
simulator = "{payfip}"
technical_pause = 0
read_timeout = 2.0
[plugins.payfip.regies.CANTINE]
numcli = "{numcli}"
[plugins.telegram_bot]
token = "{token}"
bot_username = "{slug}_bot"
webhook_secret = "a-webhook-secret-for-tests"
base_url = "{telegram}"
"""
TOWNS = {"valmont": "006382", "brumes": "006383"}
"""Slugs and client numbers. Both have a family F001, and invoices of the same numbers."""
FAMILIES = ("F001", "F002")


class Smtp:
    """A mail server: what was handed to it, and how it behaves now."""

    MODES = ("busy", "slow", "cut", "dies")

    def __init__(self) -> None:
        self.mode = ""
        self.deaths = 0
        self.mails: Counter[tuple[str, str, str]] = Counter()
        """How often it took each (address, sender, Message-ID)."""
        self._controller = MailServer(self, hostname="127.0.0.1", port=free_port())
        self._controller.start()
        self.port = self._controller.port

    async def handle_RCPT(self, server, _session, envelope, address, _options):  # noqa: N802
        """Answer ``RCPT TO``."""
        if self.mode == "busy":
            return "451 4.3.2 Not now"
        if self.mode == "cut":
            server.transport.abort()
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, _session, envelope):  # noqa: N802
        """Answer ``DATA``; "dies" takes the mail, and the line breaks before it says so."""
        if self.mode == "slow":
            await asyncio.sleep(1.5)
        mail = message_from_bytes(envelope.content)
        self.mails.update(
            (address, str(mail["From"]), str(mail["Message-ID"])) for address in envelope.rcpt_tos
        )
        if self.mode == "dies":
            self.deaths += 1
            server.transport.abort()
        return "250 OK"

    def close(self) -> None:
        """Stop."""
        self._controller.stop()


class PayFiP:
    """The simulator, which goes away and comes back with its memory, as a restarted one does."""

    def __init__(self, state: Path, clock: Callable[[], float]) -> None:
        self._state = state
        self._clock = clock
        self._port = free_port()
        self._up = ExitStack()
        self.base = f"http://127.0.0.1:{self._port}"
        self.lock = threading.Lock()
        self.simulator: Simulator | None = None
        self.come_back()

    def go_away(self) -> None:
        """Refuse every connection from now on."""
        with self.lock:
            self.simulator = None
            self._up.close()

    def come_back(self) -> None:
        """Answer again."""
        if self.simulator is None:
            simulator = make_simulator(state=self._state, clock=self._clock)
            self._up.enter_context(running(simulator, port=self._port))
            self.simulator = simulator

    def act(self, id_op: str, action: str) -> None:
        """A parent does something on its pages, if they are there and still take this idOp."""
        with self.lock:
            simulator = self.simulator
            operation = simulator.store.operation(id_op) if simulator else None
            if simulator is None or operation is None or not simulator.store.bank_open(operation):
                return
            simulator.store.reach_bank(id_op)
            if action == "accept":
                simulator.store.choose_card(id_op, brand="VISA", last4="0055", scenario="accept")
                simulator.bank.pay_by_card(simulator.store.operation(id_op))
            elif action == "refuse":
                simulator.bank.refuse(operation)
            else:
                simulator.bank.cancel(operation)

    def way_back(self, id_op: str) -> str:
        """Where PayFiP's pages lead a parent who is done; "" when they are away."""
        with self.lock:
            operation = self.simulator.store.operation(id_op) if self.simulator else None
            return operation.urlredirect if operation else ""

    close = go_away


class City(House):
    """The machines, and what is outside."""

    WEBS = ("web1", "web2")

    def __init__(self, folder: Path) -> None:
        self.smtp = Smtp()
        self.telegram = Telegram(
            open_world(None, {token(slug): f"{slug}_bot" for slug in TOWNS}, limits=False)
        )
        threading.Thread(target=self.telegram.serve, daemon=True).start()
        self.ports = {name: free_port() for name in self.WEBS}
        self.typed = Counter()
        clock = folder / "clock"
        clock.write_text("0")
        self.payfip = PayFiP(
            folder / "payfip.sqlite", lambda: time.time() + float(clock.read_text() or 0)
        )
        serve = ("--workers", "1", "--threads", "8")
        towns = {
            slug: TOWN.format(
                slug=slug, numcli=numcli, token=token(slug), payfip=self.payfip.base,
                telegram=self.telegram.url,
            )
            for slug, numcli in TOWNS.items()
        }  # fmt: skip
        super().__init__(
            folder,
            towns,
            {
                **{name: ("web", "--port", str(self.ports[name]), *serve) for name in self.WEBS},
                "worker1": ("worker", "--concurrency", "1"),
                "worker2": ("worker", "--concurrency", "1"),
                "relay": ("relay",),
                "beat": ("beat",),
                "bot": ("telegram", "poll"),
            },
            discovered(),
            smtp_port=str(self.smtp.port),
            # PayFiP notifies one machine, as long as nothing stands before them.
            public_base_url=f"http://127.0.0.1:{self.ports['web1']}",
        )
        self.all_up()
        self.codes = {}
        for slug in TOWNS:
            self.publish(slug, [(f"first-{family}", family, 100) for family in FAMILIES])
            with self.town(slug) as town:
                for family in FAMILIES:
                    found = town.families.by_code(family)
                    self.codes[slug, family] = town.families.issue_code(found.id)
        self.until(lambda: all(map(self.answers, self.WEBS)))
        self._link_chats()

    def _link_chats(self) -> None:
        """The first family of each town has a chat with its bot."""
        self.people = {}
        for slug in TOWNS:
            self.people[slug] = self.telegram.world.add_person(slug)
            with self.town(slug) as town:
                family = town.families.by_code(FAMILIES[0])
                Book(town).link(self.people[slug].id, family.id, name=slug, language="fr")

    def types(self, slug: str) -> None:
        """The family asks its town's bot for its invoices."""
        world = self.telegram.world
        self.typed[slug] += 1
        world.types(world.bots[token(slug)], self.people[slug], "mes factures")

    def chat(self, slug: str) -> list[dict]:
        """What was written in the family's chat."""
        world = self.telegram.world
        return world.chat(world.bots[token(slug)], self.people[slug].id).messages

    def answers(self, web: str) -> bool:
        """Whether a web machine serves."""
        try:
            url = f"http://127.0.0.1:{self.ports[web]}/health/live"
            return httpx.get(url, trust_env=False, timeout=PATIENCE_SECONDS).is_success
        except httpx.TransportError:
            return False

    def publish(self, slug: str, invoices: list[tuple[str, str, int]]) -> None:
        """Publish invoices: number, family, cents."""
        items = [record(number, family=f, amount=cents, lines=()) for number, f, cents in invoices]
        with self.town(slug) as town:
            report = town.imports.run(Records(*items), _no_file(self.folder))
            assert report.batch_id is not None, report.problems
            town.imports.publish(report.batch_id)

    def owe(self, name: str, invoices: int, chance: random.Random) -> dict[str, dict[str, int]]:
        """Publish so many invoices to each family; cents by town and number."""
        numbers = {}
        for slug in TOWNS:
            owed = [
                (f"{name}-{n}", chance.randrange(100, 99_999))
                for n in range(len(FAMILIES) * invoices)
            ]
            items = [(n, FAMILIES[i % 2], cents) for i, (n, cents) in enumerate(owed)]
            self.publish(slug, items)
            numbers[slug] = dict(owed)
        return numbers

    def parents(
        self, numbers: dict[str, dict[str, int]], chance: random.Random
    ) -> list[Parent]:
        """All families at home, each with those of the invoices that are its own."""
        found = []
        for slug in TOWNS:
            for family in FAMILIES:
                with self.town(slug) as town:
                    unpaid = town.invoices.unpaid(town.families.by_code(family).id)
                owed = [(one.id, one.number) for one in unpaid if one.number in numbers[slug]]
                found.append(Parent(self, slug, family, owed, random.Random(chance.random())))
        return found

    def fill_disk(self) -> None:
        """PostgreSQL answers as on a full disk whenever a document is to be kept."""
        self.databases.execute(
            "CREATE OR REPLACE FUNCTION disk_full() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$",
            "CREATE OR REPLACE TRIGGER disk_full BEFORE INSERT ON document"
            " EXECUTE FUNCTION disk_full()",
            database="preau",
        )

    def free_disk(self) -> None:
        """There is room again."""
        self.databases.execute("DROP TRIGGER IF EXISTS disk_full ON document", database="preau")

    def close(self) -> None:
        super().close()
        self.payfip.close()
        self.telegram.close()
        self.smtp.close()


class Parent(threading.Thread):
    """A family at home, which pays its invoices one after the other and is not easily put off."""

    HASTY = 0.15
    """How likely it leaves an invoice for another day as soon as something fails."""

    def __init__(self, city, slug, family, invoices, chance) -> None:
        """`invoices` are (id, number) in the order of paying; `chance` decides what is done."""
        super().__init__(daemon=True)
        self.city, self.slug, self.family, self.chance = city, slug, family, chance
        self.invoices = invoices
        self.error = None
        self.doing = ""
        self._http = httpx.Client(trust_env=False, timeout=8)
        self._webs = list(city.ports.values())

    def run(self) -> None:
        try:
            for invoice_id, number in self.invoices:
                self._pay(invoice_id, number)
        except Exception as error:  # noqa: BLE001 - told by the test
            self.error = error
        finally:
            self._http.close()

    def _pay(self, invoice_id: int, number: str) -> None:
        id_op = self._begin(invoice_id, number)
        if id_op is None:
            return
        for action in self.chance.choice(
            [["accept"]] * 5 + [["refuse", "accept"], ["cancel"], ["refuse"], []]
        ):
            self.city.payfip.act(id_op, action)
        if self.chance.random() < 0.5 and (back := self.city.payfip.way_back(id_op)):
            self._ask("GET", urlsplit(back).path.removeprefix(f"/{self.slug}"))

    def _begin(self, invoice_id: int, number: str) -> str | None:
        """Go through the pages until PayFiP's is reached; None when patience ends."""
        form: dict[str, str] = {}
        self._payment = ""
        self._failures, hasty = 0, self.chance.random() < self.HASTY
        while not (hasty and self._failures):
            if not form and not self._payment:
                page = self._ask("GET", f"/factures/recapitulatif?invoice={invoice_id}")
                if page is None:
                    continue
                if "/connexion" in page.headers.get("location", ""):
                    self._sign_in()
                elif page.status_code == 200:
                    form = _fields(page.text, "email")
                    form |= {"invoice": str(invoice_id), "email": payer(self.slug, number)}
                elif led_back := re.search(r"/paiements/[0-9]+(?=/aller)", page.text):
                    self._payment = led_back[0]
                else:
                    return None
                continue
            if not self._payment:
                # A parent who sees the form again sends it again; the key makes it one payment.
                going = self._ask("POST", "/paiements", form)
                location = going.headers.get("location", "") if going is not None else ""
                if "idop=" in location:
                    return location.partition("idop=")[2]
                if re.search(r"/paiements/[0-9]+$", location):
                    return None  # PayFiP's page is closed: what is left is to wait for its outcome.
                if going is not None and not location.endswith("/factures"):
                    form = {}  # Signed out meanwhile, or the form is too old: begin again.
                time.sleep(0.1)
                continue
            going = self._ask("GET", self._payment + "/aller")
            location = going.headers.get("location", "") if going is not None else ""
            if "idop=" in location:
                return location.partition("idop=")[2]
            if "/connexion" in location:
                self._sign_in()
            elif location.endswith(self._payment):
                return None  # PayFiP's page is closed: what is left is to wait for its outcome.
            time.sleep(0.1)
        return None

    def _sign_in(self) -> None:
        page = self._ask("GET", "/connexion")
        if page is not None and page.status_code == 200:
            code = self.city.codes[self.slug, self.family]
            fields = _fields(page.text, "child_code")
            self._ask(
                "POST", "/connexion", fields | {"family_code": self.family, "child_code": code}
            )

    def _ask(self, method: str, path: str, data: dict | None = None) -> httpx.Response | None:
        """Ask one of the web machines; None when it is away, or in trouble."""
        self.doing = f"{method} {path}"
        port = self.chance.choice(self._webs)
        try:
            answer = self._http.request(
                method, f"http://127.0.0.1:{port}/{self.slug}{path}", data=data
            )
            if not answer.is_server_error:
                return answer
        except httpx.TransportError:
            pass
        self._failures += 1
        time.sleep(0.2)
        return None


def token(slug: str) -> str:
    """The token of a town's bot."""
    return f"{sum(slug.encode())}:token-of-{slug}"


def payer(slug: str, number: str) -> str:
    """An address of each payment's own."""
    return f"{number}@{slug}.exemple.fr".lower()


def _fields(page: str, wanted: str) -> dict[str, str]:
    """The hidden and filled fields of the form that has a field `wanted`."""
    form = next(form for form in html.fromstring(page).forms if wanted in form.fields)
    return {name: value for name, value in form.form_values() if value}


def _no_file(folder: Path):
    path = folder / "invoices.csv"
    path.touch()
    return SourceFile(path, path.name, 0)
