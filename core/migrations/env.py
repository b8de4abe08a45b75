"""How Alembic runs here: always online, as the owner role, on a connection it is given."""

from alembic import context

import core.rooms  # noqa: F401  (completes the metadata)
from core.platform.db.base import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
