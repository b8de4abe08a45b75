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
    cents bigint;
BEGIN
    FOREACH note IN ARRAY ARRAY[OLD, NEW] LOOP
        CONTINUE WHEN note.kind IS DISTINCT FROM 'avoir' OR note.origin_number = ''
            OR note.state NOT IN ('published', 'handed_over');
        -- Two notes on one invoice wait for one another, and the second then sees the first.
        PERFORM FROM invoice i
        WHERE i.tenant_id = note.tenant_id AND i.regie = note.regie
          AND i.number = note.origin_number AND i.kind = 'facture'
          AND i.family_id = note.family_id
        FOR UPDATE;
        SELECT coalesce(-sum(c.amount), 0) INTO cents FROM invoice c
        WHERE c.tenant_id = note.tenant_id AND c.regie = note.regie AND c.kind = 'avoir'
          AND c.origin_number = note.origin_number AND c.family_id = note.family_id
          AND c.state IN ('published', 'handed_over');
        UPDATE invoice i SET credited = cents
        WHERE i.tenant_id = note.tenant_id AND i.regie = note.regie
          AND i.number = note.origin_number AND i.kind = 'facture'
          AND i.family_id = note.family_id AND i.credited <> cents;
    END LOOP;
    RETURN NULL;
END $$
"""
LEFT = "state = 'published' AND kind = 'facture' AND amount - credited - paid > 0"


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
    op.create_index(
        "ix_invoice_credited",
        "invoice",
        ["tenant_id", "id"],
        postgresql_where=sa.text("credited > 0"),
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
        " SELECT tenant_id, regie, origin_number, family_id, -sum(amount) AS cents FROM invoice"
        " WHERE kind = 'avoir' AND state IN ('published', 'handed_over') AND origin_number <> ''"
        " GROUP BY tenant_id, regie, origin_number, family_id) c"
        " WHERE c.tenant_id = i.tenant_id AND c.regie = i.regie AND c.origin_number = i.number"
        " AND c.family_id = i.family_id AND i.kind = 'facture'"
    )
    op.execute("ALTER TABLE invoice FORCE ROW LEVEL SECURITY")
    # Beside ix_invoice_unpaid, which the version before this reads until it is reloaded.
    op.create_index(
        "ix_invoice_left", "invoice", ["tenant_id", "id"], postgresql_where=sa.text(LEFT)
    )


def downgrade() -> None:
    op.drop_index("ix_invoice_left", table_name="invoice")
    for way in ("insert", "update", "delete"):
        op.execute(f"DROP TRIGGER credited_{way} ON invoice")
    op.execute("DROP FUNCTION invoice_credited()")
    op.drop_index("ix_invoice_credit_note", table_name="invoice")
    op.drop_index("ix_invoice_credited", table_name="invoice")
    op.drop_column("invoice", "credited")
