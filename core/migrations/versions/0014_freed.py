"""What was paid before a credit note came becomes a credit of its payment."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

FREED = """
CREATE FUNCTION credit_freed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' AND OLD.reversed_at IS NULL THEN
        UPDATE invoice SET paid = paid + OLD.amount
        WHERE tenant_id = OLD.tenant_id AND id = OLD.invoice_id;
    END IF;
    IF TG_OP <> 'DELETE' AND NEW.reversed_at IS NULL THEN
        UPDATE invoice SET paid = paid - NEW.amount
        WHERE tenant_id = NEW.tenant_id AND id = NEW.invoice_id;
    END IF;
    RETURN NULL;
END $$
"""
COUNTED = """
CREATE FUNCTION credit_note_counted(note invoice) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT note.kind = 'avoir' AND note.state IN ('published', 'handed_over') AND EXISTS (
        SELECT FROM invoice o
        WHERE o.tenant_id = note.tenant_id AND o.regie = note.regie
          AND o.number = note.origin_number AND o.family_id = note.family_id
          AND o.kind = 'facture'
          AND (EXISTS (SELECT FROM allocation a
                       WHERE a.tenant_id = o.tenant_id AND a.invoice_id = o.id
                         AND a.created_at >= note.published_at)
               OR EXISTS (SELECT FROM credit c
                          WHERE c.tenant_id = o.tenant_id AND c.invoice_id = o.id
                            AND c.created_at >= note.published_at)))
$$
"""
"""Whether its invoice was paid, or gave money back, as the note says: the books then go by it."""


def upgrade() -> None:
    op.add_column(
        "credit",
        sa.Column(
            "invoice_id",
            sa.BigInteger(),
            nullable=True,
            comment="the invoice that gave it back after a credit note; NULL: none took it",
        ),
    )
    op.create_foreign_key(
        op.f("fk_credit_tenant_id_invoice_id_invoice"),
        "credit",
        "invoice",
        ["tenant_id", "invoice_id"],
        ["tenant_id", "id"],
    )
    op.drop_constraint(op.f("uq_credit_tenant_id_payment_id"), "credit")
    op.create_index(
        "uq_credit_excess",
        "credit",
        ["tenant_id", "payment_id"],
        unique=True,
        postgresql_where=sa.text("invoice_id IS NULL"),
    )
    op.create_index(op.f("ix_credit_tenant_id_payment_id"), "credit", ["tenant_id", "payment_id"])
    op.create_index(
        op.f("ix_credit_tenant_id_invoice_id"),
        "credit",
        ["tenant_id", "invoice_id"],
        postgresql_where=sa.text("invoice_id IS NOT NULL"),
    )
    op.execute(FREED)
    op.execute(COUNTED)
    for way, when in (
        ("INSERT", "NEW.invoice_id IS NOT NULL"),
        (
            "UPDATE OF amount, invoice_id, reversed_at",
            "OLD.invoice_id IS NOT NULL OR NEW.invoice_id IS NOT NULL",
        ),
        ("DELETE", "OLD.invoice_id IS NOT NULL"),
    ):
        op.execute(
            f"CREATE TRIGGER freed_{way[:6].lower()} AFTER {way} ON credit"
            f" FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION credit_freed()"
        )
    _say_of_paid(" less what became credits")


def downgrade() -> None:
    op.execute("ALTER TABLE credit NO FORCE ROW LEVEL SECURITY")
    freed = op.get_bind().scalar(sa.text("SELECT count(*) FROM credit WHERE invoice_id IS NOT NULL"))
    op.execute("ALTER TABLE credit FORCE ROW LEVEL SECURITY")
    if freed:
        # Their refunds are entries of the journal, which loses none.
        raise RuntimeError(f"{freed} credits came out of invoices: below 0014 no one knows them")
    _say_of_paid("")
    for way in ("insert", "update", "delete"):
        op.execute(f"DROP TRIGGER freed_{way} ON credit")
    op.execute("DROP FUNCTION credit_freed()")
    op.execute("DROP FUNCTION credit_note_counted(invoice)")
    op.drop_index(op.f("ix_credit_tenant_id_invoice_id"), table_name="credit")
    op.drop_index(op.f("ix_credit_tenant_id_payment_id"), table_name="credit")
    op.drop_index("uq_credit_excess", table_name="credit")
    op.create_unique_constraint(
        op.f("uq_credit_tenant_id_payment_id"), "credit", ["tenant_id", "payment_id"]
    )
    op.drop_constraint(op.f("fk_credit_tenant_id_invoice_id_invoice"), "credit")
    op.drop_column("credit", "invoice_id")


def _say_of_paid(less: str) -> None:
    op.alter_column(
        "invoice",
        "paid",
        existing_type=sa.BigInteger(),
        existing_nullable=False,
        comment=f"cents of euro: the allocations in force{less}, which a trigger adds up",
    )
