"""Fixtures: the whole portal over real servers, with two towns and a steered provider and clock."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from argon2 import PasswordHasher
from pyramid.router import Router
from redis import Redis
from sqlalchemy import create_engine, text

from core.api.invoices import (
    InvoiceRecord,
    InvoiceSource,
    LineRecord,
    SourceFile,
    SourceNotice,
    SourceProblem,
    TaxKind,
)
from core.api.plugin import Plugin
from core.dev.embedded import Addresses
from core.imports.format.csv import plugin as csv
from core.messages.email.channel import plugin as email
from core.platform import passwords
from core.platform.outbox.deliver import deliver
from core.platform.plugins.discovery import Extensions, discovered
from core.platform.settings import load
from core.platform.tenancy.config import TenantConfigError
from core.processes.app import make_app
from core.processes.consumers import all_consumers
from core.runtime import Runtime, read_towns, write_town_rows
from core.testing.fakes import TOWN, TOWNS, FakeBank, FakeClock, FakePay
from core.testing.recycling import engine_on, owner_on
from core.unit_of_work import UnitOfWork


def record(number: str = "2026-0001", family: str = "F001", **changes: Any) -> InvoiceRecord:
    """An invoice of 56,87 € for the canteen, or what `changes` make of it."""
    amount = changes.get("amount", 5687)
    fields: dict[str, Any] = {
        "regie": "CANTINE",
        "number": number,
        "family_code": family,
        "label": "CANTINE février",
        "amount": amount,
        "issued_on": date(2026, 3, 1),
        "due_on": date(2026, 3, 31),
        "fiscal_year": 2026,
        "debtor": "DURAND Camille",
        "lines": (LineRecord(1, "Repas", TaxKind.MEAL, amount, child="E001"),),
    }
    return InvoiceRecord(**(fields | changes))


class Records:
    """An invoice source that yields what it was given, for tests of what comes after reading."""

    key = "records"
    label = "Records"

    def __init__(self, *items: InvoiceRecord | SourceProblem | SourceNotice) -> None:
        self._items = items

    def read(self, _file: SourceFile) -> Iterator[InvoiceRecord | SourceProblem | SourceNotice]:
        """Yield them."""
        yield from self._items


@dataclass
class Portal:
    """The portal under test."""

    runtime: Runtime
    clock: FakeClock
    plugin: FakePay
    scratch: Path
    owner_url: str

    @property
    def bank(self) -> FakeBank:
        """The fake provider's memory."""
        return self.plugin.bank

    def town(self, slug: str = "valmont") -> Any:
        """A unit of work: ``with portal.town() as town``."""
        return self.runtime.unit_of_work(slug)

    def publish(self, *records: InvoiceRecord, slug: str = "valmont") -> int:
        """Import and publish `records`; the batch's id."""
        with self.town(slug) as town:
            report = town.imports.run(Records(*records), self.file())
            assert report.batch_id is not None, report.problems
            town.imports.publish(report.batch_id)
            return int(report.batch_id)

    def file(self, content: str = "") -> SourceFile:
        """A file on disk, for sources that do not read it."""
        path = self.scratch / f"{uuid.uuid4().hex}.csv"
        path.write_text(content)
        return SourceFile(path, path.name, path.stat().st_size)

    def configure(self, slug: str, toml: str) -> None:
        """Write `toml` at the end of a town's file, and read the towns anew."""
        path = self.runtime.settings.tenants_dir / slug / "tenant.toml"
        path.write_text(f"{path.read_text('utf-8')}\n{toml}", "utf-8")
        registry = read_towns(self.runtime.settings, self.runtime.extensions)
        if registry.broken:
            raise TenantConfigError(next(iter(registry.broken.values())))
        self.runtime.registry = registry

    def codes(self, family: str = "F001", slug: str = "valmont") -> str:
        """Draw a second code for a family."""
        with self.town(slug) as town:
            return str(town.families.issue_code(town.families.by_code(family).id))

    def work(self, *, rounds: int = 20) -> int:
        """Do every due outbox row of all towns, as workers would; how many were done."""
        consumers = all_consumers(self.runtime.extensions)
        done = 0
        for _round in range(rounds):
            due = self._due()
            if not due:
                break
            for tenant, row_id in due:
                deliver(self.runtime, consumers, tenant, row_id)
                done += 1
        return done

    def _due(self) -> list[tuple[str, uuid.UUID]]:
        found = []
        for slug in TOWNS:
            with self.town(slug) as town:
                found += due_rows(town)
        return found

    def outbox(self, slug: str = "valmont") -> list[Any]:
        """The outbox's rows: topic, state, last error."""
        with self.town(slug) as town:
            return list(
                town.session.execute(
                    text("SELECT topic, dedupe_key, state, attempts, last_error FROM outbox"
                         " ORDER BY created_at")
                )
            )  # fmt: skip


