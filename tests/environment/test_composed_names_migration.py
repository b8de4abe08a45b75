"""Version 0021 writes accents as one character, and leaves twins to whoever merges families."""

from __future__ import annotations

from sqlalchemy import create_engine, text

from core.platform.db.migrate import downgrade, upgrade

APART = "e\u0301"


def test_names_are_composed_and_twins_are_left(empty_database):
    upgrade(empty_database.owner_url, to="0020")
    engine = create_engine(empty_database.owner_url.replace("preau_owner", "postgres"))
    with engine.begin() as connection:
        # The town does not matter here.
        connection.execute(text("SET session_replication_role = replica"))
        connection.execute(
            text("INSERT INTO child (tenant_id, code, label) VALUES (:tenant, :code, :label)"),
            [
                {"tenant": "a", "code": f"F1/zo{APART}", "label": f"Zo{APART}"},
                {"tenant": "a", "code": f"F2/l{APART}a", "label": f"L{APART}a"},
                {"tenant": "a", "code": "F2/léa", "label": "Léa"},
                {"tenant": "b", "code": "F1/zoé", "label": "Zoé"},
            ],
        )
    upgrade(empty_database.owner_url, to="0021")
    with engine.begin() as connection:
        found = connection.execute(text("SELECT code, label FROM child ORDER BY id")).all()
    assert found == [
        ("F1/zoé", "Zoé"), (f"F2/l{APART}a", f"L{APART}a"), ("F2/léa", "Léa"), ("F1/zoé", "Zoé"),
    ]  # fmt: skip
    downgrade(empty_database.owner_url, to="0020")
    engine.dispose()
