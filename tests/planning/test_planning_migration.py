"""The migration makes what the models say, behind the wall, and can be taken back."""

from __future__ import annotations

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, inspect, text

from core.platform.db.migrate import downgrade, upgrade
from core.plugin import Base
from plugins.planning import (
    models,  # noqa: F401 - completes the metadata
    plugin,
)

VERSIONS = [plugin.migrations().directory]


def test_the_migration_makes_the_models_and_their_walls(empty_database):
    upgrade(empty_database.owner_url, VERSIONS, to="planning@head")
    engine = create_engine(empty_database.owner_url)
    tables = {name for name in Base.metadata.tables if name.startswith("planning")}
    with engine.begin() as connection:
        context = MigrationContext.configure(connection)
        differences = compare_metadata(context, Base.metadata)
        assert [d for d in differences if "planning" in str(d)] == []
        forced = connection.scalars(
            text("SELECT relname FROM pg_class WHERE relforcerowsecurity AND relrowsecurity")
        ).all()
        assert tables <= set(forced)
    downgrade(empty_database.owner_url, VERSIONS, to="planning@base")
    assert not tables & set(inspect(engine).get_table_names())
    engine.dispose()
