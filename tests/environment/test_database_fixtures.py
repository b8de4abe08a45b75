"""The servers that tests and development run on."""

from __future__ import annotations

from contextlib import closing

import psycopg
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ProgrammingError

from core.platform.db.session import guests_of, make_engine
from core.testing.recycling import Stock


@pytest.mark.parametrize("again", range(5))
def test_each_test_has_its_own_database(empty_database, again):
    engine = create_engine(empty_database.owner_url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE mine (id int)"))
    engine.dispose()


def test_application_owns_nothing_and_may_make_nothing(empty_database):
    engine = create_engine(empty_database.database_url)
    with engine.connect() as connection, pytest.raises(ProgrammingError, match="permission denied"):
        connection.execute(text("CREATE TABLE mine (id int)"))
    with engine.connect() as connection:
        rights = connection.execute(
            text("SELECT rolsuper, rolbypassrls, rolcreatedb FROM pg_roles WHERE rolname = USER")
        ).one()
    engine.dispose()
    assert tuple(rights) == (False, False, False)


def test_application_may_copy_through_a_temporary_table(empty_database):
    engine = create_engine(empty_database.database_url)
    with engine.connect() as connection:
        connection.execute(text("CREATE TEMP TABLE incoming (id int)"))
    engine.dispose()


def test_french_letters_fold_without_a_french_locale(empty_database):
    engine = create_engine(empty_database.database_url)
    with engine.connect() as connection:
        folded = connection.execute(text("SELECT lower('ÉLÈVE ŒUF'), upper('çà')")).one()
    engine.dispose()
    assert tuple(folded) == ("élève œuf", "ÇÀ")


@pytest.mark.parametrize("again", range(2))
def test_redis_is_empty_at_first(redis, again):
    assert redis.dbsize() == 0
    redis.set("left", "over")


def test_migrated_database_shows_a_town_only_its_rows(sessions, database):
    engine = create_engine(database.owner_url)
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO tenant (id, name) VALUES ('a', 'A'), ('b', 'B')"))
    engine.dispose()
    insert = text("INSERT INTO family (tenant_id, code, name) VALUES ('a', '1', 'F')")
    with sessions(info={"tenant": "a"}) as session:
        session.execute(insert)
        session.commit()
    seen = {}
    for tenant in ("a", "b", ""):
        with sessions(info={"tenant": tenant}) as session:
            seen[tenant] = session.execute(text("SELECT count(*) FROM family")).scalar_one()
    assert seen == {"a": 1, "b": 0, "": 0}
    with sessions(info={"tenant": "b"}) as session, pytest.raises(ProgrammingError):
        session.execute(insert)


def test_a_second_migrated_database_is_empty(sessions):
    with sessions() as session:
        assert session.execute(text("SELECT count(*) FROM tenant")).scalar_one() == 0


@pytest.fixture
def another_stock(servers, migrated_template):
    stock = Stock(servers, migrated_template)
    yield stock
    stock.close()


def test_a_database_is_used_again_without_its_rows(another_stock, servers):
    """Whatever its test left: rows, a sequence that has begun, a session that holds locks."""
    name = another_stock.take()
    url = make_url(servers.url("postgres", name)).set(drivername="postgresql")
    numbers = []
    for _time in range(2):
        with closing(psycopg.connect(url.render_as_string())) as connection:
            connection.execute("INSERT INTO tenant (id, name) VALUES ('a', 'A')")
            numbers += connection.execute(
                "INSERT INTO family (tenant_id, code, name) VALUES ('a', '1', 'F') RETURNING id"
            ).fetchall()
            connection.commit()
            connection.execute("LOCK TABLE tenant")
            another_stock.give_back(name)
        assert another_stock.take() == name
    assert numbers == [(1,), (1,)]


@pytest.mark.parametrize(
    "change",
    [
        "CREATE TABLE mine (id int)",
        "ALTER TABLE family NO FORCE ROW LEVEL SECURITY",
        "DROP POLICY town ON family",
        "DROP TRIGGER paid ON allocation",
    ],
)
def test_a_database_of_another_shape_is_not_used_again(another_stock, servers, change):
    name = another_stock.take()
    servers.execute(change, database=name)
    another_stock.give_back(name)
    assert another_stock.take() != name


def test_a_connection_lent_while_its_pool_is_closed_is_closed_when_it_comes_back(database):
    """A pool that was disposed of would keep it open, for nobody."""
    engine = make_engine(database.database_url)
    for lent in (engine, guests_of(engine)):
        with lent.connect() as connection:
            late = connection.connection.driver_connection
            connection.execute(text("SELECT 1"))
            engine.dispose()
            assert not late.closed
        assert late.closed
        with lent.connect() as connection:
            again = connection.connection.driver_connection
        assert not again.closed  # The next pool keeps its own.
    engine.dispose()
    assert again.closed
