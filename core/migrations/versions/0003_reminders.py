"""Reminders and closing: a calendar for each régie, and which invoices were reminded of."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from core.platform.db.rls import protect

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "regie_calendar",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("regie", sa.String(), nullable=False),
        sa.Column(
            "reminders",
            postgresql.ARRAY(sa.Integer()),
            server_default="{}",
            nullable=False,
            comment="days from the due date: -5 is five days before it",
        ),
        sa.Column(
            "closing_days",
            sa.Integer(),
            nullable=True,
            comment="days after the due date when the trésorerie takes over; none: never by itself",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_regie_calendar_tenant_id_tenant")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_regie_calendar")),
        sa.UniqueConstraint("tenant_id", "regie", name=op.f("uq_regie_calendar_tenant_id_regie")),
    )
    op.create_table(
        "reminder",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("invoice_id", sa.BigInteger(), nullable=False),
        sa.Column("days", sa.Integer(), nullable=False, comment="the rule: days from the due date"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "invoice_id"],
            ["invoice.tenant_id", "invoice.id"],
            name=op.f("fk_reminder_tenant_id_invoice"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_reminder_tenant_id_tenant")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_reminder")),
        sa.UniqueConstraint(
            "tenant_id", "invoice_id", "days", name=op.f("uq_reminder_tenant_id_invoice_id_days")
        ),
    )
    op.add_column(
        "invoice",
        sa.Column(
            "closes_on",
            sa.Date(),
            nullable=True,
            comment="last day to pay here, instead of the régie's rule",
        ),
    )
    op.create_index(
        "ix_invoice_published",
        "invoice",
        ["tenant_id", "regie", "due_on"],
        postgresql_where=sa.text("state = 'published'"),
    )
    protect("regie_calendar")
    protect("reminder")


def downgrade() -> None:
    op.drop_index("ix_invoice_published", table_name="invoice")
    op.drop_column("invoice", "closes_on")
    op.drop_table("reminder")
    op.drop_table("regie_calendar")
