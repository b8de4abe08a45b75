"""Imported files of enrolments, to be undone."""

import sqlalchemy as sa
from alembic import op

from core.plugin import protect

revision = "planning_0002"
down_revision = "planning_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "planning_batch",
        sa.Column("tenant_id", sa.String(63), sa.ForeignKey("tenant.id"), nullable=False),
        sa.Column("id", sa.BigInteger, sa.Identity(always=False), nullable=False),
        sa.Column("file_name", sa.String, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String, nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("replaced", sa.JSON, nullable=False),
        sa.Column("undone_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("tenant_id", "id"),
    )
    protect("planning_batch")


def downgrade() -> None:
    op.drop_table("planning_batch")
