"""Lists of invoices that a régie hands over to the trésorerie."""

import sqlalchemy as sa
from alembic import op

from core.platform.db.rls import protect

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "handover",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("regie", sa.String(), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column(
            "number", sa.Integer(), nullable=False, comment="from 1 each year, without a gap"
        ),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False, comment="cents of euro"),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("left_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("left_by", sa.String(), server_default="", nullable=False),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancelled_by", sa.String(), server_default="", nullable=False),
        sa.Column("cancel_reason", sa.String(), server_default="", nullable=False),
        sa.CheckConstraint(
            "left_at IS NULL OR cancelled_at IS NULL", name=op.f("ck_handover_left_or_cancelled")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_handover_tenant_id_tenant")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_handover")),
        sa.UniqueConstraint(
            "tenant_id",
            "regie",
            "year",
            "number",
            name=op.f("uq_handover_tenant_id_regie_year_number"),
        ),
    )
    op.create_table(
        "handover_line",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("handover_id", sa.BigInteger(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("invoice_id", sa.BigInteger(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False, comment="cents of euro"),
        sa.Column("taken_back_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id", "handover_id"],
            ["handover.tenant_id", "handover.id"],
            name=op.f("fk_handover_line_tenant_id_handover_id_handover"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "invoice_id"],
            ["invoice.tenant_id", "invoice.id"],
            name=op.f("fk_handover_line_tenant_id_invoice_id_invoice"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_handover_line_tenant_id_tenant")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_handover_line")),
        sa.UniqueConstraint(
            "tenant_id",
            "handover_id",
            "rank",
            name=op.f("uq_handover_line_tenant_id_handover_id_rank"),
        ),
    )
    op.create_index(
        "uq_handover_line_in_force",
        "handover_line",
        ["tenant_id", "invoice_id"],
        unique=True,
        postgresql_where=sa.text("taken_back_at IS NULL"),
    )
    protect("handover")
    protect("handover_line")


def downgrade() -> None:
    op.drop_table("handover_line")
    op.drop_table("handover")
