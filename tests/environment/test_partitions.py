"""The audit trail and the providers' answers by month: moved without a loss, kept ahead, dropped."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime

import pytest
from click.testing import CliRunner
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from core.cli.main import preau
from core.platform.db import partitions
from core.platform.db.migrate import downgrade, upgrade
from core.platform.db.session import make_engine, make_session_factory
from core.platform.settings import get_settings

ROWS = """
INSERT INTO tenant (id, name) VALUES ('a', 'A'), ('b', 'B');
INSERT INTO family (tenant_id, code, name) VALUES ('a', 'F1', 'x'), ('b', 'F1', 'y');
INSERT INTO payment (tenant_id, family_id, regie, state, means, amount, key, created_at)
    SELECT tenant_id, id, 'CANTINE', 'settled', 'card', 100, 'k', now() FROM family;
INSERT INTO audit_entry (tenant_id, actor, action, subject)
    SELECT tenant_id, 'system', 'x' || n, 's' FROM family, generate_series(1, 50) n;
INSERT INTO payment_answer (tenant_id, payment_id, outcome)
    SELECT tenant_id, id, 'settled' FROM payment;
"""
WHOLE = (
    "SELECT (SELECT md5(string_agg(t::text, ',' ORDER BY id)) FROM audit_entry t),"
    " (SELECT md5(string_agg(t::text, ',' ORDER BY id)) FROM payment_answer t)"
)
PARTS = "SELECT relname FROM pg_class WHERE relnamespace = 'preau_parts'::regnamespace AND relkind = 'r'"


@pytest.fixture
def superuser(empty_database):
    engine = create_engine(
        empty_database.owner_url.replace("preau_owner", "postgres"), isolation_level="AUTOCOMMIT"
    )
    yield engine
    engine.dispose()


@pytest.fixture
def app(empty_database):
    engine = make_engine(empty_database.database_url)
    yield make_session_factory(engine)
    engine.dispose()


def parts(superuser) -> set[str]:
    with superuser.connect() as connection:
        return set(connection.scalars(text(PARTS)))


def audited(app, tenant: str) -> int:
    with app(info={"tenant": tenant}) as session:
        number = session.scalar(
            text("INSERT INTO audit_entry (tenant_id, actor, action) VALUES (:t, 'x', 'y') RETURNING id"),
            {"t": tenant},
        )
        session.commit()
        return number


def waits(superuser, what: str) -> None:
    """Wait until somebody waits for a lock, and not for ever."""
    deadline = time.monotonic() + 60
    asked = text(
        "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))"
    )
    with superuser.connect() as connection:
        while not connection.scalar(asked):
            assert time.monotonic() < deadline, f"{what} does not wait"
            time.sleep(0.01)


def test_whoever_has_begun_ends_before_the_tables_are_swapped(empty_database, superuser, app):
    """Attaching locks what keys point to, last: it waited for a page, and the page for it."""
    upgrade(empty_database.owner_url, to="0038")
    with superuser.connect() as connection:
        connection.exec_driver_sql(ROWS)
    with ThreadPoolExecutor() as beside, app(info={"tenant": "a"}) as session:
        session.execute(text("SELECT 1"))
        migration = beside.submit(upgrade, empty_database.owner_url, to="0039")
        waits(superuser, "the migration")
        for statement in (
            "UPDATE payment SET amount = amount",
            "INSERT INTO payment_answer (tenant_id, payment_id, outcome) SELECT tenant_id, id, 'x' FROM payment",
            "INSERT INTO audit_entry (tenant_id, actor, action) VALUES ('a', 'x', 'y')",
        ):
            session.execute(text(statement))
        session.commit()
        migration.result(60)
    assert audited(app, "a") == 102


def test_what_is_there_becomes_the_first_partition_and_comes_back(empty_database, superuser, app):
    upgrade(empty_database.owner_url, to="0038")
    with superuser.connect() as connection:
        connection.exec_driver_sql(ROWS)
        before = connection.execute(text(WHOLE)).one()
    for _time in range(2):
        upgrade(empty_database.owner_url)
        with superuser.connect() as connection:
            assert connection.execute(text(WHOLE)).one() == before
            connection.exec_driver_sql("ANALYZE audit_entry")
        downgrade(empty_database.owner_url, to="0038")
        with superuser.connect() as connection:
            assert connection.execute(text(WHOLE)).one() == before
    upgrade(empty_database.owner_url)
    assert audited(app, "a") == 101
    with app(info={"tenant": "b"}) as session:
        assert session.scalar(text("SELECT count(*) FROM audit_entry")) == 50
        assert session.scalar(text("SELECT count(*) FROM payment_answer")) == 1


def test_the_walls_are_those_of_the_table(empty_database, superuser, app):
    upgrade(empty_database.owner_url)
    with superuser.connect() as connection:
        connection.exec_driver_sql(ROWS)
    for part in parts(superuser):
        with app(info={"tenant": "a"}) as session, pytest.raises(DBAPIError, match="permission denied"):
            session.execute(text(f"SELECT 1 FROM preau_parts.{part}"))
    for change in ("UPDATE audit_entry SET actor = 'x'", "DELETE FROM payment_answer"):
        with app(info={"tenant": "a"}) as session, pytest.raises(DBAPIError, match="permission denied"):
            session.execute(text(change))
    with app(info={"tenant": "a"}) as session, pytest.raises(DBAPIError, match="row-level security"):
        session.execute(text("INSERT INTO audit_entry (tenant_id, actor, action) VALUES ('b', 'x', 'y')"))


def test_months_are_there_before_they_begin_and_numbers_step_to_them(empty_database, superuser, app):
    owner = empty_database.owner_url
    upgrade(owner)
    with superuser.connect() as connection:
        connection.exec_driver_sql(ROWS)
    this = datetime.now(UTC).date().replace(day=1)
    made = partitions.make_room(owner, this)
    assert f"audit_entry_{partitions.month_after(this):%Y_%m}" in made
    assert len(made) == len(partitions.PARTITIONED) * partitions.AHEAD
    assert audited(app, "a") == 101
    later = partitions.month_after(this, 5)
    partitions.make_room(owner, later.replace(day=28))
    assert partitions.make_room(owner, later) == []
    assert audited(app, "a") == partitions.block_of(later)
    assert audited(app, "b") == partitions.block_of(later) + 1
    names = {f"audit_entry_{partitions.month_after(later, n):%Y_%m}" for n in range(3)}
    assert names <= parts(superuser)
    # By a clock that goes wrong, numbers do not go back.
    partitions.make_room(owner, partitions.month_after(this, -1))
    partitions.make_room(owner, partitions.month_after(this, 1))
    assert audited(app, "a") == partitions.block_of(later) + 2
    with app(info={"tenant": "a"}) as session:
        found = session.scalars(text("SELECT id FROM audit_entry ORDER BY id DESC LIMIT 3")).all()
    assert found == [partitions.block_of(later) + 2, partitions.block_of(later), 101]
    walls = (
        "SELECT bool_and(relrowsecurity AND relforcerowsecurity) FROM pg_class"
        " JOIN pg_inherits ON inhrelid = oid WHERE inhparent = 'audit_entry'::regclass"
    )
    with superuser.connect() as connection:
        assert connection.scalar(text(walls))


def test_old_months_are_dropped_by_rule(empty_database, superuser, app, tmp_path, monkeypatch):
    owner = empty_database.owner_url
    upgrade(owner)
    with superuser.connect() as connection:
        connection.exec_driver_sql(ROWS)
    this = datetime.now(UTC).date().replace(day=1)
    for months in (1, 5, 200):
        partitions.make_room(owner, partitions.month_after(this, months))
        audited(app, "a")
    last = partitions.month_after(this, 4)
    with superuser.connect() as connection:  # As when a night ended between detaching and dropping.
        name = f"audit_entry_{partitions.month_after(this):%Y_%m}"
        connection.exec_driver_sql(f"ALTER TABLE audit_entry DETACH PARTITION preau_parts.{name}")
    dropped = partitions.drop_past(owner, "audit_entry", partitions.month_after(last))
    assert dropped == sorted(
        [
            f"audit_entry_until_{this:%Y_%m}",
            *(f"audit_entry_{partitions.month_after(this, n):%Y_%m}" for n in (1, 2, 3)),
        ]
    )
    with superuser.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM audit_entry")) == 2
        assert connection.scalar(text("SELECT count(*) FROM payment_answer")) == 2
    # The command, on a day when nothing else is old enough.
    monkeypatch.setenv("PREAU_OWNER_URL", owner)
    monkeypatch.setenv("PREAU_TENANTS_DIR", str(tmp_path))
    get_settings.cache_clear()
    answer = CliRunner().invoke(preau, ["database", "housekeep"])
    assert answer.exit_code == 0, answer.output
    assert "Dropped" not in answer.output
    assert f"payment_answer is kept from {partitions.month_after(this, -132):%Y-%m} on" in answer.output


@pytest.mark.parametrize(
    ("name", "old"),
    [
        ("audit_entry_2026_11", True), ("audit_entry_until_2026_11", True), ("audit_entry_2026_12", False),
        ("audit_entry_2027_01", False), ("payment_answer_2020_01", False), ("audit_entry_x", False),
    ],
)  # fmt: skip
def test_which_months_are_past(name, old):
    assert partitions.past([name], "audit_entry", date(2026, 12, 1)) == ([name] if old else [])
