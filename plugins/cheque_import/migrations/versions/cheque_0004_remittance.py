"""A slip is of one remittance (*versement*) of the régie, with which it is cancelled."""

import sqlalchemy as sa
from alembic import op

revision = "cheque_0004"
down_revision = "cheque_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("cheque_deposit", sa.Column("remittance_id", sa.BigInteger, nullable=True))
    op.add_column(
        "cheque_deposit",
        sa.Column("remittance", sa.String, server_default="", nullable=False),
    )
    op.add_column(
        "cheque_deposit", sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True)
    )
    op.create_unique_constraint(
        op.f("uq_cheque_deposit_tenant_id_remittance_id"),
        "cheque_deposit",
        ["tenant_id", "remittance_id"],
    )


def downgrade() -> None:
    op.drop_constraint(op.f("uq_cheque_deposit_tenant_id_remittance_id"), "cheque_deposit")
    op.drop_column("cheque_deposit", "cancelled_at")
    op.drop_column("cheque_deposit", "remittance")
    op.drop_column("cheque_deposit", "remittance_id")
