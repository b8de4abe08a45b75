"""An index that no version since 0013 reads goes: each import and payment wrote into it."""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_invoice_unpaid", table_name="invoice")


def downgrade() -> None:
    op.create_index(
        "ix_invoice_unpaid",
        "invoice",
        ["tenant_id", "id"],
        postgresql_where=sa.text("state = 'published' AND kind = 'facture' AND paid < amount"),
    )
