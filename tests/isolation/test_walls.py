"""Below the views: PostgreSQL itself keeps the towns apart, whatever the code above does."""

from __future__ import annotations

import inspect
from functools import wraps

import pytest
from isolation_towns import fill_the_rest, metadata, row_for, scoped_tables
from sqlalchemy import create_engine, delete, func, insert, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.orm import Session

from core.platform.db.rls import APP, OWNER, RELAY
from core.platform.db.session import make_engine, make_session_factory, session_for
from core.testing.portal import Records, record

HERE, THERE = "valmont", "brumes"
TABLES = scoped_tables()
MUST_STAY = {"audit_entry", "payment_answer", "cheque_event"}
"""What nobody may rewrite, at least."""



def every_table(check):
    """Make a test of `check`: ask it of each table in turn, and gather what is wrong with which."""
    signature = inspect.signature(check)
    others = [one for one in signature.parameters.values() if one.name != "table"]

    @wraps(check)
    def test(**fixtures):
        wrong = {}
        for table in TABLES:
            try:
                check(table=table, **fixtures)
            except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001 - it is told below
                wrong[table.name] = f"{type(error).__name__}: {error}"
        assert wrong == {}

    test.__signature__ = signature.replace(parameters=others)
    return test


def test_a_table_that_is_wrong_is_named():
    """The loop itself: each table is asked, and one that fails keeps no other back."""
    asked = []

    @every_table
    def look(table):
        asked.append(table)
        if table is TABLES[1]:
            pytest.fail("no wall")
        assert table is not TABLES[2]

    with pytest.raises(AssertionError) as told:
        look()
    assert asked == TABLES
    assert f"{TABLES[1].name}" in str(told.value)
    assert f"{TABLES[2].name}" in str(told.value)


@pytest.fixture(scope="module")
def factory(full):
    return full.runtime.sessions


@pytest.fixture(scope="module")
def catalogue(full):
    """A connection that may read PostgreSQL's own tables."""
    engine = create_engine(full.owner_url)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


@pytest.fixture(scope="module")
def append_only(catalogue):
    """The tables that the application may add to, and no more."""
    rows = catalogue.execute(
        text("SELECT relname, has_table_privilege(CAST(:app AS name), oid, 'UPDATE') AS changes,"
             " has_table_privilege(CAST(:app AS name), oid, 'DELETE') AS removes FROM pg_class"
             " WHERE relkind IN ('r', 'p') AND relname = ANY(:names)"),
        {"app": APP, "names": [table.name for table in TABLES]},
    ).all()  # fmt: skip
    assert all(row.changes == row.removes for row in rows)
    return {row.relname for row in rows if not row.changes}


def count(session, table):
    return session.execute(select(func.count()).select_from(table)).scalar_one()


# --- The catalogue ---------------------------------------------------------------------------


def test_every_table_of_the_database_is_in_the_metadata(catalogue):
    found = set(
        catalogue.scalars(
            text("SELECT relname FROM pg_class WHERE relkind IN ('r', 'p', 'f', 'v', 'm')"
                 " AND relnamespace = 'public'::regnamespace")
        )
    )  # fmt: skip
    assert found == set(metadata().tables) | {"alembic_version"}


@every_table
def test_postgresql_never_believes_that_a_town_has_one_row(catalogue, table):
    options = catalogue.scalar(
        text("SELECT attoptions FROM pg_attribute"
             " WHERE attrelid = to_regclass(:name) AND attname = 'tenant_id'"),
        {"name": table.name},
    )  # fmt: skip
    assert options == ["n_distinct=-0.001"]


def test_only_the_list_of_towns_belongs_to_no_town(catalogue):
    assert {table.name for table in metadata().sorted_tables} - {t.name for t in TABLES} == {"tenant"}
    rights = catalogue.execute(
        text("SELECT table_name, grantee, privilege_type FROM information_schema.role_table_grants"
             " WHERE table_name IN ('tenant', 'alembic_version') AND grantee <> :owner"),
        {"owner": OWNER},
    )  # fmt: skip
    assert {tuple(row) for row in rights} == {("tenant", APP, "SELECT"), ("tenant", RELAY, "SELECT")}


