"""The counter: several means in a visit, change, numbers of titles, what receipts leave due."""

import sqlalchemy as sa
from alembic import op

from core.platform.db.rls import protect

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "payment",
        sa.Column(
            "visit", sa.String(), server_default="", nullable=False,
            comment="the same for payments that one visit at the counter brought",
        ),
    )  # fmt: skip
    op.add_column(
        "payment",
        sa.Column(
            "tendered", sa.BigInteger(), nullable=True,
            comment="cents of cash that were given, where change was given back",
        ),
    )  # fmt: skip
    op.create_index(
        "ix_payment_visit", "payment", ["tenant_id", "visit"],
        postgresql_where=sa.text("visit <> ''"),
    )  # fmt: skip
    op.add_column(
        "allocation",
        sa.Column(
            "left_due", sa.BigInteger(), nullable=True,
            comment="cents that the invoice still owed then; NULL: not noted",
        ),
    )  # fmt: skip
    op.create_table(
        "payment_title",
        sa.Column("tenant_id", sa.String(63), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("payment_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.String(), nullable=False),
        sa.Column(
            "live", sa.Boolean(), server_default="true", nullable=False,
            comment="false once its payment came back: it may be taken again",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name="pk_payment_title"),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name="fk_payment_title_tenant_id_tenant"
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "payment_id"], ["payment.tenant_id", "payment.id"],
            name="fk_payment_title_tenant_id_payment_id_payment",
        ),
    )  # fmt: skip
    op.create_index(
        "ix_payment_title_tenant_id_payment_id", "payment_title", ["tenant_id", "payment_id"]
    )
    op.create_index(
        "uq_payment_title_live", "payment_title", ["tenant_id", "number"], unique=True,
        postgresql_where=sa.text("live"),
    )  # fmt: skip
    protect("payment_title")


def downgrade() -> None:
    op.drop_table("payment_title")
    op.drop_column("allocation", "left_due")
    op.drop_index("ix_payment_visit", "payment")
    op.drop_column("payment", "tendered")
    op.drop_column("payment", "visit")
