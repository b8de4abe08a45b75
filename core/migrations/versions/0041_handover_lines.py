"""An invoice may be on several lists for the trésorerie: what is left of it changes after one."""

import sqlalchemy as sa
from alembic import op

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None

OF_INVOICE = ["tenant_id", "invoice_id"]
IN_FORCE = sa.text("taken_back_at IS NULL")
ONCE = "uq_handover_line_tenant_id_handover_id_invoice_id"


def upgrade() -> None:
    op.create_index("ix_handover_line_in_force", "handover_line", OF_INVOICE, postgresql_where=IN_FORCE)
    op.drop_index("uq_handover_line_in_force", "handover_line")
    op.create_unique_constraint(ONCE, "handover_line", ["tenant_id", "handover_id", "invoice_id"])


def downgrade() -> None:
    op.drop_constraint(ONCE, "handover_line")
    op.create_index(
        "uq_handover_line_in_force",
        "handover_line",
        OF_INVOICE,
        unique=True,
        postgresql_where=IN_FORCE,
    )
    op.drop_index("ix_handover_line_in_force", "handover_line")
