"""The charts of large towns are drawn by a worker and kept."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from core.platform.db.rls import protect

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "kept_report",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column(
            "at", sa.DateTime(timezone=True), nullable=False, comment="when it was drawn"
        ),
        sa.Column(
            "report", postgresql.JSONB(), nullable=False, comment="core.domain.figures.Report"
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_kept_report_tenant_id_tenant")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_kept_report")),
        sa.UniqueConstraint(
            "tenant_id", "language", name=op.f("uq_kept_report_tenant_id_language")
        ),
    )
    protect("kept_report")


def downgrade() -> None:
    op.drop_table("kept_report")
