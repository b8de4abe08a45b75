"""Fixtures: real servers, a migrated database for each test that asks for one, and a clean Redis.

Everything is made when first asked for: tests that need no server start none. Under xdist each
worker has servers of its own, which is cheaper (half a second) than sharing and never in the way;
their cluster is a copy of one (`core.testing.prepared`).
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from sqlalchemy.orm import Session, sessionmaker

from core.dev.embedded import DATABASE, Addresses, Embedded
from core.dev.standby import EmbeddedStandby
from core.platform.db.session import make_engine, make_session_factory
from core.testing.prepared import put_cluster, shared_folder
from core.testing.recycling import Stock

TEMPLATE = "preau_template"
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def servers(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Embedded]:
    """PostgreSQL and Valkey, on which tests may make databases as they like."""
    # Not below pytest's folder: where PostgreSQL has to run as "nobody", it cannot go in there.
    with tempfile.TemporaryDirectory(prefix="preau-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o711)
        put_cluster(Path(folder), shared_folder(pytestconfig, tmp_path_factory))
        with Embedded(Path(folder), durable=False) as embedded:
            yield embedded


@pytest.fixture(scope="session")
def migrated_template(servers: Embedded) -> str:
    """Name of a database with the schema of core and of all installed plugins, and no row."""
    servers.create_database(TEMPLATE, DATABASE)
    return TEMPLATE


@pytest.fixture(scope="module")
def standby_server(servers: Embedded) -> Iterator[EmbeddedStandby]:
    """A streaming standby of `servers`, for one module (some seconds).

    Whoever pauses or stops it sets it going again.
    """
    with tempfile.TemporaryDirectory(prefix="preau-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o711)
        server = EmbeddedStandby(Path(folder), servers)
        server.start()
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="session")
def stock(servers: Embedded, migrated_template: str) -> Iterator[Stock]:
    """Migrated databases, used again."""
    stock = Stock(servers, migrated_template)
    yield stock
    stock.close()


@pytest.fixture
def empty_database(servers: Embedded) -> Iterator[Addresses]:
    """A database without a schema, for tests of the migrations themselves."""
    name = f"test_{next(_numbers)}"
    servers.create_database(name)
    yield servers.addresses(name)
    servers.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def database(servers: Embedded, stock: Stock) -> Iterator[Addresses]:
    """Addresses of a migrated database without a row, for one test (some 5 ms)."""
    yield from _database(servers, stock)


@pytest.fixture(scope="module")
def module_database(servers: Embedded, stock: Stock) -> Iterator[Addresses]:
    """Addresses of one migrated database for all tests of a module, which tidy up or do not mind.

    For hypothesis, and for read-only tests on a costly set of data.
    """
    yield from _database(servers, stock)


@pytest.fixture
def sessions(database: Addresses) -> Iterator[sessionmaker[Session]]:
    """Sessions as the application's role; give the town by ``sessions(info={"tenant": slug})``."""
    engine = make_engine(database.database_url)
    yield make_session_factory(engine)
    engine.dispose()


@pytest.fixture
def redis(servers: Embedded) -> Iterator[Redis]:
    """An empty Redis; its address is ``database.redis_url`` too."""
    with Redis.from_url(servers.addresses().redis_url) as client:
        client.flushall()
        yield client


def _database(servers: Embedded, stock: Stock) -> Iterator[Addresses]:
    name = stock.take()
    yield servers.addresses(name)
    stock.give_back(name)
