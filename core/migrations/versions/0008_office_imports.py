"""Indexes that answer by themselves: the invoices of an import, and who was told of invoices."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

PUBLISHED = sa.text("kind = 'invoices_published'")
TOLD = ["tenant_id", "created_at", "channel", "family_id"]


def upgrade() -> None:
    op.create_index(
        op.f("ix_invoice_tenant_id_batch_id_id"), "invoice", ["tenant_id", "batch_id", "id"]
    )
    op.drop_index(op.f("ix_invoice_tenant_id_batch_id"), table_name="invoice")
    op.drop_index("ix_message_published", table_name="message")
    op.create_index(
        "ix_message_published", "message", [*TOLD, "state"], postgresql_where=PUBLISHED
    )


def downgrade() -> None:
    op.drop_index("ix_message_published", table_name="message")
    op.create_index("ix_message_published", "message", TOLD, postgresql_where=PUBLISHED)
    op.create_index(
        op.f("ix_invoice_tenant_id_batch_id"), "invoice", ["tenant_id", "batch_id"]
    )
    op.drop_index(op.f("ix_invoice_tenant_id_batch_id_id"), table_name="invoice")
