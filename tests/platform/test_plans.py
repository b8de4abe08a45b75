"""What a family looks at costs as much in a large town as in a small one: indexes find it."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine, event, text

from core.api.invoices import LineRecord, SourceFile, TaxKind
from core.testing.portal import Records, make_portal, record

FAMILIES = 1_000


def analyse(portal, statement="ANALYZE"):
    """Let PostgreSQL look at all tables."""
    owner = create_engine(portal.owner_url.replace("preau_owner", "postgres"), isolation_level="AUTOCOMMIT")
    with owner.connect() as connection:
        connection.execute(text(statement))
    owner.dispose()


@pytest.fixture(scope="module")
def portal(module_database, tmp_path_factory):
    """A town of 3 000 invoices, of which PostgreSQL knows how they are spread."""
    made = make_portal(module_database, tmp_path_factory.mktemp("portal"))
    made.publish(
        *(record(f"{n}-{turn}", family=f"F{n:04d}") for n in range(FAMILIES) for turn in range(3))
    )
    analyse(made, "VACUUM ANALYZE")
    yield made
    made.runtime.close()


def rows_touched(plan):
    """Rows that the scans of a plan gave or threw away."""
    own = 0
    if "Scan" in plan["Node Type"] and "Bitmap Index" not in plan["Node Type"]:
        own = (plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)) * plan["Actual Loops"]
    return own + sum(rows_touched(part) for part in plan.get("Plans", ()))


LOOKS = {
    "unpaid": lambda town, family: town.invoices.unpaid(family),
    "paid": lambda town, family: town.paid_invoices.of(family),
    "one of its own": lambda town, family: town.invoices.seen_by(family, [1, 2, 3]),
    "credit notes": lambda town, family: town.invoices.credit_notes(family),
    "to give back": lambda town, _family: town.invoice_list.page(overpaid=True),
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_a_look_does_not_go_through_the_whole_town(portal, look):
    asked = []

    def note(_connection, _cursor, statement, parameters, _context, _many):
        if " invoice" in statement:
            asked.append((statement, parameters))

    with portal.town() as town:
        family = town.families.by_code("F0007").id
        event.listen(portal.runtime.engine, "before_cursor_execute", note)
        look(town, family)
        event.remove(portal.runtime.engine, "before_cursor_execute", note)
        connection = town.session.connection()
        ((statement, parameters),) = asked
        (found,) = connection.exec_driver_sql(
            f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters
        ).scalar_one()
    assert rows_touched(found["Plan"]) < FAMILIES / 10


def rows_fetched(plan):
    """Rows that the scans of a plan read from tables, not from indexes alone."""
    own = 0 if plan["Node Type"] == "Index Only Scan" else rows_touched({**plan, "Plans": ()})
    return own + sum(rows_fetched(part) for part in plan.get("Plans", ()))


def test_the_dashboard_sums_what_is_owed_from_an_index(portal):
    """Each open invoice was read from its table: half a second in a town of a million."""
    asked = []

    def note(_connection, _cursor, statement, parameters, _context, _many):
        if " invoice" in statement:
            asked.append((statement, parameters))

    with portal.town() as town:
        event.listen(portal.runtime.engine, "before_cursor_execute", note)
        assert town.figures.waiting().due > 0
        event.remove(portal.runtime.engine, "before_cursor_execute", note)
        assert any("sum" in statement for statement, _parameters in asked)
        for statement, parameters in asked:
            (found,) = town.session.connection().exec_driver_sql(
                f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters
            ).scalar_one()
            assert rows_fetched(found["Plan"]) < FAMILIES / 10, statement


@pytest.mark.parametrize("typed", ["xyzzyx", "oneofakind", "oenofakind"])
def test_a_name_is_found_without_reading_all_names(portal, typed):
    asked = []

    def note(_connection, _cursor, statement, parameters, _context, _many):
        if "family_word" in statement and statement.startswith("SELECT"):
            asked.append((statement, parameters))

    with portal.town() as town:
        family = town.families.by_code("F0007").id
        town.files.change(family, name="Oneofakind", address=[], language="fr")
        event.listen(portal.runtime.engine, "before_cursor_execute", note)
        town.search.find(typed)
        town.family_list.page(name=typed)
        event.remove(portal.runtime.engine, "before_cursor_execute", note)
        assert asked
        for statement, parameters in asked:
            (found,) = town.session.connection().exec_driver_sql(
                f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters
            ).scalar_one()
            assert rows_touched(found["Plan"]) < FAMILIES / 10
        town.session.rollback()


# --- An import into a town of which PostgreSQL knows too little ----------------------------------

MANY = 3_000


@pytest.fixture
def new_town(database, tmp_path):
    """A town whose first invoice was looked at by ANALYZE: all its families have one code."""
    made = make_portal(database, tmp_path / "portal")
    made.publish(record("first", family="F0000"))
    analyse(made)
    yield made
    made.runtime.close()


def rows_read(town):
    """Rows that this transaction has read of each table."""
    found = town.session.execute(
        text("SELECT relname, seq_tup_read + coalesce(idx_tup_fetch, 0) FROM pg_stat_xact_user_tables")
    )
    return dict(row for row in found)


@pytest.mark.parametrize("again", [False, True], ids=["new", "changed"])
def test_an_import_goes_through_the_town_once_whatever_the_statistics_say(new_town, tmp_path, again):
    path = tmp_path / "file.csv"
    path.touch()

    def read(town, amount):
        items = Records(*(
            record(
                f"{n}", family=f"F{n:04d}", amount=amount,
                lines=(LineRecord(1, "Repas", TaxKind.MEAL, amount, child=f"E{n:04d}"),),
            )
            for n in range(MANY)
        ))  # fmt: skip
        assert not town.imports.run(items, SourceFile(path, path.name, 0)).refused

    with new_town.town() as town:
        if again:
            read(town, 1000)
        before = rows_read(town)
        read(town, 2000)
        after = rows_read(town)
    for table, rows in after.items():
        assert rows - before.get(table, 0) < 30 * MANY, table


def bought(many):
    """A file of `many` invoices, each of a family and a child of its own."""
    return Records(*(
        record(
            f"{n}", family=f"F{n:04d}", amount=2000,
            lines=(LineRecord(1, "Repas", TaxKind.MEAL, 2000, child=f"E{n:04d}"),),
        )
        for n in range(many)
    ))  # fmt: skip


def undone(portal):
    """Leave pages in which nothing is."""
    with portal.town() as town:
        batch = town.imports.run(bought(MANY // 6), portal.file()).batch_id
    with portal.town() as town:
        assert town.imports.undo(batch)


def another_town(portal):
    """Leave a town of which all rows are, as far as statistics know."""
    with portal.town("brumes") as town:
        town.imports.run(bought(MANY // 6), portal.file())


def counted_meanwhile(portal):
    """Count before each insert, as autovacuum may: it sees no row of an import under way."""

    def count(_connection, _cursor, statement, *_rest):
        if statement.startswith(("INSERT", "-- count")):
            analyse(portal, "ANALYZE (SKIP_LOCKED) family, child, invoice")

    event.listen(portal.runtime.engine, "before_cursor_execute", count)


@pytest.mark.parametrize(
    ("before", "statement"),
    [
        (undone, "ANALYZE"), (undone, "VACUUM ANALYZE"),
        (another_town, "ANALYZE"), (counted_meanwhile, "VACUUM ANALYZE"),
    ],
)  # fmt: skip
def test_an_import_reads_rows_once_where_none_was_when_they_were_counted(
    database, tmp_path, before, statement
):
    """Rows are read in their number, not in its square: four times as many for four times the file."""
    portal = make_portal(database, tmp_path / "portal")
    read = []
    for many in (MANY // 12, MANY // 3):
        before(portal)
        analyse(portal, statement)
        portal.runtime.engine.dispose()  # A connection keeps plans of foreign keys.
        with portal.town() as town:
            report = town.imports.run(bought(many), portal.file())
            rows = rows_read(town)
            assert report.counts["created"] == many
            town.session.rollback()
        read.append(sum(rows.values()))
    portal.runtime.close()
    few, more = read
    assert more < 5 * few


# --- A payment in a town of whose payments PostgreSQL knows nothing yet --------------------------


def test_a_payment_is_not_held_against_each_other_one(new_town):
    before_it = 100
    new_town.publish(*(record(f"{n}", family="F0001") for n in range(before_it + 1)))
    with new_town.town() as town:
        family = town.families.by_code("F0001").id
        *others, last = [invoice.id for invoice in town.invoices.unpaid(family)]

        def start(invoice):
            town.attempts.create(family, [invoice], email="", language="fr", key=f"k{invoice}")

        for invoice in others:
            start(invoice)
        before = rows_read(town)
        start(last)
        after = rows_read(town)
    for table in ("payment", "payment_item"):
        assert after[table] - before[table] < 10 * before_it, table
