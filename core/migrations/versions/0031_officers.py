"""Who holds a régie, and the reports of its till when that changes."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from core.platform.db.rls import protect

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "regie_officer",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("regie", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("act", sa.String(), nullable=False, comment="the decision that appointed them"),
        sa.Column("since", sa.Date(), nullable=False),
        sa.Column(
            "until", sa.Date(), nullable=True, comment="last day; NULL: still in office"
        ),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("noted_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "until IS NULL OR since <= until", name=op.f("ck_regie_officer_span")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_regie_officer_tenant_id_tenant")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_regie_officer")),
    )
    op.create_index(
        op.f("ix_regie_officer_tenant_id_regie"), "regie_officer", ["tenant_id", "regie"]
    )
    op.create_table(
        "till_report",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("regie", sa.String(), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column(
            "number", sa.Integer(), nullable=False, comment="from 1 each year, without a gap"
        ),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("outgoing", sa.String(), nullable=False),
        sa.Column("incoming", sa.String(), nullable=False),
        sa.Column(
            "counted",
            sa.BigInteger(),
            nullable=False,
            comment="cents of euro: cash in the till, float included",
        ),
        sa.Column("note", sa.String(), server_default="", nullable=False),
        sa.Column(
            "state",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default="{}",
            nullable=False,
        ),
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_till_report_tenant_id_tenant")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_till_report")),
        sa.UniqueConstraint(
            "tenant_id",
            "regie",
            "year",
            "number",
            name=op.f("uq_till_report_tenant_id_regie_year_number"),
        ),
    )
    protect("regie_officer")
    protect("till_report", append_only=True)


def downgrade() -> None:
    op.drop_table("till_report")
    op.drop_table("regie_officer")