def due_rows(town: UnitOfWork) -> list[tuple[str, uuid.UUID]]:
    """The due outbox rows of a town."""
    rows = town.session.execute(
        text(
            "SELECT id FROM outbox WHERE state IN ('ready', 'running') AND available_at <= :now"
            " ORDER BY available_at, created_at"
        ),
        {"now": town.clock.now()},
    )
    return [(town.config.slug, row.id) for row in rows]


def write_towns(folder: Path, more: str = "") -> Path:
    """Write the two towns of tests, with `more` TOML at the end of each."""
    for slug, name in TOWNS.items():
        (folder / slug).mkdir(parents=True)
        (folder / slug / "tenant.toml").write_text(
            TOWN.format(slug=slug, name=name) + more, "utf-8"
        )
    return folder


def make_portal(
    addresses: Addresses,
    folder: Path,
    *,
    plugins: Mapping[str, Plugin[Any]] | None = None,
    toml: str = "",
    **changes: Any,
) -> Portal:
    """A portal over a migrated database.

    `plugins` are installed besides, and `toml` stands in both towns' files; `changes` go to the
    installation's settings.
    """
    clock, plugin = FakeClock(), FakePay()
    given: dict[str, Any] = {
        "database_url": addresses.database_url,
        "owner_url": addresses.owner_url,
        "relay_url": addresses.relay_url,
        "redis_url": addresses.redis_url,
        "tenants_dir": write_towns(folder / "tenants", toml),
        "data_dir": folder,
        "public_base_url": "http://localhost",
        "smtp_host": "127.0.0.1",
        "papers_ahead": False,  # Seconds of work after each publication that nobody reads.
        "smtp_port": 9,  # Nobody listens: a test that needs mail starts a server and says so.
    }
    settings = load(**(given | changes))
    extensions = Extensions(
        {"email": email, "csv": csv, "fakepay": plugin, **(plugins or {})}
    )
    engine = engine_on(settings.database_url)
    runtime = Runtime(settings, extensions, clock=clock, engine=engine)
    write_town_rows(owner_on(settings.owner_url), runtime.registry)
    return Portal(runtime, clock, plugin, folder, settings.owner_url)


@contextmanager
def installed_plugins(extensions: Extensions) -> Iterator[None]:
    """Let this process find `extensions` installed, and what is really installed afterwards.

    The answer of `discovered` is replaced, not the name: a module that is first imported inside the
    block would keep a replaced name for ever, and with it the plugins of somebody else's test.
    """
    with mock.patch.object(Extensions, "discover", return_value=extensions):
        discovered.cache_clear()
        try:
            yield
        finally:
            discovered.cache_clear()


_REAL_COST = dict(passwords.COST)


@contextmanager
def cheap_hashes() -> Iterator[None]:
    """Let codes and passwords be hashed, in this process, at a price that only tests may ask."""
    with _hashes_at({"time_cost": 1, "memory_cost": 8, "parallelism": 1}):
        yield


@contextmanager
def real_hashes() -> Iterator[None]:
    """Let codes and passwords be hashed at their real price again, within `cheap_hashes`."""
    with _hashes_at(_REAL_COST):
        yield


@contextmanager
def _hashes_at(cost: dict[str, Any]) -> Iterator[None]:
    with (
        mock.patch.dict(passwords.COST, cost),
        mock.patch.object(passwords, "_PASSWORDS", PasswordHasher(**cost)),
    ):
        yield


_pages: dict[tuple[tuple[str, int], ...], tuple[list[Plugin[Any]], Router]] = {}
"""Pages by the plugins they were made of, which are kept: the next might get their numbers."""


def pages_of(runtime: Runtime) -> Router:
    """The pages over `runtime`, until this is called for another one.

    They are put together once for the same plugins: that takes longer than many a test.
    """
    plugins = runtime.extensions.plugins
    with_pages = runtime.extensions.implementers(frozenset(plugins), "configure_web")
    key = tuple((name, id(plugins[name])) for name in with_pages)
    if key not in _pages:
        _pages[key] = [plugins[name] for name in with_pages], make_app(runtime)
    router = _pages[key][1]
    router.registry.runtime = runtime
    return router


@pytest.fixture
def portal(database: Addresses, redis: Redis, tmp_path: Path) -> Iterator[Portal]:
    """A portal with an empty database."""
    redis.flushall()
    made = make_portal(database, tmp_path)
    with cheap_hashes():
        yield made
    made.runtime.redis.close()


@pytest.fixture
def owner(portal: Portal) -> Iterator[Any]:
    """A connection as the owner of the tables, who is under row-level security too."""
    engine = create_engine(portal.owner_url)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


__all__ = [
    "InvoiceSource", "Portal", "Records", "make_portal", "owner", "pages_of", "portal", "record",
]  # fmt: skip
