"""Large files of debits, which a worker does part by part."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from core.platform.db.rls import protect

revision = "0043"
down_revision = "0042"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "debit_job",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("regie", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False, comment="format of the file"),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lines", postgresql.JSONB(), server_default="{}", nullable=False),
        sa.Column("total", sa.Integer(), nullable=False, comment="number of lines"),
        sa.Column("done", sa.Integer(), server_default="0", nullable=False, comment="lines looked at"),
        sa.Column("settled", sa.Integer(), server_default="0", nullable=False),
        sa.Column("settled_cents", sa.BigInteger(), server_default="0", nullable=False, comment="cents of euro"),
        sa.Column("rejected", sa.Integer(), server_default="0", nullable=False),
        sa.Column("rejected_cents", sa.BigInteger(), server_default="0", nullable=False, comment="cents of euro"),
        sa.Column("left_out", sa.Integer(), server_default="0", nullable=False),
        sa.Column("refusal", sa.String(), server_default="", nullable=False, comment="why the rest was not done"),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("done <= total", name=op.f("ck_debit_job_done")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name=op.f("fk_debit_job_tenant_id_tenant")),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_debit_job")),
    )
    protect("debit_job")


def downgrade() -> None:
    op.drop_table("debit_job")
