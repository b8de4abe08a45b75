"""The migration makes what the models say, behind the wall, and can be taken back."""

from __future__ import annotations

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, text
from sqlalchemy.exc import ProgrammingError

from core.platform.db.migrate import downgrade, upgrade
from core.platform.db.session import make_engine, make_session_factory, session_for
from core.plugin import Base
from plugins.cheque_import import models, plugin

VERSIONS = [plugin.migrations().directory]


def test_the_migration_makes_the_models_and_their_walls(empty_database):
    upgrade(empty_database.owner_url, VERSIONS)  # Core's too: a session enters its town by it.
    engine = create_engine(empty_database.owner_url)
    with engine.begin() as connection:
        context = MigrationContext.configure(connection)
        differences = compare_metadata(context, Base.metadata)
        assert [d for d in differences if "cheque" in str(d)] == []
        tables = {name for name in Base.metadata.tables if name.startswith("cheque")}
        forced = connection.scalars(
            text("SELECT relname FROM pg_class WHERE relforcerowsecurity AND relrowsecurity")
        ).all()
        assert tables <= set(forced)
        connection.execute(text("INSERT INTO tenant (id, name) VALUES ('a', 'A'), ('b', 'B')"))
    engine.dispose()

    app = make_engine(empty_database.database_url)
    sessions = make_session_factory(app)
    with session_for(sessions, "a") as session:
        session.add(models.ChequeLayout(tenant_id="a", name="xlsx", columns={}))
    with session_for(sessions, "b") as session:
        assert session.query(models.ChequeLayout).count() == 0
    with (
        pytest.raises(ProgrammingError, match="permission denied"),
        session_for(sessions, "a") as session,
    ):
        session.execute(text("DELETE FROM cheque_event"))
    app.dispose()

    downgrade(empty_database.owner_url, VERSIONS, to="cheque_import@base")
    engine = create_engine(empty_database.owner_url)
    with engine.begin() as connection:
        left = connection.scalars(
            text("SELECT tablename FROM pg_tables WHERE tablename LIKE 'cheque%'")
        ).all()
    engine.dispose()
    assert left == []
