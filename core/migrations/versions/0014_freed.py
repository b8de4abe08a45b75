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
    for way, when in (
        ("INSERT", "NEW.invoice_id IS NOT NULL"),
        ("UPDATE", "OLD.invoice_id IS NOT NULL OR NEW.invoice_id IS NOT NULL"),
        ("DELETE", "OLD.invoice_id IS NOT NULL"),
    ):
        op.execute(
            f"CREATE TRIGGER freed_{way.lower()} AFTER {way} ON credit"
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
