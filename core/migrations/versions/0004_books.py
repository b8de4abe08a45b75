"""The books: a journal that is written, uses of credits, and what is paid beside what is due."""

import hashlib
from datetime import UTC
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from alembic import op

from core.platform.db.rls import protect

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

PAID = """
CREATE FUNCTION allocation_paid() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' AND OLD.reversed_at IS NULL THEN
        UPDATE invoice SET paid = paid - OLD.amount
        WHERE tenant_id = OLD.tenant_id AND id = OLD.invoice_id;
    END IF;
    IF TG_OP <> 'DELETE' AND NEW.reversed_at IS NULL THEN
        UPDATE invoice SET paid = paid + NEW.amount
        WHERE tenant_id = NEW.tenant_id AND id = NEW.invoice_id;
    END IF;
    RETURN NULL;
END $$
"""
READ_BY_OWNER = ("invoice", "allocation", "payment", "family", "journal_entry")


def upgrade() -> None:
    op.create_table(
        "credit_use",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column(
            "key", sa.String(), nullable=False, comment="asked for twice under one key is one use"
        ),
        sa.Column("credit_id", sa.BigInteger(), nullable=False),
        sa.Column("invoice_id", sa.BigInteger(), nullable=True),
        sa.Column("amount", sa.BigInteger(), nullable=False, comment="cents of euro"),
        sa.Column(
            "means",
            sa.String(),
            server_default="",
            nullable=False,
            comment="how a refund went back",
        ),
        sa.Column("note", sa.String(), server_default="", nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "reversed_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="taken back, or with its payment",
        ),
        sa.CheckConstraint("amount > 0", name=op.f("ck_credit_use_positive")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "credit_id"],
            ["credit.tenant_id", "credit.id"],
            name=op.f("fk_credit_use_tenant_id_credit_id_credit"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "invoice_id"],
            ["invoice.tenant_id", "invoice.id"],
            name=op.f("fk_credit_use_tenant_id_invoice_id_invoice"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_credit_use_tenant_id_tenant")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_credit_use")),
        sa.UniqueConstraint("tenant_id", "key", name=op.f("uq_credit_use_tenant_id_key")),
    )
    op.create_index(
        op.f("ix_credit_use_tenant_id_credit_id"), "credit_use", ["tenant_id", "credit_id"]
    )
    op.create_table(
        "journal_entry",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("regie", sa.String(), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column(
            "number", sa.Integer(), nullable=False, comment="from 1 each year, without a gap"
        ),
        sa.Column(
            "at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="when it was recorded; never before its elder",
        ),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("payment_id", sa.BigInteger(), nullable=False),
        sa.Column("credit_use_id", sa.BigInteger(), nullable=True, comment="of a refund"),
        sa.Column("receipt", sa.String(), nullable=False),
        sa.Column("means", sa.String(), nullable=False),
        sa.Column(
            "amount",
            sa.BigInteger(),
            nullable=False,
            comment="cents of euro; negative when money went back",
        ),
        sa.Column("family_code", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "payment_id"],
            ["payment.tenant_id", "payment.id"],
            name=op.f("fk_journal_entry_tenant_id_payment_id_payment"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "credit_use_id"],
            ["credit_use.tenant_id", "credit_use.id"],
            name=op.f("fk_journal_entry_tenant_id_credit_use_id_credit_use"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_journal_entry_tenant_id_tenant")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_journal_entry")),
        sa.UniqueConstraint(
            "tenant_id",
            "regie",
            "year",
            "number",
            name=op.f("uq_journal_entry_tenant_id_regie_year_number"),
        ),
    )
    op.create_index(
        op.f("ix_journal_entry_tenant_id_regie_at"), "journal_entry", ["tenant_id", "regie", "at"]
    )
    op.create_index(
        op.f("ix_journal_entry_tenant_id_payment_id"), "journal_entry", ["tenant_id", "payment_id"]
    )
    op.add_column("allocation", sa.Column("credit_use_id", sa.BigInteger(), nullable=True))
    op.create_foreign_key(
        op.f("fk_allocation_tenant_id_credit_use_id_credit_use"),
        "allocation",
        "credit_use",
        ["tenant_id", "credit_use_id"],
        ["tenant_id", "id"],
    )
    op.drop_constraint("uq_allocation_tenant_id_payment_id_invoice_id", "allocation")
    op.create_index(
        "uq_allocation_settled",
        "allocation",
        ["tenant_id", "payment_id", "invoice_id"],
        unique=True,
        postgresql_where=sa.text("credit_use_id IS NULL"),
    )
    op.create_unique_constraint(
        op.f("uq_allocation_tenant_id_credit_use_id"), "allocation", ["tenant_id", "credit_use_id"]
    )
    op.create_index(
        op.f("ix_allocation_tenant_id_payment_id"), "allocation", ["tenant_id", "payment_id"]
    )
    op.create_index(op.f("ix_credit_tenant_id_family_id"), "credit", ["tenant_id", "family_id"])
    op.create_index(
        op.f("ix_credit_tenant_id_regie_created_at"), "credit", ["tenant_id", "regie", "created_at"]
    )
    op.alter_column(
        "credit",
        "reversed_at",
        existing_type=sa.DateTime(timezone=True),
        existing_nullable=True,
        comment="with its payment",
    )
    op.add_column(
        "invoice",
        sa.Column(
            "paid",
            sa.BigInteger(),
            server_default="0",
            nullable=False,
            comment="cents of euro: the allocations in force, which a trigger adds up",
        ),
    )
    for table in READ_BY_OWNER:
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
    op.execute(
        "UPDATE invoice i SET paid = a.paid FROM ("
        " SELECT tenant_id, invoice_id, sum(amount) AS paid FROM allocation"
        " WHERE reversed_at IS NULL GROUP BY tenant_id, invoice_id) a"
        " WHERE a.tenant_id = i.tenant_id AND a.invoice_id = i.id"
    )
    _write_journal()
    for table in READ_BY_OWNER:
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(PAID)
    op.execute(
        "CREATE TRIGGER paid AFTER INSERT OR UPDATE OR DELETE ON allocation"
        " FOR EACH ROW EXECUTE FUNCTION allocation_paid()"
    )
    op.create_index(
        "ix_invoice_unpaid",
        "invoice",
        ["tenant_id", "id"],
        postgresql_where=sa.text("state = 'published' AND kind = 'facture' AND paid < amount"),
    )
    op.create_index(op.f("ix_invoice_tenant_id_state_id"), "invoice", ["tenant_id", "state", "id"])
    op.create_index(op.f("ix_invoice_tenant_id_regie_id"), "invoice", ["tenant_id", "regie", "id"])
    op.create_index(op.f("ix_invoice_tenant_id_issued_on"), "invoice", ["tenant_id", "issued_on"])
    protect("credit_use")
    protect("journal_entry", append_only=True)


