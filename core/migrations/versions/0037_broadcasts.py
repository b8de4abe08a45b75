"""Messages of agents to many families."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from core.platform.db.rls import protect

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "broadcast",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("body", sa.String(), nullable=False, comment="plain text"),
        sa.Column(
            "translations",
            postgresql.JSONB(),
            server_default="{}",
            nullable=False,
            comment="language: [title, body]",
        ),
        sa.Column(
            "is_necessary",
            sa.Boolean(),
            nullable=False,
            comment="service information: not switched off",
        ),
        sa.Column(
            "on_news", sa.Boolean(), nullable=False, comment="shown among the town's news as well"
        ),
        sa.Column("group_key", sa.String(), nullable=False),
        sa.Column(
            "chosen",
            postgresql.JSONB(),
            server_default="{}",
            nullable=False,
            comment="what the agent chose of the group's fields",
        ),
        sa.Column(
            "audience",
            sa.String(),
            server_default="",
            nullable=False,
            comment="the families that are meant, in words",
        ),
        sa.Column(
            "revision",
            sa.Integer(),
            server_default="1",
            nullable=False,
            comment="rises when it changes or is counted anew",
        ),
        sa.Column(
            "families",
            sa.Integer(),
            server_default="0",
            nullable=False,
            comment="families that are meant, when last looked for",
        ),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("written_by", sa.String(), nullable=False),
        sa.Column(
            "leaves_at", sa.DateTime(timezone=True), nullable=True, comment="none: a draft"
        ),
        sa.Column("sent_by", sa.String(), server_default="", nullable=False),
        sa.Column("left_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("stopped_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("stopped_by", sa.String(), server_default="", nullable=False),
        sa.Column(
            "ended_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="nothing was left to send; its figures are kept",
        ),
        sa.Column(
            "figures",
            postgresql.JSONB(),
            nullable=True,
            comment="kept at its end: old messages are erased",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_broadcast_tenant_id_tenant")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_broadcast")),
    )
    op.create_table(
        "broadcast_recipient",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("broadcast_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("family_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column(
            "ways",
            postgresql.ARRAY(sa.String()),
            nullable=True,
            comment="channels that reach it; none: not asked yet",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "broadcast_id"],
            ["broadcast.tenant_id", "broadcast.id"],
            name=op.f("fk_broadcast_recipient_tenant_id_broadcast_id_broadcast"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "family_id"],
            ["family.tenant_id", "family.id"],
            name=op.f("fk_broadcast_recipient_tenant_id_family_id_family"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_broadcast_recipient_tenant_id_tenant")
        ),
        sa.PrimaryKeyConstraint(
            "tenant_id", "broadcast_id", "family_id", name=op.f("pk_broadcast_recipient")
        ),
    )
    op.create_index(
        op.f("ix_broadcast_recipient_tenant_id_family_id"),
        "broadcast_recipient",
        ["tenant_id", "family_id"],
    )
    op.create_index(
        "ix_broadcast_recipient_unasked",
        "broadcast_recipient",
        ["tenant_id", "broadcast_id"],
        postgresql_where=sa.text("ways IS NULL"),
    )
    op.add_column(
        "message",
        sa.Column(
            "broadcast_id",
            sa.BigInteger(),
            nullable=True,
            comment="the message of an agent to many families that it is one copy of",
        ),
    )
    op.create_foreign_key(
        op.f("fk_message_tenant_id_broadcast_id_broadcast"),
        "message",
        "broadcast",
        ["tenant_id", "broadcast_id"],
        ["tenant_id", "id"],
    )
    op.create_index(
        "ix_message_broadcast",
        "message",
        ["tenant_id", "broadcast_id", "state", "family_id"],
        postgresql_where=sa.text("broadcast_id IS NOT NULL"),
    )
    protect("broadcast")
    protect("broadcast_recipient")


def downgrade() -> None:
    op.drop_index("ix_message_broadcast", table_name="message")
    op.drop_column("message", "broadcast_id")
    op.drop_table("broadcast_recipient")
    op.drop_table("broadcast")
