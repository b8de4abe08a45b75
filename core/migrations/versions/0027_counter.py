"""The counter: several means in a visit, change, titles and their slips, what receipts leave due."""

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
    op.create_table(
        "title_slip",
        sa.Column("tenant_id", sa.String(63), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("regie", sa.String(), nullable=False),
        sa.Column(
            "name", sa.String(), nullable=False, comment="that the régie's means give: CESU"
        ),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False, comment="from 1 each year"),
        sa.Column("made_on", sa.Date(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name="pk_title_slip"),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name="fk_title_slip_tenant_id_tenant"
        ),
        sa.UniqueConstraint(
            "tenant_id", "regie", "name", "year", "number",
            name="uq_title_slip_tenant_id_regie_name_year_number",
        ),
    )  # fmt: skip
    protect("title_slip", append_only=True)
    op.create_table(
        "title_slip_line",
        sa.Column("tenant_id", sa.String(63), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("slip_id", sa.BigInteger(), nullable=False),
        sa.Column("payment_id", sa.BigInteger(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("means", sa.String(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name="pk_title_slip_line"),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name="fk_title_slip_line_tenant_id_tenant"
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "slip_id"], ["title_slip.tenant_id", "title_slip.id"],
            name="fk_title_slip_line_tenant_id_slip_id_title_slip",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "payment_id"], ["payment.tenant_id", "payment.id"],
            name="fk_title_slip_line_tenant_id_payment_id_payment",
        ),
        sa.UniqueConstraint(
            "tenant_id", "payment_id", name="uq_title_slip_line_tenant_id_payment_id"
        ),
    )  # fmt: skip
    op.create_index(
        "ix_title_slip_line_tenant_id_slip_id", "title_slip_line", ["tenant_id", "slip_id"]
    )
    protect("title_slip_line", append_only=True)


def downgrade() -> None:
    op.drop_table("title_slip_line")
    op.drop_table("title_slip")
    op.drop_table("payment_title")
    op.drop_column("allocation", "left_due")
    op.drop_index("ix_payment_visit", "payment")
    op.drop_column("payment", "tendered")
    op.drop_column("payment", "visit")