@every_table
def test_row_level_security_is_on_forced_and_has_its_policy(catalogue, table):
    enabled, forced = catalogue.execute(
        text("SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE oid = CAST(:t AS regclass)"),
        {"t": table.name},
    ).one()
    assert (enabled, forced) == (True, True)
    policies = {
        row.policyname: row
        for row in catalogue.execute(
            text("SELECT policyname, permissive, CAST(roles AS text[]) AS roles, cmd, qual, with_check"
                 " FROM pg_policies WHERE tablename = :t"),
            {"t": table.name},
        )
    }  # fmt: skip
    town = policies.pop("town")
    assert (town.roles, town.cmd) == ([APP], "ALL")
    wanted = "((tenant_id)::text = NULLIF(current_setting('app.tenant'::text, true), ''::text))"
    assert (town.qual, town.with_check) == (wanted, wanted)
    if table.name == "outbox":
        assert policies.pop("relay").roles == [RELAY]
    assert policies == {}


@every_table
def test_keys_hold_the_town(catalogue, table):
    assert next(iter(table.primary_key)).name == "tenant_id"
    for constraint in sorted(table.foreign_key_constraints, key=lambda one: str(one.name)):
        pairs = [(e.parent.name, e.column.name) for e in constraint.elements]
        if constraint.referred_table.name == "tenant":
            assert pairs == [("tenant_id", "id")]
        else:
            assert ("tenant_id", "tenant_id") in pairs
    # And as the database has it; a unique index without the town would tell what others have.
    keys = catalogue.scalars(
        text("SELECT indexdef FROM pg_indexes WHERE tablename = :t AND indexdef LIKE 'CREATE UNIQUE%'"),
        {"t": table.name},
    ).all()
    assert keys
    assert all("(tenant_id" in key for key in keys)
    points = catalogue.scalars(
        text("SELECT pg_get_constraintdef(oid) FROM pg_constraint"
             " WHERE contype = 'f' AND conrelid = CAST(:t AS regclass)"),
        {"t": table.name},
    ).all()  # fmt: skip
    assert len(points) == len(table.foreign_key_constraints)
    assert all("(tenant_id" in point for point in points)


@every_table
def test_a_town_of_the_list_stands_behind_each_row(table):
    """By a key of the table, or by one without NULL to a row that has it."""

    def leads(table):
        for constraint in table.foreign_key_constraints:
            target = constraint.referred_table
            if target.name == "tenant":
                return True
            if target is not table and not any(e.parent.nullable for e in constraint.elements):
                return leads(target)
        return False

    assert leads(table)


UNTIED = {
    # Somebody else's numbers: Telegram's.
    ("telegram_message", "chat_id"), ("telegram_message", "message_id"),
    ("telegram_pace", "chat_id"), ("telegram_chat_link", "chat_id"),
    ("telegram_link_token", "chat_id"),
    # A plugin's memory of what core told it; read through core's services, which know the town.
    ("cheque", "family_id"), ("cheque", "payment_id"), ("cheque_account", "family_id"),
    ("cheque_proposal", "family_id"), ("cheque_part", "family_id"), ("cheque_part", "payment_id"),
    ("cheque_deposit", "remittance_id"),
    ("planning_enrolment", "child_id"), ("planning_booking", "child_id"),
    ("planning_booking", "family_id"), ("planning_change", "child_id"),
    ("planning_attendance", "child_id"), ("planning_home", "child_id"),
    ("planning_home", "family_id"), ("planning_pattern", "child_id"),
    ("planning_pattern", "family_id"), ("planning_feed", "family_id"),
    ("planning_request", "family_id"), ("planning_exported", "child_id"),
    # What it names may go: the invoice of an import that is undone, an upload's batch.
    ("web_session", "only_invoice_id"), ("upload", "batch_id"),
}  # fmt: skip


@every_table
def test_every_reference_is_a_foreign_key(table):
    tied = {e.parent.name for c in table.foreign_key_constraints for e in c.elements}
    loose = {(table.name, c.name) for c in table.c if c.name.endswith("_id")} - UNTIED
    assert {name for _table, name in loose} <= tied


def test_nothing_runs_with_the_owner_s_rights_but_counting(catalogue):
    """ANALYZE reads no row to anybody; before PostgreSQL 17 nobody but the owner may."""
    functions = catalogue.scalars(
        text("SELECT proname FROM pg_proc WHERE prosecdef"
             " AND pronamespace = 'public'::regnamespace")
    ).all()  # fmt: skip
    assert functions == ["count_anew"]
    granted = catalogue.scalars(
        text("SELECT pg_get_userbyid(grantee) FROM pg_proc, aclexplode(proacl)"
             " WHERE proname = 'count_anew'")
    ).all()  # fmt: skip
    assert set(granted) == {OWNER, APP}


