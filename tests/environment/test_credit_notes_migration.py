"""Credit notes that were published before version 0013 take off their invoices from then on."""

from __future__ import annotations

from sqlalchemy import create_engine, text

from core.platform.db.migrate import downgrade, upgrade

ROW = text(
    "INSERT INTO invoice (tenant_id, family_id, batch_id, regie, number, fiscal_year, label, kind,"
    " origin_number, amount, issued_on, due_on, state, content_hash)"
    " VALUES (:town, :family, 1, 'CANTINE', :number, 2026, 'X', :kind, :origin, :amount,"
    " '2026-03-01', '2026-03-31', :state, '')"
)


def row(number, amount, *, town="a", family=1, origin="", state="published"):
    kind = "facture" if amount > 0 else "avoir"
    return {
        "town": town, "family": family, "number": number, "kind": kind, "origin": origin, "amount": amount,
        "state": state,
    }  # fmt: skip


def test_what_was_published_counts_after_the_upgrade(empty_database):
    upgrade(empty_database.owner_url, to="0012")
    engine = create_engine(empty_database.owner_url.replace("preau_owner", "postgres"))
    with engine.begin() as connection:
        # Families and imports do not matter here.
        connection.execute(text("SET session_replication_role = replica"))
        connection.execute(
            ROW,
            [
                row("1", 5687), row("2", 5687), row("1", 5687, town="b"), row("3", 5687),
                row("A", -1000, origin="1"), row("B", -500, origin="1"),
                row("C", -700, origin="2", state="draft"), row("D", -300, origin="3", family=2),
            ],
        )  # fmt: skip
    for _time in range(2):
        upgrade(empty_database.owner_url)
        with engine.begin() as connection:
            found = connection.execute(
                text("SELECT tenant_id, number, credited FROM invoice WHERE kind = 'facture' ORDER BY 1, 2")
            ).all()
            forced = connection.scalar(
                text("SELECT relforcerowsecurity FROM pg_class WHERE oid = 'invoice'::regclass")
            )
        assert found == [("a", "1", 1500), ("a", "2", 0), ("a", "3", 0), ("b", "1", 0)]
        assert forced
        downgrade(empty_database.owner_url, to="0012")
    engine.dispose()
