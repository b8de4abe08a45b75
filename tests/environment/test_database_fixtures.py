"""The servers that tests and development run on."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import ProgrammingError


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