@pytest.mark.parametrize("name", ["pg_class", 'family"; DELETE FROM "tenant', "nothing"])
def test_counting_takes_nothing_but_a_table_s_name(portal, name):
    with portal.runtime.engine.connect() as connection, pytest.raises(ProgrammingError):
        connection.execute(text("SELECT count_anew(ARRAY[:name])"), {"name": name})


# --- Roles -----------------------------------------------------------------------------------


def test_roles_have_no_power_of_their_own(catalogue):
    rows = catalogue.execute(
        text("SELECT rolname, rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication"
             " FROM pg_roles WHERE rolname = ANY(:names)"),
        {"names": [OWNER, APP, RELAY]},
    )  # fmt: skip
    assert {tuple(row) for row in rows} == {(OWNER, False), (APP, False), (RELAY, False)}
    members = catalogue.execute(
        text("SELECT count(*) FROM pg_auth_members WHERE member IN"
             " (CAST(:app AS regrole), CAST(:relay AS regrole))"),
        {"app": APP, "relay": RELAY},
    )  # fmt: skip
    assert members.scalar_one() == 0


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE invoice DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE invoice NO FORCE ROW LEVEL SECURITY",
        "DROP POLICY town ON invoice",
        "CREATE POLICY mine ON invoice TO preau_app USING (true)",
        "ALTER ROLE preau_app BYPASSRLS",
        "SET ROLE preau_owner",
        "SET SESSION AUTHORIZATION preau_owner",
        "CREATE TABLE mine (x int)",
        "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "TRUNCATE invoice CASCADE",
        "COPY invoice TO PROGRAM 'cat'",
        "INSERT INTO tenant (id, name) VALUES ('mine', 'Mine')",
        "UPDATE tenant SET name = 'x'",
        "DELETE FROM alembic_version",
    ],
)
def test_the_application_cannot_break_the_wall(factory, statement):
    with factory(info={"tenant": HERE}) as session, pytest.raises(ProgrammingError):
        session.execute(text(statement))


def test_what_must_stay_is_append_only(append_only):
    assert append_only >= MUST_STAY


@pytest.mark.parametrize("change", [update, delete])
@every_table
def test_what_is_append_only_cannot_be_changed(factory, append_only, table, change):
    statement = change(table).where(text("false"))
    if change is update:
        statement = statement.values(tenant_id=HERE)
    with factory(info={"tenant": HERE}) as session:
        if table.name in append_only:
            with pytest.raises(ProgrammingError, match="permission denied"):
                session.execute(statement)
        else:
            session.execute(statement)


@every_table
def test_the_relay_sees_the_outbox_and_no_more(full, table):
    engine = create_engine(full.runtime.settings.relay_url)
    with engine.connect() as relay:
        if table.name == "outbox":
            towns = set(relay.scalars(text("SELECT DISTINCT tenant_id FROM outbox")))
            assert towns == {HERE, THERE}
        else:
            with pytest.raises(ProgrammingError, match="permission denied"):
                relay.execute(select(table))
    with engine.connect() as relay, pytest.raises(ProgrammingError, match="permission denied"):
        relay.execute(delete(table))
    with engine.connect() as relay, pytest.raises(ProgrammingError, match="permission denied"):
        relay.execute(text(f'INSERT INTO "{table.name}" (tenant_id) VALUES (:town)'), {"town": HERE})
    engine.dispose()


@every_table
def test_the_owner_is_behind_the_wall_too(catalogue, table):
    assert count(catalogue, table) == 0


# --- Without a town --------------------------------------------------------------------------


@every_table
def test_without_a_town_no_row_is_seen_nor_written(factory, append_only, table):
    with factory() as session:
        assert count(session, table) == 0
        if table.name not in append_only:
            assert session.execute(delete(table)).rowcount == 0
    with factory(info={"tenant": HERE}) as own:
        values = row_for(own, table, HERE)
    with factory() as session, pytest.raises(DBAPIError, match="row-level security"):
        session.execute(insert(table).values(**values))


# --- The other town --------------------------------------------------------------------------


@every_table
def test_every_table_has_rows_in_both_towns(factory, table):
    for town in (HERE, THERE):
        with factory(info={"tenant": town}) as session:
            assert count(session, table) > 0


