"""Version 0022 makes names that are there already sortable and findable, in every town."""

from __future__ import annotations

from sqlalchemy import create_engine, text

from core.platform.db.migrate import downgrade, upgrade

TOWN = text("INSERT INTO tenant (id, name) VALUES (:town, 'Ville')")


def test_names_from_before_are_found(empty_database):
    upgrade(empty_database.owner_url, to="0021")
    engine = create_engine(empty_database.owner_url.replace("preau_owner", "postgres"))
    with engine.begin() as connection:
        for town in "ab":
            connection.execute(TOWN, {"town": town})
            connection.execute(
                text("INSERT INTO family (tenant_id, code, name) VALUES (:town, 'F1', 'Le Gŏff Éloi')"),
                {"town": town},
            )
            connection.execute(
                text("INSERT INTO child (tenant_id, code, label) VALUES (:town, 'E1', 'Léa')"),
                {"town": town},
            )
    for _time in range(2):
        upgrade(empty_database.owner_url)
        with engine.begin() as connection:
            names = connection.scalars(text("SELECT name_folded FROM family")).all()
            words = connection.execute(text("SELECT tenant_id, word FROM family_word")).all()
            children = connection.execute(text("SELECT tenant_id, word FROM child_word")).all()
            forced = connection.scalars(
                text("SELECT relforcerowsecurity FROM pg_class WHERE relkind = 'r'"
                     " AND relname IN ('family', 'child', 'family_word', 'child_word')")
            ).all()  # fmt: skip
        assert names == ["le goff eloi"] * 2
        assert set(words) == {
            (town, word) for town in "ab" for word in ("le", "goff", "eloi", "legoff", "goffeloi")
        }
        assert set(children) == {("a", "lea"), ("b", "lea")}
        assert forced == [True] * 4
        downgrade(empty_database.owner_url, to="0021")
    engine.dispose()
