"""A backup is worth what a restore gives back: every row of every town, behind the same walls."""

from __future__ import annotations

import re
import stat

import pytest
from click.testing import CliRunner
from isolation_towns import metadata, scoped_tables
from sqlalchemy import create_engine, text
from sqlalchemy.exc import ProgrammingError

from core.cli import backup as module
from core.platform.db.rls import APP, MAINTENANCE, OWNER, RELAY
from core.platform.db.session import make_engine
from core.platform.settings import load


def digests(url):
    """A digest of every table, of all towns, as only maintenance sees them."""
    engine = create_engine(url)
    with engine.connect() as connection:
        found = {
            name: connection.execute(
                text(f'SELECT count(*), md5(string_agg(t::text, chr(10) ORDER BY t::text)) FROM "{name}" t')
            ).one()
            for name in [*metadata().tables, "alembic_version"]
        }
    engine.dispose()
    return found


TABLE_WALLS = """
    SELECT relname, relrowsecurity, relforcerowsecurity, relacl::text, relowner::regrole::text
    FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'S')
"""


def plain(value):
    """PostgreSQL writes an expression anew when it reads it again, with other casts and brackets."""
    return re.sub(r"::(text|character varying|date)|\[\]|[()]", "", value) if isinstance(value, str) else value


def walls(url):
    """Policies, rights and row-level security, as the catalogue has them."""
    engine = create_engine(url)
    with engine.connect() as connection:
        found = [
            sorted(tuple(map(plain, row)) for row in connection.execute(text(query)))
            for query in (
                "SELECT tablename, policyname, roles::text, cmd, qual, with_check FROM pg_policies",
                TABLE_WALLS,
                "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'",
                "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'public'::regnamespace",
            )
        ]
    engine.dispose()
    return found


@pytest.fixture
def run(monkeypatch):
    def command(function, *arguments, **settings):
        monkeypatch.setattr(module, "get_settings", lambda: load(**settings))
        return CliRunner().invoke(function, [str(argument) for argument in arguments])

    return command


@pytest.fixture(scope="module")
def addresses(servers, full):
    """Those of the full database, and of an empty one to restore into."""
    servers.create_database("restored")
    name = full.owner_url.rpartition("/")[2].partition("?")[0]
    yield servers.addresses(name), servers.addresses("restored")
    servers.execute('DROP DATABASE "restored" WITH (FORCE)')


def test_what_is_restored_is_what_was_there(run, full, addresses, tmp_path):
    here, there = addresses
    before = digests(here.maintenance_url)
    assert all(before[table.name].count > 0 for table in scoped_tables()), "nothing to lose"
    file = tmp_path / "preau.dump"
    done = run(module.backup, file, maintenance_url=here.maintenance_url)
    assert done.exit_code == 0, done.output
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["preau.dump"]

    # The address of the database that serves, and the other one's name beside it.
    done = run(module.restore, file, "--database", "restored", owner_url=here.owner_url)
    assert done.exit_code == 0, done.output
    assert "2 town(s)" in done.output
    assert digests(there.maintenance_url) == before
    assert walls(there.maintenance_url) == walls(here.maintenance_url)

    # New rows get numbers after the old ones.
    engine = make_engine(there.database_url)
    with engine.begin() as connection:
        connection.execute(text("SELECT set_config('app.tenant', 'valmont', true)"))
        highest = connection.scalar(text("SELECT max(id) FROM family"))
        new = connection.scalar(
            text("INSERT INTO family (tenant_id, code, name) VALUES ('valmont', 'NEW', 'x') RETURNING id")
        )
    engine.dispose()
    assert new > highest

    # A second restore would mix two towns' books: refused, and nothing changes.
    again = run(module.restore, file, owner_url=there.owner_url)
    assert again.exit_code == 1
    assert "not empty" in again.output


def test_in_a_folder_the_newest_are_kept(run, addresses, tmp_path):
    here, _there = addresses
    for day in range(1, 5):
        (tmp_path / f"preau-2020-01-0{day}T000000Z.dump").touch()
    (tmp_path / "something-else").touch()
    done = run(module.backup, tmp_path, "--keep", 2, maintenance_url=here.maintenance_url)
    assert done.exit_code == 0, done.output
    old, new, other = sorted(path.name for path in tmp_path.iterdir())
    assert old == "preau-2020-01-04T000000Z.dump"
    assert new.startswith("preau-2")
    assert other == "something-else"
    assert run(module.backup, tmp_path / "f", "--keep", 2, maintenance_url="x").exit_code == 2


def test_a_backup_that_fails_leaves_no_file_and_no_password(run, addresses, tmp_path, capfd):
    here, _there = addresses
    url = here.relay_url.replace("@", ":hunter2@")  # It may read the outbox only.
    done = run(module.backup, tmp_path / "preau.dump", maintenance_url=url)
    assert done.exit_code == 1
    assert list(tmp_path.iterdir()) == []
    assert "hunter2" not in done.output + "".join(capfd.readouterr())


def test_a_backup_that_is_cut_off_is_not_restored(run, servers, addresses, tmp_path):
    here, _there = addresses
    file = tmp_path / "preau.dump"
    run(module.backup, file, maintenance_url=here.maintenance_url)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    servers.create_database("half")
    done = run(module.restore, file, owner_url=servers.addresses("half").owner_url)
    assert done.exit_code == 1
    engine = create_engine(servers.addresses("half").owner_url)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT to_regclass('public.tenant')")) is None
    engine.dispose()
    servers.execute('DROP DATABASE "half" WITH (FORCE)')


# --- The role that sees all towns ------------------------------------------------------------


@pytest.fixture(scope="module")
def maintenance(addresses):
    engine = create_engine(addresses[0].maintenance_url)
    yield engine
    engine.dispose()


def test_maintenance_reads_all_towns_and_writes_nothing(maintenance):
    wrong = []
    for table in scoped_tables():
        with maintenance.connect() as connection:
            towns = connection.scalars(text(f'SELECT DISTINCT tenant_id FROM "{table.name}"')).all()
        if set(towns) != {"valmont", "brumes"}:
            wrong.append((table.name, towns))
        for statement in (
            f'DELETE FROM "{table.name}" WHERE false',
            f"UPDATE \"{table.name}\" SET tenant_id = 'x' WHERE false",
            f"INSERT INTO \"{table.name}\" (tenant_id) VALUES ('x')",
            f'TRUNCATE "{table.name}" CASCADE',
            f'ALTER TABLE "{table.name}" DISABLE ROW LEVEL SECURITY',
        ):
            with maintenance.connect() as connection:
                try:
                    connection.execute(text(statement))
                except ProgrammingError:
                    continue
                wrong.append(statement)
    assert wrong == []


def test_maintenance_has_no_other_power(maintenance):
    with maintenance.connect() as connection:
        power = connection.execute(
            text("SELECT rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls"
                 " FROM pg_roles WHERE rolname = current_user")
        ).one()  # fmt: skip
        assert tuple(power) == (False, False, False, False, True)
        member = connection.scalars(
            text("SELECT roleid::regrole::text FROM pg_auth_members WHERE member = CAST(:m AS regrole)"),
            {"m": MAINTENANCE},
        ).all()
        assert member == ["pg_read_all_data"]
        others = connection.execute(
            text("SELECT count(*) FROM pg_auth_members WHERE roleid = CAST(:m AS regrole)"
                 " OR member::regrole::text = ANY(:served)"),
            {"m": MAINTENANCE, "served": [OWNER, APP, RELAY]},
        )  # fmt: skip
        assert others.scalar_one() == 0