@every_table
def test_the_other_town_s_rows_cannot_be_read_changed_or_removed(factory, append_only, table):
    there = table.c.tenant_id == THERE
    with factory(info={"tenant": HERE}) as session:
        assert count(session, select(table).where(there).subquery()) == 0
        assert set(session.scalars(select(table.c.tenant_id).distinct())) == {HERE}
        if table.name not in append_only:
            assert session.execute(delete(table).where(there)).rowcount == 0
            assert session.execute(update(table).where(there).values(tenant_id=HERE)).rowcount == 0


@every_table
def test_a_row_cannot_be_written_into_the_other_town(factory, append_only, table):
    with factory(info={"tenant": THERE}) as other:
        values = row_for(other, table, THERE)
    with factory(info={"tenant": HERE}) as session, pytest.raises(DBAPIError, match="row-level security"):
        session.execute(insert(table).values(**values))
    if table.name not in append_only:
        with factory(info={"tenant": HERE}) as session, pytest.raises(DBAPIError, match="row-level security"):
            session.execute(update(table).values(tenant_id=THERE))


REFERENCES = [
    (table, constraint)
    for table in TABLES
    for constraint in sorted(table.foreign_key_constraints, key=lambda one: str(one.name))
    if constraint.referred_table.name != "tenant"
]


def test_a_row_cannot_point_into_the_other_town(factory):
    wrong = []
    for table, constraint in REFERENCES:
        target = constraint.referred_table
        (element,) = [e for e in constraint.elements if e.column.name != "tenant_id"]
        with factory(info={"tenant": THERE}) as other:
            foreign = other.scalars(select(element.column).limit(1)).one()
        with factory(info={"tenant": HERE}) as session:
            assert foreign not in session.scalars(select(target.c[element.column.name])).all()
            values = row_for(session, table, HERE, pointing={element.parent.name: foreign})
            try:
                session.execute(insert(table).values(**values))
                said = "nothing"
            except IntegrityError as error:
                said = str(error.orig)
        if "foreign key" not in said:
            wrong.append((table.name, element.parent.name, said))
    assert wrong == []


# --- Connections come back clean -------------------------------------------------------------


@pytest.fixture
def single(full):
    """Sessions over one connection, which is used again and again."""
    engine = make_engine(full.runtime.settings.database_url, pool_size=1)
    yield make_session_factory(engine)
    engine.dispose()


def sees(session):
    return set(session.scalars(text("SELECT DISTINCT tenant_id FROM invoice")))


@pytest.mark.parametrize("end", ["commit", "rollback", "close", "error"])
def test_a_used_connection_remembers_no_town(single, end):
    with single(info={"tenant": HERE}) as session:
        assert sees(session) == {HERE}
        if end == "error":
            with pytest.raises(DBAPIError):
                session.execute(text("SELECT 1/0"))
        else:
            getattr(session, end)()
    with single() as session:
        assert sees(session) == set()
    with single.kw["bind"].connect() as raw:
        assert sees(raw) == set()
    with single(info={"tenant": THERE}) as session:
        assert sees(session) == {THERE}


def test_a_session_keeps_its_town_over_its_transactions(single):
    with single(info={"tenant": HERE}) as session:
        for end in ("commit", "rollback", "commit"):
            assert sees(session) == {HERE}
            with session.begin_nested():
                assert sees(session) == {HERE}
            getattr(session, end)()


def test_a_town_s_name_is_a_value_and_never_sql(single):
    for name in ("valmont' OR '1'='1", "%", "VALMONT", "valmont\x00"[:-1] + " ", "*"):
        with single(info={"tenant": name}) as session:
            assert sees(session) == set()


def test_an_import_leaves_nothing_on_its_connection(full, single):
    slug = "valmont"
    with full.town(slug) as town:
        town.imports.run(Records(record("left-behind")), full.file())
        here = town.session.scalars(text("SELECT number FROM staged_invoice")).all()
        assert here == ["left-behind"]
        town.session.commit()
        left = town.session.scalars(text("SELECT to_regclass('pg_temp.staged_invoice')")).one()
        assert left is None


def test_the_unit_of_work_is_what_sets_the_town(full):
    with full.town(HERE) as town:
        assert isinstance(town.session, Session)
        assert town.session.info == {"tenant": HERE}
    with session_for(full.runtime.sessions, THERE) as session:
        assert fill_the_rest(session, THERE) == []
