"""Exports for billing, row by row; a batch of enrolments is named by its import."""

import sqlalchemy as sa
from alembic import op

from core.plugin import protect

revision = "planning_0003"
down_revision = "planning_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("planning_batch", sa.Column("source", sa.String))
    op.execute("UPDATE planning_batch SET source = 'page/' || id")
    op.alter_column("planning_batch", "source", nullable=False)
    op.create_unique_constraint(
        "uq_planning_batch_tenant_id_source", "planning_batch", ["tenant_id", "source"]
    )
    op.drop_column("planning_batch", "file_name")
    op.drop_column("planning_batch", "actor")
    op.create_table(
        "planning_export",
        sa.Column("tenant_id", sa.String(63), sa.ForeignKey("tenant.id"), nullable=False),
        sa.Column("id", sa.BigInteger, sa.Identity(always=False), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String, nullable=False),
        sa.Column("first", sa.Date, nullable=False),
        sa.Column("last", sa.Date, nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id"),
    )
    op.create_table(
        "planning_exported",
        sa.Column("tenant_id", sa.String(63), sa.ForeignKey("tenant.id"), nullable=False),
        sa.Column("id", sa.BigInteger, sa.Identity(always=False), nullable=False),
        sa.Column("export_id", sa.BigInteger, nullable=False),
        sa.Column("child_id", sa.BigInteger, nullable=False),
        sa.Column("service", sa.String, nullable=False),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("row", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "export_id"], ["planning_export.tenant_id", "planning_export.id"]
        ),
        sa.UniqueConstraint("tenant_id", "export_id", "child_id", "service", "day"),
    )
    op.create_index("ix_planning_exported_day", "planning_exported", ["tenant_id", "day"])
    protect("planning_export", append_only=True)
    protect("planning_exported", append_only=True)


def downgrade() -> None:
    op.drop_table("planning_exported")
    op.drop_table("planning_export")
    op.add_column("planning_batch", sa.Column("file_name", sa.String, server_default=""))
    op.add_column("planning_batch", sa.Column("actor", sa.String, server_default=""))
    for column in ("file_name", "actor"):
        op.alter_column("planning_batch", column, nullable=False, server_default=None)
    op.drop_column("planning_batch", "source")
