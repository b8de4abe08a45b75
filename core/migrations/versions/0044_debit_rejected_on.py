"""An invoice says that its direct debit came back."""

import sqlalchemy as sa
from alembic import op

revision = "0044"
down_revision = "0043"
branch_labels = None
depends_on = None

READ = ("invoice", "debit_rejection")
CAME_BACK = """
UPDATE invoice i SET debit_rejected_on = last.day FROM (
    SELECT tenant_id, invoice_id, max(rejected_on) AS day FROM debit_rejection GROUP BY tenant_id, invoice_id
) last
WHERE last.tenant_id = i.tenant_id AND last.invoice_id = i.id AND NOT i.direct_debit
"""


def upgrade() -> None:
    op.add_column(
        "invoice",
        sa.Column(
            "debit_rejected_on",
            sa.Date(),
            nullable=True,
            comment="day on which its last direct debit came back; NULL again once it is debited anew",
        ),
    )
    # The owner sees rows of no town: the wall is forced on it, too.
    for table in READ:
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
    op.execute(CAME_BACK)
    for table in READ:
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")


def downgrade() -> None:
    op.drop_column("invoice", "debit_rejected_on")
