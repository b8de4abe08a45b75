"""Version 0020 puts news and publications aside whose moment is in another age."""

from __future__ import annotations

from sqlalchemy import create_engine, text

from core.platform.db.migrate import upgrade


def test_a_moment_of_another_age_is_forgotten_and_others_stay(empty_database):
    upgrade(empty_database.owner_url, to="0019")
    engine = create_engine(empty_database.owner_url.replace("preau_owner", "postgres"))
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO tenant (id, name) VALUES ('a', 'A')"))
        for title, moment in (("old", "0001-01-01"), ("good", "2026-03-01")):
            connection.execute(
                text("INSERT INTO news (tenant_id, key, title, body, published_at) VALUES ('a', :title, :title, '', :moment)"),
                {"title": title, "moment": moment},
            )
    upgrade(empty_database.owner_url, to="0020")
    with engine.begin() as connection:
        shown = connection.execute(text("SELECT title FROM news WHERE published_at IS NOT NULL")).all()
        assert shown == [("good",)]
        walls = text("SELECT bool_and(relforcerowsecurity) FROM pg_class WHERE relname IN ('news', 'import_batch')")
        assert connection.scalar(walls)
    engine.dispose()
