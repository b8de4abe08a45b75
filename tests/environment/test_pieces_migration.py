"""Credit notes from before version 0017: those that named no invoice wait for nobody."""

from __future__ import annotations

from sqlalchemy import create_engine, text

from core.platform.db.migrate import downgrade, upgrade

ROW = text(
    "INSERT INTO invoice (tenant_id, family_id, batch_id, regie, number, fiscal_year, label, kind,"
    " origin_number, amount, issued_on, due_on, state, content_hash)"
    " VALUES ('a', 1, 1, 'CANTINE', :number, 2026, 'X', :kind, :origin, :amount,"
    " '2026-03-01', '2026-03-31', 'published', '')"
)
INVOICES = (
    ("1", "facture", "", 5687), ("A", "avoir", "1", -100), ("B", "avoir", "9314", -100),
    ("C", "avoir", "", -100),
)  # fmt: skip


def test_only_notes_that_named_an_invoice_wait(empty_database):
    before = "0016"
    upgrade(empty_database.owner_url, to=before)
    engine = create_engine(empty_database.owner_url.replace("preau_owner", "postgres"))
    with engine.begin() as connection:
        # Families and imports do not matter here.
        connection.execute(text("SET session_replication_role = replica"))
        for row in INVOICES:
            connection.execute(ROW, dict(zip(("number", "kind", "origin", "amount"), row, strict=True)))
    for _time in range(2):
        upgrade(empty_database.owner_url)
        with engine.begin() as connection:
            waiting = connection.scalars(
                text("SELECT number FROM invoice i WHERE invoice_waits(i) ORDER BY 1")
            ).all()
            forced = connection.scalar(
                text("SELECT relforcerowsecurity FROM pg_class WHERE oid = 'invoice'::regclass")
            )
        assert waiting == ["B"]
        assert forced
        downgrade(empty_database.owner_url, to=before)
    engine.dispose()
