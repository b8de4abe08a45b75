"""Credit notes take what they say off the invoice that they correct."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

CREDITED = """
CREATE FUNCTION invoice_credited() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    note invoice;
BEGIN
    FOREACH note IN ARRAY ARRAY[OLD, NEW] LOOP
        CONTINUE WHEN note.kind IS DISTINCT FROM 'avoir' OR note.origin_number = '';
        -- Two notes on one invoice wait for one another, and the second then sees the first.
        PERFORM FROM invoice
        WHERE tenant_id = note.tenant_id AND regie = note.regie AND number = note.origin_number
        FOR UPDATE;
        UPDATE invoice SET credited = (
            SELECT coalesce(-sum(amount), 0) FROM invoice c
            WHERE c.tenant_id = note.tenant_id AND c.regie = note.regie AND c.kind = 'avoir'
              AND c.origin_number = note.origin_number AND c.state IN ('published', 'handed_over'))
        WHERE tenant_id = note.tenant_id AND regie = note.regie AND number = note.origin_number
          AND kind = 'facture';
    END LOOP;
    RETURN NULL;
END $$
"""
LEFT = "state = 'published' AND kind = 'facture' AND amount - credited - paid > 0"
LEFT_BEFORE = "state = 'published' AND kind = 'facture' AND paid < amount"


def upgrade() -> None:
    op.add_column(
        "invoice",
        sa.Column(
            "credited",
            sa.BigInteger(),
            server_default="0",
            nullable=False,
            comment="cents of euro: its published credit notes, which a trigger adds up",
        ),
    )
    op.create_index(
        "ix_invoice_credit_note",
        "invoice",
        ["tenant_id", "regie", "origin_number"],
        postgresql_where=sa.text("kind = 'avoir'"),
    )
    op.execute(CREDITED)
    # A trigger for each way, so that invoices that are no credit notes cost nothing.
    for way, when in (
        ("INSERT", "NEW.kind = 'avoir'"),
        ("UPDATE OF state, kind, amount, regie, origin_number",
         "OLD.kind = 'avoir' OR NEW.kind = 'avoir'"),
        ("DELETE", "OLD.kind = 'avoir'"),
    ):  # fmt: skip
        op.execute(
            f"CREATE TRIGGER credited_{way[:6].lower()} AFTER {way} ON invoice"
            f" FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION invoice_credited()"
        )
    op.execute("ALTER TABLE invoice NO FORCE ROW LEVEL SECURITY")
    op.execute(
        "UPDATE invoice i SET credited = c.cents FROM ("
        " SELECT tenant_id, regie, origin_number, -sum(amount) AS cents FROM invoice"
        " WHERE kind = 'avoir' AND state IN ('published', 'handed_over') AND origin_number <> ''"
        " GROUP BY tenant_id, regie, origin_number) c"
        " WHERE c.tenant_id = i.tenant_id AND c.regie = i.regie AND c.origin_number = i.number"
        " AND i.kind = 'facture'"
    )
    op.execute("ALTER TABLE invoice FORCE ROW LEVEL SECURITY")
    _index_of_unpaid(LEFT)


def downgrade() -> None:
    _index_of_unpaid(LEFT_BEFORE)
    for way in ("insert", "update", "delete"):
        op.execute(f"DROP TRIGGER credited_{way} ON invoice")
    op.execute("DROP FUNCTION invoice_credited()")
    op.drop_index("ix_invoice_credit_note", table_name="invoice")
    op.drop_column("invoice", "credited")


def _index_of_unpaid(where: str) -> None:
    op.drop_index("ix_invoice_unpaid", table_name="invoice")
    op.create_index(
        "ix_invoice_unpaid", "invoice", ["tenant_id", "id"], postgresql_where=sa.text(where)
    )
