"""Agents may be limited to some régies; imports say whose invoices they brought."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None

COLUMNS = {
    "agent": ("only_regies", "the régies that the agent sees and works in; none named: all of the town"),
    "import_batch": ("regies", "whose invoices it brought"),
    "upload": ("regies", "régies that it may bring"),
}
READ = ("import_batch", "invoice", "invoice_change")
BROUGHT = """
UPDATE import_batch b SET regies = found.regies FROM (
    SELECT tenant_id, batch_id, array_agg(DISTINCT regie ORDER BY regie) AS regies
    FROM (
        SELECT tenant_id, batch_id, regie FROM invoice WHERE batch_id IS NOT NULL
        UNION
        SELECT c.tenant_id, c.batch_id, i.regie
        FROM invoice_change c JOIN invoice i ON i.tenant_id = c.tenant_id AND i.id = c.invoice_id
    ) brought
    GROUP BY tenant_id, batch_id
) found
WHERE b.tenant_id = found.tenant_id AND b.id = found.batch_id
"""


def upgrade() -> None:
    for table, (column, comment) in COLUMNS.items():
        op.add_column(
            table,
            sa.Column(column, ARRAY(sa.Text()), server_default="{}", nullable=False, comment=comment),
        )
    # The owner sees rows of no town: the wall is forced on it, too.
    for table in READ:
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
    op.execute(BROUGHT)
    for table in READ:
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")


def downgrade() -> None:
    for table, (column, _comment) in COLUMNS.items():
        op.drop_column(table, column)
