"""Money in hand and the *versements* that take it away, in the journal of each régie."""

import sqlalchemy as sa
from alembic import op

from core.platform.db.rls import protect

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "remittance",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("regie", sa.String(), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column(
            "number", sa.Integer(), nullable=False, comment="from 1 each year, without a gap"
        ),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("since", sa.Date(), nullable=False, comment="first day of the entries"),
        sa.Column("until", sa.Date(), nullable=False, comment="last day of the entries"),
        sa.Column("total", sa.BigInteger(), nullable=False, comment="cents of euro"),
        sa.Column("note", sa.String(), server_default="", nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False, comment="of its last entry in the journal"),
        sa.Column("left_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("left_by", sa.String(), server_default="", nullable=False),
        sa.Column(
            "carrier", sa.String(), server_default="", nullable=False, comment="who took it away"
        ),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancelled_by", sa.String(), server_default="", nullable=False),
        sa.Column("cancel_reason", sa.String(), server_default="", nullable=False),
        sa.CheckConstraint(
            "left_at IS NULL OR cancelled_at IS NULL",
            name=op.f("ck_remittance_left_or_cancelled"),
        ),
        sa.CheckConstraint("since <= until", name=op.f("ck_remittance_span")),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_remittance_tenant_id_tenant")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_remittance")),
        sa.UniqueConstraint(
            "tenant_id",
            "regie",
            "year",
            "number",
            name=op.f("uq_remittance_tenant_id_regie_year_number"),
        ),
    )
    op.create_table(
        "remittance_line",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("remittance_id", sa.BigInteger(), nullable=False),
        sa.Column("means", sa.String(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False, comment="cents of euro"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "remittance_id"],
            ["remittance.tenant_id", "remittance.id"],
            name=op.f("fk_remittance_line_tenant_id_remittance_id_remittance"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_remittance_line_tenant_id_tenant")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_remittance_line")),
        sa.UniqueConstraint(
            "tenant_id",
            "remittance_id",
            "means",
            name=op.f("uq_remittance_line_tenant_id_remittance_id_means"),
        ),
    )
    op.create_table(
        "remittance_entry",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("remittance_id", sa.BigInteger(), nullable=False),
        sa.Column("entry_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "released_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="when the remittance was cancelled",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "remittance_id"],
            ["remittance.tenant_id", "remittance.id"],
            name=op.f("fk_remittance_entry_tenant_id_remittance_id_remittance"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "entry_id"],
            ["journal_entry.tenant_id", "journal_entry.id"],
            name=op.f("fk_remittance_entry_tenant_id_entry_id_journal_entry"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_remittance_entry_tenant_id_tenant")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_remittance_entry")),
    )
    op.create_index(
        "uq_remittance_entry_in_force",
        "remittance_entry",
        ["tenant_id", "entry_id"],
        unique=True,
        postgresql_where=sa.text("released_at IS NULL"),
    )
    op.create_index(
        op.f("ix_remittance_entry_tenant_id_remittance_id"),
        "remittance_entry",
        ["tenant_id", "remittance_id"],
    )
    op.alter_column(
        "journal_entry",
        "payment_id",
        existing_type=sa.BigInteger(),
        nullable=True,
        comment="NULL: of a remittance",
    )
    op.add_column(
        "journal_entry",
        sa.Column(
            "remittance_id",
            sa.BigInteger(),
            nullable=True,
            comment="of a remittance (versement)",
        ),
    )
    op.create_foreign_key(
        op.f("fk_journal_entry_tenant_id_remittance_id_remittance"),
        "journal_entry",
        "remittance",
        ["tenant_id", "remittance_id"],
        ["tenant_id", "id"],
    )
    op.create_check_constraint(
        op.f("ck_journal_entry_subject"),
        "journal_entry",
        "(payment_id IS NULL) <> (remittance_id IS NULL)",
    )
    op.create_index(op.f("ix_journal_entry_tenant_id_at"), "journal_entry", ["tenant_id", "at"])
    op.create_index(
        op.f("ix_journal_entry_tenant_id_remittance_id"),
        "journal_entry",
        ["tenant_id", "remittance_id"],
        postgresql_where=sa.text("remittance_id IS NOT NULL"),
    )
    protect("remittance")
    protect("remittance_line", append_only=True)
    protect("remittance_entry")


def downgrade() -> None:
    op.drop_table("remittance_entry")
    op.drop_table("remittance_line")
    op.drop_index(op.f("ix_journal_entry_tenant_id_remittance_id"), table_name="journal_entry")
    op.drop_index(op.f("ix_journal_entry_tenant_id_at"), table_name="journal_entry")
    op.drop_constraint(op.f("ck_journal_entry_subject"), "journal_entry")
    # A version that knows no remittance cannot read their entries: the chain breaks where they
    # stood, which is why a version is gone back from before the first one only.
    op.execute("ALTER TABLE journal_entry NO FORCE ROW LEVEL SECURITY")
    op.execute("DELETE FROM journal_entry WHERE payment_id IS NULL")
    op.execute("ALTER TABLE journal_entry FORCE ROW LEVEL SECURITY")
    op.drop_constraint(
        op.f("fk_journal_entry_tenant_id_remittance_id_remittance"), "journal_entry"
    )
    op.drop_column("journal_entry", "remittance_id")
    op.alter_column(
        "journal_entry",
        "payment_id",
        existing_type=sa.BigInteger(),
        nullable=False,
        comment=None,
    )
    op.drop_table("remittance")
