"""Direct debits: the day of each, what came back, what a régie offers, and who asked to join."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from core.platform.db.rls import protect

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

TABLES = ("debit_request", "debit_offer", "debit_rejection")


def _own(name: str) -> list[sa.schema.SchemaItem]:
    return [
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f(f"fk_{name}_tenant_id_tenant")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f(f"pk_{name}")),
    ]


def upgrade() -> None:
    op.add_column(
        "invoice",
        sa.Column(
            "debit_on",
            sa.Date(),
            nullable=True,
            comment="day of its direct debit, instead of the due date",
        ),
    )
    op.create_table(
        "debit_rejection",
        *_own("debit_rejection"),
        sa.Column("invoice_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "payment_id",
            sa.BigInteger(),
            nullable=True,
            comment="what was noted and is taken back; NULL: nothing was noted",
        ),
        sa.Column("regie", sa.String(), nullable=False),
        sa.Column("debit_day", sa.Date(), nullable=False, comment="of the run that it belongs to"),
        sa.Column("rejected_on", sa.Date(), nullable=False, comment="as the bank says it"),
        sa.Column("code", sa.String(), nullable=False, comment="of ISO 20022"),
        sa.Column("amount", sa.BigInteger(), nullable=False, comment="cents of euro"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.CheckConstraint("amount >= 0", name=op.f("ck_debit_rejection_not_negative")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "invoice_id"],
            ["invoice.tenant_id", "invoice.id"],
            name=op.f("fk_debit_rejection_tenant_id_invoice_id_invoice"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "payment_id"],
            ["payment.tenant_id", "payment.id"],
            name=op.f("fk_debit_rejection_tenant_id_payment_id_payment"),
        ),
        sa.UniqueConstraint(
            "tenant_id", "payment_id", name=op.f("uq_debit_rejection_tenant_id_payment_id")
        ),
    )
    op.create_index(
        op.f("ix_debit_rejection_tenant_id_invoice_id"),
        "debit_rejection",
        ["tenant_id", "invoice_id"],
    )
    op.create_index(
        op.f("ix_debit_rejection_tenant_id_regie_debit_day"),
        "debit_rejection",
        ["tenant_id", "regie", "debit_day"],
    )
    op.create_table(
        "debit_offer",
        *_own("debit_offer"),
        sa.Column("regie", sa.String(), nullable=False),
        sa.Column("is_open", sa.Boolean(), nullable=False, comment="families may ask"),
        sa.Column(
            "creditor", sa.String(), nullable=False, comment="name of the creditor on the mandate"
        ),
        sa.Column(
            "ics",
            sa.String(),
            nullable=False,
            comment="the town's SEPA creditor identifier, or empty",
        ),
        sa.Column(
            "address",
            postgresql.ARRAY(sa.Text()),
            server_default="{}",
            nullable=False,
            comment="where the form goes",
        ),
        sa.Column("next_steps", sa.String(), nullable=False, comment="the régie's own words"),
        sa.Column(
            "document_id",
            sa.BigInteger(),
            nullable=True,
            comment="its own form; NULL: the portal prints one",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "document_id"],
            ["document.tenant_id", "document.id"],
            name=op.f("fk_debit_offer_tenant_id_document_id_document"),
        ),
        sa.UniqueConstraint("tenant_id", "regie", name=op.f("uq_debit_offer_tenant_id_regie")),
    )
    op.create_table(
        "debit_request",
        *_own("debit_request"),
        sa.Column("family_id", sa.BigInteger(), nullable=False),
        sa.Column("regie", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "actor", sa.String(), server_default="", nullable=False, comment="who ended it"
        ),
        sa.Column(
            "note",
            sa.String(),
            server_default="",
            nullable=False,
            comment="the régie's words to the family",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "family_id"],
            ["family.tenant_id", "family.id"],
            name=op.f("fk_debit_request_tenant_id_family_id_family"),
        ),
    )
    op.create_index(
        op.f("ix_debit_request_tenant_id_family_id"), "debit_request", ["tenant_id", "family_id"]
    )
    op.create_index(
        op.f("ix_debit_request_tenant_id_state_id"), "debit_request", ["tenant_id", "state", "id"]
    )
    op.create_index(
        "uq_debit_request_asked",
        "debit_request",
        ["tenant_id", "family_id", "regie"],
        unique=True,
        postgresql_where=sa.text("state = 'asked'"),
    )
    for table in TABLES:
        protect(table)


def downgrade() -> None:
    for table in TABLES:
        op.drop_table(table)
    op.drop_column("invoice", "debit_on")
