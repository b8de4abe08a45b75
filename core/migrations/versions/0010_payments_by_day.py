"""An index that leads to the payments of a day, in the order in which the office lists them."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        op.f("ix_payment_tenant_id_settled_at_id"), "payment", ["tenant_id", "settled_at", "id"]
    )
    op.drop_index(op.f("ix_payment_tenant_id_settled_at"), table_name="payment")


def downgrade() -> None:
    op.create_index(
        op.f("ix_payment_tenant_id_settled_at"), "payment", ["tenant_id", "settled_at"]
    )
    op.drop_index(op.f("ix_payment_tenant_id_settled_at_id"), table_name="payment")
