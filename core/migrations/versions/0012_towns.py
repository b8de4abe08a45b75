"""Never let PostgreSQL believe that a town has one row (`core.platform.db.rls.share_of_towns`)."""

import sqlalchemy as sa
from alembic import op

from core.platform.db.rls import forget_share_of_towns, share_of_towns

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in _tables():
        share_of_towns(table)


def downgrade() -> None:
    for table in _tables():
        forget_share_of_towns(table)


def _tables() -> list[str]:
    """All tables behind the wall, the plugins' too."""
    found = op.get_bind().execute(
        sa.text(
            "SELECT relname FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid"
            " WHERE attname = 'tenant_id' AND relkind = 'r'"
            " AND relnamespace = 'public'::regnamespace ORDER BY relname"
        )
    )
    return list(found.scalars())
