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
