"""The tables of core, and the wall around each town."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from core.platform.db.rls import APP, RELAY, open_to_relay, protect

revision = "0001"
down_revision = None
branch_labels = ("core",)
depends_on = None

WRITABLE = (
    "account",
    "counter",
    "document",
    "import_batch",
    "news",
    "outbox",
    "child",
    "family",
    "access_code",
    "account_family",
    "contact_email",
    "family_child",
    "invoice",
    "message",
    "one_time_token",
    "payment",
    "web_session",
    "allocation",
    "credit",
    "invoice_change",
    "invoice_line",
    "payment_item",
)
APPEND_ONLY = ("audit_entry", "payment_answer")


def upgrade() -> None:
    op.execute(f"GRANT USAGE ON SCHEMA public TO {APP}, {RELAY}")
    op.create_table(
        "tenant",
        sa.Column("id", sa.String(length=63), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tenant")),
    )
    op.create_table(
        "account",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("password_hash", sa.String(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_account_tenant_id_tenant")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_account")),
        sa.UniqueConstraint("tenant_id", "email", name=op.f("uq_account_tenant_id_email")),
    )
    op.create_table(
        "audit_entry",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column(
            "at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), server_default="", nullable=False),
        sa.Column("details", postgresql.JSONB(), server_default="{}", nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_audit_entry_tenant_id_tenant")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_audit_entry")),
    )
    op.create_index(
        op.f("ix_audit_entry_tenant_id_subject"),
        "audit_entry",
        ["tenant_id", "subject"],
        unique=False,
    )
    op.create_table(
        "counter",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("value", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_counter_tenant_id_tenant")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_counter")),
        sa.UniqueConstraint("tenant_id", "name", name=op.f("uq_counter_tenant_id_name")),
    )
    op.create_table(
        "document",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("media_type", sa.String(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_document_tenant_id_tenant")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_document")),
    )
    op.create_table(
        "import_batch",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("file_name", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("counts", postgresql.JSONB(), server_default="{}", nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_import_batch_tenant_id_tenant")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_import_batch")),
    )
    op.create_index(
        op.f("ix_import_batch_tenant_id_sha256"),
        "import_batch",
        ["tenant_id", "sha256"],
        unique=False,
    )
    op.create_table(
        "news",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), server_default="news", nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("summary", sa.String(), server_default="", nullable=False),
        sa.Column("body", sa.String(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_news_tenant_id_tenant")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_news")),
        sa.UniqueConstraint("tenant_id", "key", name=op.f("uq_news_tenant_id_key")),
    )
    op.create_index(
        op.f("ix_news_tenant_id_kind_published_at"),
        "news",
        ["tenant_id", "kind", "published_at"],
        unique=False,
    )
    op.create_table(
        "outbox",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("topic", sa.String(), nullable=False),
        sa.Column("dedupe_key", sa.String(), nullable=False),
        sa.Column("payload", postgresql.JSONB(), server_default="{}", nullable=False),
        sa.Column("state", sa.String(), server_default="ready", nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("available_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("last_error", sa.String(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_outbox_tenant_id_tenant")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_outbox")),
        sa.UniqueConstraint(
            "tenant_id", "topic", "dedupe_key", name=op.f("uq_outbox_tenant_id_topic_dedupe_key")
        ),
    )
    op.create_index(
        "ix_outbox_due",
        "outbox",
        ["available_at"],
        unique=False,
        postgresql_where=sa.text("state IN ('ready', 'running')"),
    )
    op.create_table(
        "child",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("label", sa.String(), nullable=False),
        sa.Column("batch_id", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id", "batch_id"],
            ["import_batch.tenant_id", "import_batch.id"],
            name=op.f("fk_child_tenant_id_batch_id_import_batch"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_child_tenant_id_tenant")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_child")),
        sa.UniqueConstraint("tenant_id", "code", name=op.f("uq_child_tenant_id_code")),
    )
    op.create_table(
        "family",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column(
            "code", sa.String(), nullable=False, comment="printed on letters; a name, not a secret"
        ),
        sa.Column("name", sa.String(), server_default="", nullable=False),
        sa.Column("address", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("language", sa.String(), server_default="fr", nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "batch_id",
            sa.BigInteger(),
            nullable=True,
            comment="the import that made it, for undo",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "batch_id"],
            ["import_batch.tenant_id", "import_batch.id"],
            name=op.f("fk_family_tenant_id_batch_id_import_batch"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_family_tenant_id_tenant")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_family")),
        sa.UniqueConstraint("tenant_id", "code", name=op.f("uq_family_tenant_id_code")),
    )
    op.create_table(
        "access_code",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("family_id", sa.BigInteger(), nullable=False),
        sa.Column("holder", sa.String(), server_default="", nullable=False),
        sa.Column("secret_hash", sa.String(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id", "family_id"],
            ["family.tenant_id", "family.id"],
            name=op.f("fk_access_code_tenant_id_family_id_family"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_access_code_tenant_id_tenant")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_access_code")),
    )
    op.create_index(
        op.f("ix_access_code_tenant_id_family_id"),
        "access_code",
        ["tenant_id", "family_id"],
        unique=False,
    )
    op.create_table(
        "account_family",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("family_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "account_id"],
            ["account.tenant_id", "account.id"],
            name=op.f("fk_account_family_tenant_id_account_id_account"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "family_id"],
            ["family.tenant_id", "family.id"],
            name=op.f("fk_account_family_tenant_id_family_id_family"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_account_family_tenant_id_tenant")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_account_family")),
        sa.UniqueConstraint(
            "tenant_id",
            "account_id",
            "family_id",
            name=op.f("uq_account_family_tenant_id_account_id_family_id"),
        ),
    )
    op.create_index(
        op.f("ix_account_family_tenant_id_family_id"),
        "account_family",
        ["tenant_id", "family_id"],
        unique=False,
    )
    op.create_table(
        "contact_email",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("family_id", sa.BigInteger(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("refused_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("refusal", sa.String(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "family_id"],
            ["family.tenant_id", "family.id"],
            name=op.f("fk_contact_email_tenant_id_family_id_family"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_contact_email_tenant_id_tenant")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_contact_email")),
        sa.UniqueConstraint(
            "tenant_id",
            "family_id",
            "address",
            name=op.f("uq_contact_email_tenant_id_family_id_address"),
        ),
    )
    op.create_index(
        op.f("ix_contact_email_tenant_id_address"),
        "contact_email",
        ["tenant_id", "address"],
        unique=False,
    )
    op.create_table(
        "family_child",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("family_id", sa.BigInteger(), nullable=False),
        sa.Column("child_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "sees_all",
            sa.Boolean(),
            server_default="false",
            nullable=False,
            comment="this family also sees the other household's invoices for the child",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "child_id"],
            ["child.tenant_id", "child.id"],
            name=op.f("fk_family_child_tenant_id_child_id_child"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "family_id"],
            ["family.tenant_id", "family.id"],
            name=op.f("fk_family_child_tenant_id_family_id_family"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_family_child_tenant_id_tenant")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_family_child")),
        sa.UniqueConstraint(
            "tenant_id",
            "family_id",
            "child_id",
            name=op.f("uq_family_child_tenant_id_family_id_child_id"),
        ),
    )
    op.create_index(
        op.f("ix_family_child_tenant_id_child_id"),
        "family_child",
        ["tenant_id", "child_id"],
        unique=False,
    )
    op.create_table(
        "invoice",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("family_id", sa.BigInteger(), nullable=False),
        sa.Column("batch_id", sa.BigInteger(), nullable=False),
        sa.Column("regie", sa.String(), nullable=False),
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("payment_reference", sa.String(), server_default="", nullable=False),
        sa.Column("fiscal_year", sa.Integer(), nullable=False),
        sa.Column("label", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), server_default="facture", nullable=False),
        sa.Column("origin_number", sa.String(), server_default="", nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False, comment="cents of euro"),
        sa.Column("issued_on", sa.Date(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("period_start", sa.Date(), nullable=True),
        sa.Column("period_end", sa.Date(), nullable=True),
        sa.Column("direct_debit", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("state", sa.String(), server_default="draft", nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("document_id", sa.BigInteger(), nullable=True),
        sa.Column("content_hash", sa.String(), nullable=False, comment="of the record as imported"),
        sa.CheckConstraint("amount > 0 OR kind = 'avoir'", name=op.f("ck_invoice_positive")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "batch_id"],
            ["import_batch.tenant_id", "import_batch.id"],
            name=op.f("fk_invoice_tenant_id_batch_id_import_batch"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "document_id"],
            ["document.tenant_id", "document.id"],
            name=op.f("fk_invoice_tenant_id_document_id_document"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "family_id"],
            ["family.tenant_id", "family.id"],
            name=op.f("fk_invoice_tenant_id_family_id_family"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_invoice_tenant_id_tenant")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_invoice")),
        sa.UniqueConstraint(
            "tenant_id", "regie", "number", name=op.f("uq_invoice_tenant_id_regie_number")
        ),
    )
    op.create_index(
        op.f("ix_invoice_tenant_id_batch_id"), "invoice", ["tenant_id", "batch_id"], unique=False
    )
    op.create_index(
        op.f("ix_invoice_tenant_id_family_id_due_on"),
        "invoice",
        ["tenant_id", "family_id", "due_on"],
        unique=False,
    )
    op.create_index(
        op.f("ix_invoice_tenant_id_payment_reference"),
        "invoice",
        ["tenant_id", "payment_reference"],
        unique=False,
    )
    op.create_table(
        "message",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("family_id", sa.BigInteger(), nullable=True),
        sa.Column("payload", postgresql.JSONB(), server_default="{}", nullable=False),
        sa.Column("state", sa.String(), server_default="queued", nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reference", sa.String(), server_default="", nullable=False),
        sa.Column("problem", sa.String(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "family_id"],
            ["family.tenant_id", "family.id"],
            name=op.f("fk_message_tenant_id_family_id_family"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_message_tenant_id_tenant")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_message")),
        sa.UniqueConstraint("tenant_id", "key", name=op.f("uq_message_tenant_id_key")),
    )
    op.create_index(
        op.f("ix_message_tenant_id_family_id"), "message", ["tenant_id", "family_id"], unique=False
    )
    op.create_table(
        "one_time_token",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("family_id", sa.BigInteger(), nullable=False),
        sa.Column("payload", postgresql.JSONB(), server_default="{}", nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id", "family_id"],
            ["family.tenant_id", "family.id"],
            name=op.f("fk_one_time_token_tenant_id_family_id_family"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_one_time_token_tenant_id_tenant")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_one_time_token")),
        sa.UniqueConstraint(
            "tenant_id", "token_hash", name=op.f("uq_one_time_token_tenant_id_token_hash")
        ),
    )
    op.create_table(
        "payment",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column(
            "key",
            sa.String(),
            nullable=False,
            comment="asked for twice under one key is one payment",
        ),
        sa.Column("family_id", sa.BigInteger(), nullable=False),
        sa.Column("regie", sa.String(), nullable=False),
        sa.Column("provider", sa.String(), server_default="", nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False, comment="cents of euro"),
        sa.Column("means", sa.String(), server_default="", nullable=False),
        sa.Column("payer", sa.String(), server_default="", nullable=False),
        sa.Column("email", sa.String(), server_default="", nullable=False),
        sa.Column("language", sa.String(), server_default="fr", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("provider_reference", sa.String(), server_default="", nullable=False),
        sa.Column("provider_url", sa.String(), server_default="", nullable=False),
        sa.Column("asked", postgresql.JSONB(), server_default="{}", nullable=False),
        sa.Column(
            "paid_at", sa.DateTime(timezone=True), nullable=True, comment="when the payer paid"
        ),
        sa.Column(
            "settled_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="when it was recorded here",
        ),
        sa.Column("authorisation", sa.String(), server_default="", nullable=False),
        sa.Column("receipt_number", sa.String(), server_default="", nullable=False),
        sa.Column("receipt_id", sa.BigInteger(), nullable=True),
        sa.Column(
            "anomaly",
            sa.String(),
            server_default="",
            nullable=False,
            comment="why a person must look at it",
        ),
        sa.Column("reversed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reversal_reason", sa.String(), server_default="", nullable=False),
        sa.Column("note", sa.String(), server_default="", nullable=False),
        sa.CheckConstraint("amount > 0", name=op.f("ck_payment_positive")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "family_id"],
            ["family.tenant_id", "family.id"],
            name=op.f("fk_payment_tenant_id_family_id_family"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "receipt_id"],
            ["document.tenant_id", "document.id"],
            name=op.f("fk_payment_tenant_id_receipt_id_document"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_payment_tenant_id_tenant")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_payment")),
        sa.UniqueConstraint("tenant_id", "key", name=op.f("uq_payment_tenant_id_key")),
    )
    op.create_index(
        "ix_payment_open",
        "payment",
        ["tenant_id", "created_at"],
        unique=False,
        postgresql_where=sa.text("state IN ('created', 'pending')"),
    )
    op.create_index(
        op.f("ix_payment_tenant_id_family_id"), "payment", ["tenant_id", "family_id"], unique=False
    )
    op.create_index(
        "uq_payment_provider_reference",
        "payment",
        ["tenant_id", "provider", "provider_reference"],
        unique=True,
        postgresql_where=sa.text("provider_reference <> ''"),
    )
    op.create_table(
        "web_session",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("family_id", sa.BigInteger(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=True),
        sa.Column(
            "only_invoice_id",
            sa.BigInteger(),
            nullable=True,
            comment="opened by a payment link: good for paying this invoice, and nothing else",
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "account_id"],
            ["account.tenant_id", "account.id"],
            name=op.f("fk_web_session_tenant_id_account_id_account"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "family_id"],
            ["family.tenant_id", "family.id"],
            name=op.f("fk_web_session_tenant_id_family_id_family"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_web_session_tenant_id_tenant")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_web_session")),
        sa.UniqueConstraint(
            "tenant_id", "token_hash", name=op.f("uq_web_session_tenant_id_token_hash")
        ),
    )
    op.create_table(
        "allocation",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("payment_id", sa.BigInteger(), nullable=False),
        sa.Column("invoice_id", sa.BigInteger(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False, comment="cents of euro"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reversed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("amount > 0", name=op.f("ck_allocation_positive")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "invoice_id"],
            ["invoice.tenant_id", "invoice.id"],
            name=op.f("fk_allocation_tenant_id_invoice_id_invoice"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "payment_id"],
            ["payment.tenant_id", "payment.id"],
            name=op.f("fk_allocation_tenant_id_payment_id_payment"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_allocation_tenant_id_tenant")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_allocation")),
        sa.UniqueConstraint(
            "tenant_id",
            "payment_id",
            "invoice_id",
            name=op.f("uq_allocation_tenant_id_payment_id_invoice_id"),
        ),
    )
    op.create_index(
        op.f("ix_allocation_tenant_id_invoice_id"),
        "allocation",
        ["tenant_id", "invoice_id"],
        unique=False,
    )
    op.create_table(
        "credit",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("payment_id", sa.BigInteger(), nullable=False),
        sa.Column("family_id", sa.BigInteger(), nullable=False),
        sa.Column("regie", sa.String(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False, comment="cents of euro"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reversed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("amount > 0", name=op.f("ck_credit_positive")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "family_id"],
            ["family.tenant_id", "family.id"],
            name=op.f("fk_credit_tenant_id_family_id_family"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "payment_id"],
            ["payment.tenant_id", "payment.id"],
            name=op.f("fk_credit_tenant_id_payment_id_payment"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_credit_tenant_id_tenant")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_credit")),
        sa.UniqueConstraint("tenant_id", "payment_id", name=op.f("uq_credit_tenant_id_payment_id")),
    )
    op.create_table(
        "invoice_change",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("batch_id", sa.BigInteger(), nullable=False),
        sa.Column("invoice_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "before",
            postgresql.JSONB(),
            server_default="{}",
            nullable=False,
            comment="the row and its lines, as JSON",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "batch_id"],
            ["import_batch.tenant_id", "import_batch.id"],
            name=op.f("fk_invoice_change_tenant_id_batch_id_import_batch"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "invoice_id"],
            ["invoice.tenant_id", "invoice.id"],
            name=op.f("fk_invoice_change_tenant_id_invoice_id_invoice"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_invoice_change_tenant_id_tenant")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_invoice_change")),
    )
    op.create_index(
        op.f("ix_invoice_change_tenant_id_batch_id"),
        "invoice_change",
        ["tenant_id", "batch_id"],
        unique=False,
    )
    op.create_table(
        "invoice_line",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("invoice_id", sa.BigInteger(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("activity", sa.String(), nullable=False),
        sa.Column("tax_kind", sa.String(), nullable=False),
        sa.Column("child_id", sa.BigInteger(), nullable=True),
        sa.Column("quantity", sa.Numeric(precision=12, scale=3), nullable=True),
        sa.Column("unit_price", sa.BigInteger(), nullable=True, comment="cents of euro"),
        sa.Column("amount", sa.BigInteger(), nullable=False, comment="cents of euro"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "child_id"],
            ["child.tenant_id", "child.id"],
            name=op.f("fk_invoice_line_tenant_id_child_id_child"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "invoice_id"],
            ["invoice.tenant_id", "invoice.id"],
            name=op.f("fk_invoice_line_tenant_id_invoice_id_invoice"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_invoice_line_tenant_id_tenant")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_invoice_line")),
        sa.UniqueConstraint(
            "tenant_id",
            "invoice_id",
            "rank",
            name=op.f("uq_invoice_line_tenant_id_invoice_id_rank"),
        ),
    )
    op.create_index(
        op.f("ix_invoice_line_tenant_id_child_id"),
        "invoice_line",
        ["tenant_id", "child_id"],
        unique=False,
    )
    op.create_table(
        "payment_answer",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("payment_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("detail", sa.String(), server_default="", nullable=False),
        sa.Column("raw", postgresql.JSONB(), server_default="{}", nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "payment_id"],
            ["payment.tenant_id", "payment.id"],
            name=op.f("fk_payment_answer_tenant_id_payment_id_payment"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_payment_answer_tenant_id_tenant")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_payment_answer")),
    )
    op.create_index(
        op.f("ix_payment_answer_tenant_id_payment_id"),
        "payment_answer",
        ["tenant_id", "payment_id"],
        unique=False,
    )
    op.create_table(
        "payment_item",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("payment_id", sa.BigInteger(), nullable=False),
        sa.Column("invoice_id", sa.BigInteger(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False, comment="cents of euro"),
        sa.Column("live", sa.Boolean(), server_default="false", nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "invoice_id"],
            ["invoice.tenant_id", "invoice.id"],
            name=op.f("fk_payment_item_tenant_id_invoice_id_invoice"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "payment_id"],
            ["payment.tenant_id", "payment.id"],
            name=op.f("fk_payment_item_tenant_id_payment_id_payment"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_payment_item_tenant_id_tenant")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_payment_item")),
        sa.UniqueConstraint(
            "tenant_id",
            "payment_id",
            "invoice_id",
            name=op.f("uq_payment_item_tenant_id_payment_id_invoice_id"),
        ),
    )
    op.create_index(
        op.f("ix_payment_item_tenant_id_invoice_id"),
        "payment_item",
        ["tenant_id", "invoice_id"],
        unique=False,
    )
    op.create_index(
        "uq_payment_item_live",
        "payment_item",
        ["tenant_id", "invoice_id"],
        unique=True,
        postgresql_where=sa.text("live"),
    )
    op.execute(f"GRANT SELECT ON tenant TO {APP}, {RELAY}")
    for table in WRITABLE:
        protect(table)
    for table in APPEND_ONLY:
        protect(table, append_only=True)
    open_to_relay("outbox")


def downgrade() -> None:
    op.drop_table("payment_item")
    op.drop_table("payment_answer")
    op.drop_table("invoice_line")
    op.drop_table("invoice_change")
    op.drop_table("credit")
    op.drop_table("allocation")
    op.drop_table("web_session")
    op.drop_table("payment")
    op.drop_table("one_time_token")
    op.drop_table("message")
    op.drop_table("invoice")
    op.drop_table("family_child")
    op.drop_table("contact_email")
    op.drop_table("account_family")
    op.drop_table("access_code")
    op.drop_table("family")
    op.drop_table("child")
    op.drop_table("outbox")
    op.drop_table("news")
    op.drop_table("import_batch")
    op.drop_table("document")
    op.drop_table("counter")
    op.drop_table("audit_entry")
    op.drop_table("account")
    op.drop_table("tenant")
