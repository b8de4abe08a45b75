"""A simulated Telegram over real HTTP, and a town on a real database whose invoices are made up."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from bot_portals import make_bot_portal
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

import plugins.telegram_bot as package
from core.platform.db.migrate import upgrade
from core.platform.db.rls import OWNER
from core.platform.db.session import make_engine, make_session_factory
from core.platform.plugins.discovery import installed
from core.plugin import (
    AttemptInfo,
    CertificateYear,
    Document,
    FamilyInfo,
    InvoiceInfo,
    Means,
    PaymentInfo,
    TownInfo,
)
from core.testing.portal import Portal
from plugins.telegram_bot import TelegramSettings
from plugins.telegram_bot.bots import Bots
from plugins.telegram_bot.courier import Courier
from plugins.telegram_bot.simulator.app import Simulator, open_world

TOKEN = "4242:test-token_of-the-town"
USERNAME = "ville_test_bot"
SECRET = "a-webhook-secret-for-tests"
PERSON = 1001
NOW = datetime(2026, 3, 10, 9, 0, tzinfo=UTC)


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    simulator = Simulator(open_world(None, {TOKEN: USERNAME}, limits=False))
    thread = threading.Thread(target=simulator.serve, daemon=True)
    thread.start()
    yield simulator
    simulator.close()
    thread.join(5)


@pytest.fixture(scope="session")
def telegram_template(servers, migrated_template) -> str:
    """The migrated template, with the bot's tables whether or not its plugin is installed."""
    own = Path(package.__file__).parent / "migrations" / "versions"
    sources = {source.directory for source in installed().hook.migrations()}
    if own not in sources:
        upgrade(servers.url(OWNER, migrated_template), sorted(sources | {own}))
    return migrated_template


@pytest.fixture(scope="module")
def telegram_database(servers, telegram_template) -> Iterator[str]:
    """One database for a module: each test has towns of its own."""
    name = "test_telegram"
    servers.create_database(name, telegram_template)
    yield name
    servers.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def bot_portal(database, redis, tmp_path) -> Iterator[Callable[..., Portal]]:
    """Makes the real portal: ``bot_portal(url_of_the_bot_api)``."""
    made: list[Portal] = []

    def make(
        url: str, *, username: str = "{slug}_bot", public_url: str = "http://localhost"
    ) -> Portal:
        made.append(make_bot_portal(database, tmp_path, url, username, public_url))
        return made[-1]

    yield make
    for portal in made:
        portal.runtime.close()
    package.plugin.bots.close()


@dataclass
class FakeClock:
    time: datetime = NOW

    def now(self) -> datetime:
        return self.time

    def advance(self, **span: float) -> None:
        self.time += timedelta(**span)


@dataclass
class FakeFamilies:
    known: dict[int, FamilyInfo] = field(default_factory=dict)

    def get(self, family_id: int) -> FamilyInfo | None:
        return self.known.get(family_id)


@dataclass
class FakeInvoices:
    known: dict[int, InvoiceInfo] = field(default_factory=dict)
    links: list[tuple[int, ...]] = field(default_factory=list)
    parts: list[Any] = field(default_factory=list)
    """What another home was invoiced for shared children."""
    names: dict[int, list[str]] = field(default_factory=dict)
    """The children on invoices."""

    def unpaid(self, family_id: int) -> list[InvoiceInfo]:
        mine = [i for i in self.known.values() if i.family_id == family_id and i.balance > 0]
        return sorted(mine, key=lambda invoice: invoice.due_on)

    @contextmanager
    def together(self, _family_ids) -> Iterator[None]:
        yield

    def get(self, invoice_id: int) -> InvoiceInfo | None:
        return self.known.get(invoice_id)

    def several(self, invoice_ids) -> list[InvoiceInfo]:
        return [self.known[number] for number in invoice_ids if number in self.known]

    def seen_by(self, family_id: int, invoice_ids) -> list[InvoiceInfo]:
        found = (self.known.get(invoice_id) for invoice_id in invoice_ids)
        return [i for i in found if i and i.family_id == family_id]

    def shared(self, _family_id: int) -> list[Any]:
        return self.parts

    def children(self, invoice_ids) -> dict[int, list[str]]:
        return {i: self.names[i] for i in invoice_ids if i in self.names}

    def document(self, invoice_id: int) -> Document | None:
        return Document(f"facture-{invoice_id}.pdf", "application/pdf", b"%PDF facture")

    def payment_link(self, invoice_ids, family_id: int) -> str:
        ids = (invoice_ids,) if isinstance(invoice_ids, int) else tuple(invoice_ids)
        assert {self.known[invoice_id].family_id for invoice_id in ids} == {family_id}
        assert len({self.known[invoice_id].regie for invoice_id in ids}) == 1
        self.links.append((*ids, family_id))
        return f"https://ville.example.org/p/{len(self.links)}"


