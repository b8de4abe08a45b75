"""Find the cheques of a pile by its name."""

import sqlalchemy as sa
from alembic import op

revision = "cheque_0002"
down_revision = "cheque_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_cheque_place", "cheque", ["tenant_id", "regie", sa.text("upper(slip)")]
    )


def downgrade() -> None:
    op.drop_index("ix_cheque_place", "cheque")
