"""When a payment's provider last answered: the operator's last successful poll."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "payment",
        sa.Column(
            "answered_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="when the provider last answered, whatever it said",
        ),
    )
    op.create_index(
        "ix_payment_answered",
        "payment",
        ["tenant_id", "provider", "answered_at"],
        postgresql_where=sa.text("answered_at IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_payment_answered", table_name="payment")
    op.drop_column("payment", "answered_at")