def _write_journal() -> None:
    """Enter the payments that are there, in the order in which they were recorded."""
    connection = op.get_bind()
    last: dict[tuple[str, str, int], tuple[int, str]] = {}
    for row in connection.execute(
        sa.text(
            "SELECT e.*, p.tenant_id, p.regie, p.receipt_number, p.means, p.amount, f.code"
            " FROM payment p JOIN family f ON f.tenant_id = p.tenant_id AND f.id = p.family_id"
            " CROSS JOIN LATERAL (VALUES ('settled', p.id, p.settled_at, 1),"
            " ('reversed', p.id, p.reversed_at, -1)) AS e (kind, payment_id, at, sign)"
            " WHERE e.at IS NOT NULL ORDER BY p.tenant_id, p.regie, e.at, p.id, e.sign DESC"
        )
    ).all():
        at = row.at.astimezone(UTC)
        series = row.tenant_id, row.regie, at.astimezone(ZoneInfo("Europe/Paris")).year
        number, before = last.get(series, (0, ""))
        number, amount = number + 1, row.sign * row.amount
        facts = (
            before, row.regie, series[2], number, at.isoformat(), row.kind, row.receipt_number,
            row.means, amount, row.code, "system",
        )  # fmt: skip
        digest = hashlib.sha256("|".join(map(str, facts)).encode()).hexdigest()
        connection.execute(
            sa.text(
                "INSERT INTO journal_entry (tenant_id, regie, year, number, at, kind, payment_id,"
                " receipt, means, amount, family_code, actor, hash) VALUES (:tenant, :regie, :year,"
                " :number, :at, :kind, :payment, :receipt, :means, :amount, :code, 'system', :hash)"
            ),
            {
                "tenant": row.tenant_id,
                "regie": row.regie,
                "year": series[2],
                "number": number,
                "at": at,
                "kind": row.kind,
                "payment": row.payment_id,
                "receipt": row.receipt_number,
                "means": row.means,
                "amount": amount,
                "code": row.code,
                "hash": digest,
            },
        )
        last[series] = number, digest


def downgrade() -> None:
    op.drop_index(op.f("ix_invoice_tenant_id_issued_on"), table_name="invoice")
    op.drop_index(op.f("ix_invoice_tenant_id_regie_id"), table_name="invoice")
    op.drop_index(op.f("ix_invoice_tenant_id_state_id"), table_name="invoice")
    op.drop_index("ix_invoice_unpaid", table_name="invoice")
    op.execute("DROP TRIGGER paid ON allocation")
    op.execute("DROP FUNCTION allocation_paid()")
    op.drop_column("invoice", "paid")
    op.alter_column(
        "credit",
        "reversed_at",
        existing_type=sa.DateTime(timezone=True),
        existing_nullable=True,
        comment=None,
        existing_comment="with its payment",
    )
    op.drop_index(op.f("ix_credit_tenant_id_regie_created_at"), table_name="credit")
    op.drop_index(op.f("ix_credit_tenant_id_family_id"), table_name="credit")
    op.drop_table("journal_entry")
    op.drop_index(op.f("ix_allocation_tenant_id_payment_id"), table_name="allocation")
    op.drop_constraint(op.f("uq_allocation_tenant_id_credit_use_id"), "allocation")
    op.drop_index("uq_allocation_settled", table_name="allocation")
    # What a credit paid twice over of one payment cannot be told apart below this version.
    op.execute("ALTER TABLE allocation NO FORCE ROW LEVEL SECURITY")
    op.execute("DELETE FROM allocation WHERE credit_use_id IS NOT NULL")
    op.execute("ALTER TABLE allocation FORCE ROW LEVEL SECURITY")
    op.create_unique_constraint(
        "uq_allocation_tenant_id_payment_id_invoice_id",
        "allocation",
        ["tenant_id", "payment_id", "invoice_id"],
    )
    op.drop_constraint(op.f("fk_allocation_tenant_id_credit_use_id_credit_use"), "allocation")
    op.drop_column("allocation", "credit_use_id")
    op.drop_table("credit_use")
