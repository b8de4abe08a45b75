"""Exports say by which means each movement was told, and tell corrections of it."""

import sqlalchemy as sa
from alembic import op

revision = "0046"
down_revision = "0045"
branch_labels = None
depends_on = None

TABLE = "payment_export_line"
READ = (TABLE, "payment_export", "allocation", "credit", "payment", "journal_entry")
# The means that a payment had when its export was made: that which the first later correction left.
TOLD = """
UPDATE payment_export_line l SET means = coalesce((
    SELECT j.means FROM journal_entry j
    WHERE j.tenant_id = p.tenant_id AND j.payment_id = p.id AND j.kind = 'corrected' AND j.amount < 0
      AND j.at > e.made_at
    ORDER BY j.id LIMIT 1
), p.means)
FROM payment_export e, payment p
WHERE e.tenant_id = l.tenant_id AND e.id = l.export_id AND p.tenant_id = l.tenant_id AND p.id = coalesce(
    (SELECT payment_id FROM allocation a WHERE a.tenant_id = l.tenant_id AND a.id = l.allocation_id),
    (SELECT payment_id FROM credit c WHERE c.tenant_id = l.tenant_id AND c.id = l.credit_id)
)
"""
ONCE = {
    "uq_payment_export_line_allocation": "allocation_id",
    "uq_payment_export_line_credit": "credit_id",
}


def _once(more: str) -> None:
    for name, column in ONCE.items():
        op.drop_index(name, TABLE)
        op.create_index(
            name, TABLE, ["tenant_id", column, "is_reversal"], unique=True,
            postgresql_where=sa.text(f"{column} IS NOT NULL{more}"),
        )  # fmt: skip


def upgrade() -> None:
    op.add_column(
        TABLE,
        sa.Column("is_correction", sa.Boolean(), server_default="false", nullable=False, comment="of the means of payment"),
    )
    op.add_column(TABLE, sa.Column("means", sa.String(), server_default="", nullable=False, comment="as it was told"))
    # The owner sees rows of no town: the wall is forced on it, too.
    for table in READ:
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
    op.execute(TOLD)
    for table in READ:
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.alter_column(TABLE, "means", server_default=None)
    _once(" AND NOT is_correction")
    op.create_index(
        "ix_journal_entry_corrected", "journal_entry", ["tenant_id", "regie", "payment_id"],
        postgresql_where=sa.text("kind = 'corrected'"),
    )  # fmt: skip


def downgrade() -> None:
    op.drop_index("ix_journal_entry_corrected", "journal_entry")
    op.execute(f"ALTER TABLE {TABLE} NO FORCE ROW LEVEL SECURITY")
    op.execute(f"DELETE FROM {TABLE} WHERE is_correction")
    op.execute(f"ALTER TABLE {TABLE} FORCE ROW LEVEL SECURITY")
    _once("")
    op.drop_column(TABLE, "means")
    op.drop_column(TABLE, "is_correction")
