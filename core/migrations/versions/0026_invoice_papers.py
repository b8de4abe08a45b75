"""Papers of invoices are kept while the invoice says the same."""

import sqlalchemy as sa
from alembic import op

from core.platform.db.rls import protect

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "invoice_paper",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("invoice_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "fingerprint", sa.String(), nullable=False,
            comment="of all that it says, and of its look",
        ),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_invoice_paper_tenant_id_tenant")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "invoice_id"],
            ["invoice.tenant_id", "invoice.id"],
            name=op.f("fk_invoice_paper_tenant_id_invoice_id_invoice"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_invoice_paper")),
        sa.UniqueConstraint(
            "tenant_id", "invoice_id", name=op.f("uq_invoice_paper_tenant_id_invoice_id")
        ),
    )  # fmt: skip
    op.create_index(
        op.f("ix_invoice_paper_tenant_id_made_at"), "invoice_paper", ["tenant_id", "made_at"]
    )
    protect("invoice_paper")


def downgrade() -> None:
    op.drop_table("invoice_paper")
