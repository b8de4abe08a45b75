"""Indexes for the office's lists and charts in a town of a million invoices."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        op.f("ix_payment_tenant_id_settled_at"), "payment", ["tenant_id", "settled_at"]
    )
    op.create_index(op.f("ix_payment_tenant_id_state_id"), "payment", ["tenant_id", "state", "id"])
    op.create_index(
        "ix_payment_authorisation",
        "payment",
        ["tenant_id", "authorisation"],
        postgresql_where=sa.text("authorisation <> ''"),
    )
    op.create_index(
        "ix_message_published",
        "message",
        ["tenant_id", "created_at", "channel", "family_id"],
        postgresql_where=sa.text("kind = 'invoices_published'"),
    )


def downgrade() -> None:
    op.drop_index("ix_message_published", table_name="message")
    op.drop_index("ix_payment_authorisation", table_name="payment")
    op.drop_index(op.f("ix_payment_tenant_id_state_id"), table_name="payment")
    op.drop_index(op.f("ix_payment_tenant_id_settled_at"), table_name="payment")
