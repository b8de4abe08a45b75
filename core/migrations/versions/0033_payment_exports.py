"""Exports of payments to the billing software, and the token by which it fetches them."""

import sqlalchemy as sa
from alembic import op

from core.platform.db.rls import protect

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "payment_export",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("regie", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False, comment="from 1, without a gap"),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False, comment="cents of euro"),
        sa.Column("media_type", sa.String(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column(
            "left_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="when it was first fetched or sent",
        ),
        sa.Column("left_by", sa.String(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_payment_export_tenant_id_tenant")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_payment_export")),
        sa.UniqueConstraint(
            "tenant_id", "regie", "number", name=op.f("uq_payment_export_tenant_id_regie_number")
        ),
    )
    op.create_index(
        op.f("ix_payment_export_tenant_id_regie_id"),
        "payment_export",
        ["tenant_id", "regie", "id"],
        postgresql_where=sa.text("left_at IS NULL"),
    )
    op.create_table(
        "payment_export_line",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("export_id", sa.BigInteger(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("allocation_id", sa.BigInteger(), nullable=True),
        sa.Column(
            "credit_id",
            sa.BigInteger(),
            nullable=True,
            comment="a credit that its invoice gave back after a credit note",
        ),
        sa.Column("is_reversal", sa.Boolean(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False, comment="cents of euro, signed"),
        sa.CheckConstraint(
            "(allocation_id IS NULL) <> (credit_id IS NULL)",
            name=op.f("ck_payment_export_line_one_of_both"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "allocation_id"],
            ["allocation.tenant_id", "allocation.id"],
            name=op.f("fk_payment_export_line_tenant_id_allocation_id_allocation"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "credit_id"],
            ["credit.tenant_id", "credit.id"],
            name=op.f("fk_payment_export_line_tenant_id_credit_id_credit"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "export_id"],
            ["payment_export.tenant_id", "payment_export.id"],
            name=op.f("fk_payment_export_line_tenant_id_export_id_payment_export"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_payment_export_line_tenant_id_tenant")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_payment_export_line")),
        sa.UniqueConstraint(
            "tenant_id",
            "export_id",
            "rank",
            name=op.f("uq_payment_export_line_tenant_id_export_id_rank"),
        ),
    )
    for name in ("allocation", "credit"):
        op.create_index(
            f"uq_payment_export_line_{name}",
            "payment_export_line",
            ["tenant_id", f"{name}_id", "is_reversal"],
            unique=True,
            postgresql_where=sa.text(f"{name}_id IS NOT NULL"),
        )
    op.create_table(
        "exchange_token",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_exchange_token_tenant_id_tenant")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_exchange_token")),
    )
    op.create_index(
        "uq_exchange_token_in_force",
        "exchange_token",
        ["tenant_id"],
        unique=True,
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    for table in ("payment_export", "payment_export_line", "exchange_token"):
        protect(table)


def downgrade() -> None:
    op.drop_table("exchange_token")
    op.drop_table("payment_export_line")
    op.drop_table("payment_export")
