"""The back office: agents, uploads, closings; drafts of news, publication at a date, search."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from core.platform.db.rls import protect

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

WRITABLE = (
    "agent",
    "agent_invitation",
    "agent_recovery_code",
    "agent_session",
    "upload",
    "upload_part",
)


def upgrade() -> None:
    op.create_table(
        "agent",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("name", sa.String(), server_default="", nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("password_hash", sa.String(), server_default="", nullable=False),
        sa.Column(
            "totp_seed",
            sa.String(),
            server_default="",
            nullable=False,
            comment="the second factor's secret is derived from it and the installation's key",
        ),
        sa.Column(
            "totp_step",
            sa.BigInteger(),
            server_default="0",
            nullable=False,
            comment="the last time step whose code was used: a code works once",
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_agent_tenant_id_tenant")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_agent")),
        sa.UniqueConstraint("tenant_id", "email", name=op.f("uq_agent_tenant_id_email")),
    )
    op.create_table(
        "closing",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("regie", sa.String(), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("entries", sa.Integer(), nullable=False),
        sa.Column("collected", sa.BigInteger(), nullable=False, comment="cents of euro"),
        sa.Column("returned", sa.BigInteger(), nullable=False, comment="cents of euro"),
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_closing_tenant_id_tenant")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_closing")),
        sa.UniqueConstraint(
            "tenant_id", "regie", "month", name=op.f("uq_closing_tenant_id_regie_month")
        ),
    )
    op.create_table(
        "upload",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("file_name", sa.String(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False, comment="bytes"),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column(
            "read", sa.Integer(), server_default="0", nullable=False, comment="invoices so far"
        ),
        sa.Column(
            "report", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False
        ),
        sa.Column("batch_id", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_upload_tenant_id_tenant")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_upload")),
    )
    op.create_index(op.f("ix_upload_tenant_id_state"), "upload", ["tenant_id", "state"])
    op.create_table(
        "agent_invitation",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("agent_id", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id", "agent_id"],
            ["agent.tenant_id", "agent.id"],
            name=op.f("fk_agent_invitation_tenant_id_agent_id_agent"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_agent_invitation_tenant_id_tenant")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_agent_invitation")),
        sa.UniqueConstraint(
            "tenant_id", "token_hash", name=op.f("uq_agent_invitation_tenant_id_token_hash")
        ),
    )
    op.create_table(
        "agent_recovery_code",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("agent_id", sa.BigInteger(), nullable=False),
        sa.Column("code_hash", sa.LargeBinary(), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id", "agent_id"],
            ["agent.tenant_id", "agent.id"],
            name=op.f("fk_agent_recovery_code_tenant_id_agent_id_agent"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_agent_recovery_code_tenant_id_tenant")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_agent_recovery_code")),
        sa.UniqueConstraint(
            "tenant_id",
            "agent_id",
            "code_hash",
            name=op.f("uq_agent_recovery_code_tenant_id_agent_id_code_hash"),
        ),
    )
    op.create_table(
        "agent_session",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("agent_id", sa.BigInteger(), nullable=False),
        sa.Column("browser", sa.String(), server_default="", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "agent_id"],
            ["agent.tenant_id", "agent.id"],
            name=op.f("fk_agent_session_tenant_id_agent_id_agent"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_agent_session_tenant_id_tenant")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_agent_session")),
        sa.UniqueConstraint(
            "tenant_id", "token_hash", name=op.f("uq_agent_session_tenant_id_token_hash")
        ),
    )
    op.create_index(
        op.f("ix_agent_session_tenant_id_agent_id"), "agent_session", ["tenant_id", "agent_id"]
    )
    op.create_table(
        "upload_part",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("upload_id", sa.BigInteger(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "upload_id"],
            ["upload.tenant_id", "upload.id"],
            name=op.f("fk_upload_part_tenant_id_upload_id_upload"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_upload_part_tenant_id_tenant")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_upload_part")),
        sa.UniqueConstraint(
            "tenant_id", "upload_id", "rank", name=op.f("uq_upload_part_tenant_id_upload_id_rank")
        ),
    )
    op.add_column(
        "import_batch",
        sa.Column(
            "publish_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="when it will publish itself",
        ),
    )
    op.create_index(op.f("ix_invoice_tenant_id_amount"), "invoice", ["tenant_id", "amount"])
    op.create_index(op.f("ix_invoice_tenant_id_number"), "invoice", ["tenant_id", "number"])
    op.alter_column(
        "news",
        "published_at",
        existing_type=sa.DateTime(timezone=True),
        nullable=True,
        comment="none: a draft",
    )
    op.create_index(
        "ix_outbox_dead",
        "outbox",
        ["tenant_id", "created_at"],
        postgresql_where=sa.text("state = 'dead'"),
    )
    op.create_index(
        "ix_payment_anomaly",
        "payment",
        ["tenant_id", "id"],
        postgresql_where=sa.text("anomaly <> ''"),
    )
    op.create_index(
        "ix_payment_reversed",
        "payment",
        ["tenant_id", "regie", "reversed_at"],
        postgresql_where=sa.text("reversed_at IS NOT NULL"),
    )
    op.create_index(op.f("ix_payment_tenant_id_amount"), "payment", ["tenant_id", "amount"])
    op.create_index(op.f("ix_payment_tenant_id_paid_at"), "payment", ["tenant_id", "paid_at"])
    op.create_index(
        op.f("ix_payment_tenant_id_receipt_number"), "payment", ["tenant_id", "receipt_number"]
    )
    op.create_index(
        op.f("ix_payment_tenant_id_regie_settled_at"),
        "payment",
        ["tenant_id", "regie", "settled_at"],
    )
    for table in WRITABLE:
        protect(table)
    protect("closing", append_only=True)


def downgrade() -> None:
    op.drop_index(op.f("ix_payment_tenant_id_regie_settled_at"), table_name="payment")
    op.drop_index(op.f("ix_payment_tenant_id_receipt_number"), table_name="payment")
    op.drop_index(op.f("ix_payment_tenant_id_paid_at"), table_name="payment")
    op.drop_index(op.f("ix_payment_tenant_id_amount"), table_name="payment")
    op.drop_index("ix_payment_reversed", table_name="payment")
    op.drop_index("ix_payment_anomaly", table_name="payment")
    op.drop_index("ix_outbox_dead", table_name="outbox")
    # The owner sees no row through the wall. A draft becomes news of a far future: not shown either.
    op.execute("ALTER TABLE news NO FORCE ROW LEVEL SECURITY")
    op.execute("UPDATE news SET published_at = '9999-01-01' WHERE published_at IS NULL")
    op.execute("ALTER TABLE news FORCE ROW LEVEL SECURITY")
    op.alter_column(
        "news",
        "published_at",
        existing_type=sa.DateTime(timezone=True),
        nullable=False,
        comment=None,
        existing_comment="none: a draft",
    )
    op.drop_index(op.f("ix_invoice_tenant_id_number"), table_name="invoice")
    op.drop_index(op.f("ix_invoice_tenant_id_amount"), table_name="invoice")
    op.drop_column("import_batch", "publish_at")
    op.drop_table("upload_part")
    op.drop_index(op.f("ix_agent_session_tenant_id_agent_id"), table_name="agent_session")
    op.drop_table("agent_session")
    op.drop_table("agent_recovery_code")
    op.drop_table("agent_invitation")
    op.drop_index(op.f("ix_upload_tenant_id_state"), table_name="upload")
    op.drop_table("upload")
    op.drop_table("closing")
    op.drop_table("agent")
