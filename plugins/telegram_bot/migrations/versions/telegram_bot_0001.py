"""The bot's tables."""

import sqlalchemy as sa
from alembic import op

from core.plugin import protect

revision = "telegram_bot_0001"
down_revision = None
branch_labels = ("telegram_bot",)
depends_on = "0001"

TABLES = (
    "telegram_chat_link",
    "telegram_link_token",
    "telegram_message",
    "telegram_delivery",
    "telegram_pace",
)


def _table(
    name: str, *columns: sa.Column, unique: tuple[str, ...], family: bool = False
) -> None:
    uq = "_".join(("uq", name, "tenant_id", *unique))
    constraints = [
        sa.PrimaryKeyConstraint("tenant_id", "id", name=f"pk_{name}"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name=f"fk_{name}_tenant_id_tenant"),
        sa.UniqueConstraint("tenant_id", *unique, name=uq),
    ]
    if family:
        constraints.append(
            sa.ForeignKeyConstraint(
                ["tenant_id", "family_id"],
                ["family.tenant_id", "family.id"],
                name=f"fk_{name}_tenant_id_family_id_family",
                ondelete="CASCADE",
            )
        )
    op.create_table(
        name,
        sa.Column("tenant_id", sa.String(63), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        *columns,
        *constraints,
    )
    if family:
        op.create_index(f"ix_{name}_tenant_id_family_id", name, ["tenant_id", "family_id"])
    protect(name)


def _moment(name: str, default: sa.sql.elements.ColumnElement | None = None) -> sa.Column:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False, server_default=default)


def _created() -> sa.Column:
    return _moment("created_at", sa.func.now())


def upgrade() -> None:
    _table(
        "telegram_chat_link",
        sa.Column("chat_id", sa.BigInteger(), nullable=False),
        sa.Column("family_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "name",
            sa.String(),
            nullable=False,
            comment="first name in Telegram, to tell the chats apart",
        ),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("alerts", sa.Boolean(), nullable=False, server_default=sa.true()),
        _created(),
        unique=("chat_id", "family_id"),
        family=True,
    )
    _table(
        "telegram_link_token",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("family_id", sa.BigInteger(), nullable=False),
        _moment("expires_at"),
        sa.Column("chat_id", sa.BigInteger()),
        unique=("token_hash",),
        family=True,
    )
    _table(
        "telegram_message",
        sa.Column("chat_id", sa.BigInteger(), nullable=False),
        sa.Column("message_id", sa.BigInteger(), nullable=False),
        sa.Column("invoice_ids", sa.ARRAY(sa.BigInteger()), nullable=False),
        _created(),
        unique=("chat_id", "message_id"),
    )
    op.create_index(
        "ix_telegram_message_invoice_ids",
        "telegram_message",
        ["invoice_ids"],
        postgresql_using="gin",
    )
    _table(
        "telegram_delivery",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column(
            "turn_at",
            sa.DateTime(timezone=True),
            comment="when it may go; null once it was handed over",
        ),
        _created(),
        unique=("key",),
    )
    _table(
        "telegram_pace",
        sa.Column("chat_id", sa.BigInteger(), nullable=False),
        _moment("free_at"),
        sa.Column(
            "held_until",
            sa.DateTime(timezone=True),
            comment="Telegram asked to wait until then",
        ),
        unique=("chat_id",),
    )


def downgrade() -> None:
    for name in reversed(TABLES):
        op.drop_table(name)
