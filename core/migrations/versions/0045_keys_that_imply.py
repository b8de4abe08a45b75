"""Rows that name a family or an invoice need no key of their own to the list of towns."""

from alembic import op

revision = "0045"
down_revision = "0044"
branch_labels = None
depends_on = None

# Tables that a file fills by the hundred thousand. Each has a key without NULL to a row of the town,
# which has one to the town.
TABLES = ("family_child", "family_word", "child_word", "invoice", "invoice_line")


def upgrade() -> None:
    for table in TABLES:
        op.drop_constraint(f"fk_{table}_tenant_id_tenant", table)


def downgrade() -> None:
    for table in TABLES:
        op.create_foreign_key(
            f"fk_{table}_tenant_id_tenant", table, "tenant", ["tenant_id"], ["id"]
        )