@dataclass
class FakePayments:
    known: dict[int, PaymentInfo] = field(default_factory=dict)
    one_by_one: set[str] = field(default_factory=set)
    """Régies whose provider takes one invoice at a time."""
    offline: set[str] = field(default_factory=set)
    """Régies that no provider takes."""

    def online(self, invoices) -> bool:
        regies = {invoice.regie for invoice in invoices}
        closed = self.offline | (self.one_by_one if len(invoices) > 1 else set())
        return len(regies) == 1 and all(i.payable for i in invoices) and not regies & closed
    under_way: dict[int, AttemptInfo] = field(default_factory=dict)
    """Those that hold an invoice, where another word than *Paiement en cours* tells of them."""

    def attempts(self, payment_ids) -> dict[int, AttemptInfo]:
        return {
            number: self.under_way.get(number) or AttemptInfo(
                number, "awaited", "Nous attendons la réponse de la banque", "", "Paiement en cours",
                holds=True, acts=("wait",), next_act="Voir où en est ce paiement",
                url=f"https://ville.example.org/paiements/{number}",
            )
            for number in payment_ids
        }  # fmt: skip

    def history(self, family_id: int) -> list[PaymentInfo]:
        mine = [p for p in self.known.values() if p.family_id == family_id]
        return sorted(mine, key=lambda payment: payment.paid_at, reverse=True)

    def get(self, payment_id: int) -> PaymentInfo | None:
        return self.known.get(payment_id)

    def receipt(self, payment_id: int) -> Document | None:
        return Document(f"recu-{payment_id}.pdf", "application/pdf", b"%PDF recu")


@dataclass
class FakeCertificates:
    known: dict[tuple[int, int], CertificateYear] = field(default_factory=dict)

    def years(self, family_id: int) -> list[CertificateYear]:
        mine = [year for (family, _), year in self.known.items() if family == family_id]
        return sorted(mine, key=lambda year: year.year, reverse=True)

    def document(self, family_id: int, year: int) -> Document | None:
        if (family_id, year) not in self.known:
            return None
        return Document(f"attestation-{year}.pdf", "application/pdf", b"%PDF attestation")


@dataclass
class FakeOutbox:
    rows: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)

    def add(self, topic: str, payload: dict[str, Any], *, key: str, after=None) -> None:
        self.rows.setdefault((topic, key), payload)

    def take(self, topic: str) -> list[dict[str, Any]]:
        keys = [key for key in self.rows if key[0] == topic]
        return [self.rows.pop(key) for key in keys]


@dataclass
class FakeTown:
    """A `TenantContext`: the bot's own tables are real, core's services are in memory."""

    town: TownInfo
    session: Session
    configured: TelegramSettings
    clock: FakeClock = field(default_factory=FakeClock)
    families: FakeFamilies = field(default_factory=FakeFamilies)
    invoices: FakeInvoices = field(default_factory=FakeInvoices)
    payments: FakePayments = field(default_factory=FakePayments)
    certificates: FakeCertificates = field(default_factory=FakeCertificates)
    outbox: FakeOutbox = field(default_factory=FakeOutbox)

    def settings(self, _plugin) -> TelegramSettings:
        return self.configured

    def add_family(self, name: str, language: str = "fr") -> FamilyInfo:
        family_id = self.session.execute(
            text("INSERT INTO family (tenant_id, code, name) VALUES (:t, :c, :n) RETURNING id"),
            {"t": self.town.slug, "c": name.upper(), "n": name},
        ).scalar_one()
        self.session.commit()
        family = FamilyInfo(family_id, name.upper(), name, language)
        self.families.known[family_id] = family
        return family

    def add_invoice(self, family: FamilyInfo, label: str, amount: int, **changes) -> InvoiceInfo:
        number = family.id * 100 + len(self.invoices.known) + 1
        invoice = InvoiceInfo(
            number, family.id, "scolaire", f"F{number}", "", label, amount, amount,
            date(2026, 3, 1), date(2026, 4, 15), payable=True,
        )  # fmt: skip
        self.invoices.known[number] = replace(invoice, **changes)
        return self.invoices.known[number]

    def pay(self, invoice: InvoiceInfo, paid_at: datetime = NOW) -> PaymentInfo:
        self.invoices.known[invoice.id] = replace(invoice, balance=0)
        payment = PaymentInfo(
            len(self.payments.known) + 1, invoice.family_id, "scolaire", invoice.amount, Means.CARD,
            "", paid_at, "", "R1", (invoice.id,),
        )  # fmt: skip
        self.payments.known[payment.id] = payment
        return payment


@pytest.fixture
def make_town(servers, telegram_database, request) -> Iterator[Callable[..., FakeTown]]:
    """Makes towns, each on its own slug: nothing is shared but the database."""
    owner = create_engine(servers.url(OWNER, telegram_database))
    engine = make_engine(servers.addresses(telegram_database).database_url)
    sessions = make_session_factory(engine)
    opened = []

    def make(name: str = "ville", **settings) -> FakeTown:
        with owner.begin() as connection:
            count = connection.execute(text("SELECT count(*) FROM tenant")).scalar_one()
            slug = f"{name}-{count}"
            connection.execute(
                text("INSERT INTO tenant (id, name) VALUES (:slug, :name)"),
                {"slug": slug, "name": name},
            )
        session = sessions(info={"tenant": slug})
        opened.append(session)
        info = TownInfo(slug, name, "https://ville.example.org", ("fr", "en"), ())
        values = {"token": TOKEN, "bot_username": USERNAME, "webhook_secret": SECRET}
        return FakeTown(info, session, TelegramSettings(**{**values, **settings}))

    yield make
    for session in opened:
        session.close()
    engine.dispose()
    owner.dispose()


@pytest.fixture
def town(make_town) -> FakeTown:
    return make_town()


@pytest.fixture
def bots() -> Iterator[Bots]:
    bots = Bots()
    yield bots
    bots.close()


@pytest.fixture
def live(make_town, simulator, bots):
    """A town whose bot talks to the simulator: `(town, courier)`."""
    town = make_town(base_url=simulator.url)
    return town, Courier(town, town.configured, bots)


@pytest.fixture
def open_town() -> Callable[[FakeTown], Any]:
    @contextmanager
    def opened(town: FakeTown):
        yield town
        town.session.commit()

    return opened
