"""One cheque for two families: a payment, and so a receipt, for each."""

import sqlalchemy as sa
from alembic import op

from core.plugin import protect

revision = "cheque_0003"
down_revision = "cheque_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "cheque_part",
        sa.Column("tenant_id", sa.String(63), sa.ForeignKey("tenant.id"), nullable=False),
        sa.Column("id", sa.BigInteger, sa.Identity(always=False), nullable=False),
        sa.Column("cheque_id", sa.BigInteger, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("payment_id", sa.BigInteger, nullable=False),
        sa.Column("family_id", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id"),
        sa.UniqueConstraint("tenant_id", "payment_id"),
        sa.ForeignKeyConstraint(["tenant_id", "cheque_id"], ["cheque.tenant_id", "cheque.id"]),
    )
    op.create_index("ix_cheque_part_cheque", "cheque_part", ["tenant_id", "cheque_id"])
    protect("cheque_part")


def downgrade() -> None:
    op.drop_table("cheque_part")
