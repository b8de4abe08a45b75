"""Distributing the tables by town stays possible (Citus, or shards of one's own): rules of the schema.

What only a cluster can show stands in docs/scaling.md.
"""

from __future__ import annotations

import re

import pytest
from isolation_towns import live_in, make_full_portal, scoped_tables
from redis import Redis
from sqlalchemy import Engine, create_engine, event, text
from town_statements import names_town

HERE = "valmont"
NAMES = {table.name for table in scoped_tables()}
OTHERS_ASKED = {"tenant", "alembic_version"}
"""Tables that would be on every node."""

TRIGGERS = {
    "allocation": "keeps the sum invoice.paid of the same town",
    "credit": "keeps the sum invoice.paid of the same town",
    "invoice": "keeps the sum invoice.credited of the same town",
    "child": "keeps the words of the name in the same row",
    "family": "keeps the words of the name in the same row",
}
"""Tables with triggers, and why each stays on its node: Citus wants them allowed by name."""


OF_THE_TESTS = (
    "SELECT id FROM outbox WHERE state IN ('ready', 'running')",
    "UPDATE outbox SET state",
    "SELECT planning_request.id \nFROM planning_request \nWHERE planning_request.key =",
)
"""Statements of fixtures, which rely on the wall alone: the portal's work (`Portal.work`), a row that
is aged by hand, and a request of planning that a test looks for. The product sends none of them."""


@pytest.fixture(scope="module")
def catalogue(servers, migrated_template):
    name = "distribution"
    servers.create_database(name, migrated_template)
    engine = create_engine(servers.addresses(name).owner_url)
    with engine.connect() as connection:
        yield connection
    engine.dispose()
    servers.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def test_each_unique_key_holds_the_town(catalogue):
    rows = catalogue.execute(
        text("SELECT c.relname, i.indexrelid::regclass::text AS name, array_agg(a.attname::text) AS columns"
             " FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid"
             " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY(i.indkey)"
             " WHERE (i.indisunique OR i.indisexclusion) AND c.relname = ANY(:names) GROUP BY 1, 2"),
        {"names": list(NAMES)},
    ).all()  # fmt: skip
    assert {row.relname for row in rows} >= NAMES
    assert [row.name for row in rows if "tenant_id" not in row.columns] == []


def test_each_foreign_key_stays_in_the_town(catalogue):
    rows = catalogue.execute(
        text("SELECT k.conname, k.conrelid::regclass::text AS source, k.confrelid::regclass::text AS target,"
             " (SELECT array_agg(a.attname::text ORDER BY p.place) FROM unnest(k.conkey)"
             "  WITH ORDINALITY p(n, place) JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = p.n) AS mine,"
             " (SELECT array_agg(a.attname::text ORDER BY p.place) FROM unnest(k.confkey)"
             "  WITH ORDINALITY p(n, place) JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = p.n) AS theirs"
             " FROM pg_constraint k WHERE k.contype = 'f' AND k.connamespace = 'public'::regnamespace"),
    ).all()  # fmt: skip
    assert len(rows) > len(NAMES)
    for row in rows:
        if row.target == "tenant":
            assert (row.mine, row.theirs) == (["tenant_id"], ["id"]), row.conname
        else:
            assert row.target in NAMES, row.conname
            assert ("tenant_id", "tenant_id") in zip(row.mine, row.theirs, strict=True), row.conname


def test_numbers_are_wide_enough_for_a_range_on_each_node(catalogue):
    narrow = catalogue.scalars(
        text("SELECT sequencename FROM pg_sequences WHERE schemaname = 'public' AND data_type::text <> 'bigint'")
    ).all()
    assert narrow == []


def test_each_trigger_stays_on_its_node(catalogue):
    found = catalogue.scalars(
        text("SELECT DISTINCT c.relname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid"
             " WHERE NOT t.tgisinternal AND c.relname = ANY(:names)"),
        {"names": list(NAMES)},
    ).all()  # fmt: skip
    assert set(found) == TRIGGERS.keys(), "say in TRIGGERS why it stays within a town"


@pytest.fixture(scope="module")
def sent(servers, migrated_template, tmp_path_factory):
    """The statements that a family's and an agent's whole life sends as the application."""
    name, statements = "distribution_sent", set()
    servers.create_database(name, migrated_template)
    addresses = servers.addresses(name)
    with Redis.from_url(addresses.redis_url) as redis:
        redis.flushall()

    def note(_connection, _cursor, statement, *_more):
        statements.add(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        portal = make_full_portal(addresses, tmp_path_factory.mktemp("sent"))
        statements.clear()  # The list of towns is written by the owner.
        live_in(portal, HERE, "F001")
        portal.work()
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    portal.runtime.close()
    yield statements
    servers.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def tables_of(statement):
    return NAMES & set(re.findall(r"\b(?:FROM|JOIN|INTO|UPDATE)\s+(?:ONLY\s+)?\"?([a-z_]+)", statement))


def test_each_statement_names_the_town(sent):
    asked = {statement for statement in sent if tables_of(statement)}
    assert len(asked) > 100
    nameless = {statement for statement in asked if not names_town(statement)}
    assert {statement for statement in nameless if not statement.startswith(OF_THE_TESTS)} == set()


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("SELECT family.tenant_id, family.id FROM family WHERE family.id < 0", False),
        ("SELECT family.tenant_id FROM family WHERE family.tenant_id = 'x'", True),
        ("SELECT id FROM family WHERE tenant_id IN ('x')", True),
        ("SELECT 1 FROM invoice JOIN family USING (tenant_id, id)", True),
        ("SELECT 1 FROM invoice i JOIN family f ON i.family_id = f.id ORDER BY i.tenant_id", False),
        ("INSERT INTO family (tenant_id, code) VALUES ('x', 'y')", True),
        ("INSERT INTO family (code) SELECT tenant_id FROM staged", False),
        ("DELETE FROM family WHERE 'x' = family.tenant_id", True),
        ("UPDATE family SET tenant_name = 1 RETURNING family.tenant_id", False),
    ],
)
def test_a_town_is_named_by_a_condition_not_by_a_column_that_is_read(statement, named):
    assert names_town(statement) is named
